"""Check the content of whole answers: an empty one is an error, reasoning alone a warning."""

import warnings
from collections.abc import Sequence
from typing import Any, Protocol

from ollama_transport.callers import caller_level
from ollama_transport.errors import EmptyAnswerError, ProtocolError
from ollama_transport.wire.values.answers import ChatLine, GenerateLine


class OnlyThoughtsWarning(UserWarning):
    """Warns that an answer has no text, since the model spent it on thinking.

    For chats only when the answer was cut; a completion has no other part that may hold it.
    """


def empty_answer() -> EmptyAnswerError:
    """Return (not raise) the error for a success without content, whole or streamed."""
    return EmptyAnswerError(
        "the answer is empty: status 200 without any content. A proxy may have dropped it, or "
        "this is another kind of server: check base_url."
    )


def other_wire(path: str) -> ProtocolError:
    """Return (not raise) the error for an answer that has the form of the other wire."""
    form, advice = ("Ollama's own wire", "without /v1") if "/v1" in path else ("/v1", "with /v1")
    return ProtocolError(
        f"the answer has the form of {form}, which was not requested: it is another kind of "
        f"server, or a gateway that translates. Give base_url {advice}."
    )


def says_something(line: Any) -> bool:
    """Return whether a line holds text, thoughts, a call or a picture, or says why it ends."""
    return bool(
        line.text
        or line.thinking
        or line.tool_calls
        or getattr(line, "tool_call_deltas", ())
        or getattr(line, "image", None)
        or (line.done and line.done_reason is not None)
    )


def begins(lines: Sequence[Any]) -> bool:
    """Return whether these lines contain part of an answer."""
    # Lines without text, such as the steps of a pull, always count.
    return any(not hasattr(line, "thinking") or says_something(line) for line in lines)


def check_said(lines: Sequence[Any]) -> None:
    """Check all lines of an answer, the last of which has ``done``.

    Raises:
        EmptyAnswerError: when they say nothing, not even why the answer ended.

    Warns:
        OnlyThoughtsWarning: when the answer holds only thoughts, and was cut for its length or is
            a completion.
    """
    if not any(says_something(line) for line in lines):
        raise empty_answer()
    last = lines[-1]
    if last.done_reason != "length" and not isinstance(last, GenerateLine):
        return
    if not any(line.thinking for line in lines):
        return
    if not any(line.text.strip() or line.tool_calls for line in lines):
        warn_of_thoughts(last)


def warn_of_thoughts(last: ChatLine | GenerateLine) -> None:
    """Warn that an answer, of which this is the last line, holds only thoughts.

    Warns:
        OnlyThoughtsWarning: unless a single token was asked for.
    """
    # Requests for one token only serve to count those of a prompt: their text does not matter.
    if last.usage is not None and last.usage.completion_tokens == 1:
        return
    if last.done_reason == "length":
        what = "the model was cut off while it was thinking: the answer has no text. Raise "
        what += "num_predict (max_tokens), or let it think less"
    else:
        what = "the model wrote only thoughts: the answer has no text. Ask again, or let it think "
        what += "less"
    warnings.warn(
        f"{what} (LangChain: reasoning=False, LlamaIndex: thinking=False).",
        OnlyThoughtsWarning,
        stacklevel=caller_level(),
    )


class _Pushing(Protocol):
    def push(self, line: GenerateLine) -> GenerateLine:
        """Return the transformed line."""


class LeftoverWatcher:
    """Warns when a splitter of thoughts leaves nothing of a completion; one for each answer.

    `check_said` cannot see this: it reads the text before the thoughts are taken out.
    """

    def __init__(self, splitter: _Pushing) -> None:
        self._splitter = splitter
        self._said = False
        self._left = False

    def push(self, line: GenerateLine) -> GenerateLine:
        """Return the line as the splitter shapes it."""
        shaped = self._splitter.push(line)
        if self._left:
            return shaped
        self._said = self._said or bool(line.text.strip())
        self._left = bool(shaped.text.strip() or shaped.tool_calls)
        if line.done and self._said and not self._left:
            warn_of_thoughts(shaped)
        return shaped
