"""The part of an embedded server for tests: scripted replies and recorded requests."""

from collections.abc import Sequence
from typing import overload

from ollama_ext.embedded.scripting.player import ANY, Scripts
from ollama_ext.embedded.scripting.recorder import DEFAULT_WAIT_S, Recorder, Request
from ollama_ext.embedded.scripting.replies import Reply


class Scripted:
    """The scripts and the recorded requests of a server."""

    def __init__(self) -> None:
        # These outlive a stop, so that a test can read them after its with.
        self._recorder = Recorder()
        self._scripts = Scripts()

    @overload
    def script(self, method: Sequence[Reply], /, *, repeat: bool = False) -> None: ...
    @overload
    def script(self, method: str, path: str, *replies: Reply, repeat: bool = False) -> None: ...
    def script(
        self, method: str | Sequence[Reply], path: str = "", *replies: Reply, repeat: bool = False
    ) -> None:
        """Play replies for the next requests to a path, in order, before the models answer again.

        ``script([Reply.chat("Fine."), …])``, a list alone, answers whatever the models are asked
        next, on every endpoint of both wires that chats, completes or embeds.

        Args:
            method: Such as ``"POST"``, or the list of replies.
            path: Such as ``"/api/chat"``, exactly, and without a query.
            replies: What to play, one a request; they queue behind earlier ones.
            repeat: True goes on playing the last reply for every later request.

        Raises:
            TypeError: For something else than replies.
            ValueError: When there is no reply, or no request could ever match.
        """
        if not isinstance(method, str):
            replies = tuple(method)
            _check_replies(replies)
            self._scripts.add(*ANY, replies, repeat=repeat)
            return
        # A script that never plays would look like a client that sends nothing.
        if not method.isalpha() or not str(path).startswith("/") or "?" in path:
            raise ValueError(
                f"script() got {method!r:.40} and {path!r:.40}: give a method and a path without "
                'a query, as in script("POST", "/api/chat", Reply.json(...))'
            )
        _check_replies(replies)
        self._scripts.add(method.upper(), path, replies, repeat=repeat)

    @property
    def requests(self) -> list[Request]:
        """The requests that came so far, oldest first."""
        return self._recorder.requests

    @property
    def disconnects(self) -> list[Request]:
        """The requests whose client left before the end of the answer."""
        # A cut or a failure is the server's own doing.
        return [request for request in self.requests if request.outcome == "client_left"]

    def wait_for_requests(self, count: int, timeout_s: float = DEFAULT_WAIT_S) -> bool:
        """Wait until this many requests came; False after ``timeout_s`` seconds.

        This and the other ``wait_for_…`` block: in a coroutine use ``asyncio.to_thread``.
        """
        return self._recorder.wait(lambda found: len(found) >= count, timeout_s)

    def wait_for_chunks(self, count: int, timeout_s: float = DEFAULT_WAIT_S) -> bool:
        """Wait until this many chunks of the last request's answer were sent."""
        return self._recorder.wait(
            lambda found: bool(found) and found[-1].chunks_sent >= count, timeout_s
        )

    def wait_for_disconnects(self, count: int = 1, timeout_s: float = DEFAULT_WAIT_S) -> bool:
        """Wait until this many clients left before the end; False after ``timeout_s`` seconds."""
        return self._recorder.wait(
            lambda found: sum(r.outcome == "client_left" for r in found) >= count, timeout_s
        )

    def wait_until_idle(self, timeout_s: float = DEFAULT_WAIT_S) -> bool:
        """Wait until no answer is running any more; False after ``timeout_s`` seconds."""
        return self._recorder.wait(
            lambda found: all(r.outcome != "pending" for r in found), timeout_s
        )


def _check_replies(replies: Sequence[Reply]) -> None:
    if not replies:
        raise ValueError("script() needs at least one Reply")
    if not all(isinstance(reply, Reply) for reply in replies):
        raise TypeError("script() plays Reply objects: make them with Reply.chat(...) and so on")
