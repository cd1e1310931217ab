"""Scripted answers: exactly these bytes, in these chunks, held and cut where a test wants it."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, overload

from ollama_ext.embedded.gates import Gate
from ollama_ext.embedded.protocol.encoding import dump_event, dump_json, dump_line

Cut = Literal["close", "reset"]
ToolCalls = Sequence[tuple[str, Mapping[str, Any]]]
"""Calls as ``(name, arguments)``."""
_NDJSON = {"content-type": "application/x-ndjson"}
_JSON = {"content-type": "application/json; charset=utf-8"}
_EVENTS = {"content-type": "text/event-stream"}
# The server writes these headers itself; sending them twice would break the framing.
_OWN_HEADERS = frozenset({"date", "connection", "transfer-encoding", "content-length"})

_STORY = "Once upon a time there was a model that answered every question."


@dataclass(frozen=True, slots=True)
class Said:
    """An answer in plain values."""

    content: str = ""  # the text
    thinking: str = ""  # the reasoning before it
    tool_calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()  # the tools that are called
    # The vectors of an embedding; None for an answer of text.
    vectors: tuple[tuple[float, ...], ...] | None = None
    error: str | None = None  # the text of a failure; None for an answer
    # After how many lines or events of a stream the connection is cut; None for never.
    after: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.content, str) or not isinstance(self.thinking, str):
            raise TypeError("a reply's content and thinking are text")
        for call in self.tool_calls:
            if not (isinstance(call, tuple) and len(call) == 2 and isinstance(call[1], Mapping)):
                raise TypeError(
                    f"a tool call is {call!r:.80}: give ('weather', {{'city': 'Rome'}})"
                )
        if self.after is not None and self.after < 0:
            raise ValueError(f"after={self.after}: give how many lines come before the cut")


def _cut_reply(after: int = 1, content: str = _STORY, **how: Any) -> "Reply":
    """Send an answer, and close the connection after some of its lines."""
    return Reply(said=Said(content, after=after)).but(cut="close", **how)


class _CutField:
    """The field `cut` of a reply; of the class, what makes a reply that is cut."""

    @overload
    def __get__(self, reply: None, owner: type) -> Callable[..., "Reply"]: ...
    @overload
    def __get__(self, reply: "Reply", owner: type) -> Cut | None: ...
    def __get__(self, reply: "Reply | None", owner: type) -> "Cut | Callable[..., Reply] | None":
        return _cut_reply if reply is None else reply.__dict__["cut"]

    def __set__(self, reply: "Reply", value: "Cut | Callable[..., Reply] | None") -> None:
        # A dataclass asks the class for the default, which is the function.
        reply.__dict__["cut"] = None if value is _cut_reply else value


# Without slots, for the sake of that field.
@dataclass(frozen=True)
class Reply:
    """One scripted answer; make it with a class method, refine it with ``but``.

    `chat`, `thinking`, `embed`, `error` and `cut` say what is answered, and fit the request that
    they answer: its endpoint, its wire, whole or as a stream. The others are bytes as given.

    ```python
    from langchain_ollama_ext import ChatOllama
    from ollama_ext.embedded import EmbeddedOllama, Reply
    from ollama_transport import StreamTruncatedError

    with EmbeddedOllama() as server:
        model = ChatOllama(model="demo", base_url=server.url, max_retries=1)
        server.script([Reply.error("too busy", 503), Reply.chat("Fine.", delay_s=0.1)])
        print(model.invoke("How are you?").content)  # the second reply: the first was retried
        server.script([Reply.chat(tool_calls=[("weather", {"city": "Rome"})])])
        print(model.invoke("Rain?").tool_calls)
        server.script("POST", "/api/chat", Reply.cut(after=2))
        try:
            print(model.invoke("Tell me a story.").content)
        except StreamTruncatedError as error:
            print(len(error.received), "lines came")
        model.close()
    ```

    Attributes:
        status: HTTP status code.
        headers: Response headers, beside those that say how the body is sent.
        chunks: The body, each element written by itself. With no ``content-length`` each is one
            HTTP chunk.
        sized: True sends a Content-Length and no chunked coding. With ``cut`` the length is that
            of the whole body and the last chunk is withheld, so that the body is short.
        delay_s: Seconds before the first byte of the answer, status line included.
        chunk_delay_s: Seconds before each chunk after the first.
        gate: Holds the answer until it is set.
        hold_at: Index of the chunk that waits for the gate; 0 holds the status line too.
        cut: None ends as HTTP asks for; ``"close"`` closes the connection without the
            terminating chunk; ``"reset"`` sends a TCP reset.
        forever: True repeats the last chunk until the client leaves.
        silent: True sends nothing at all, not even a status line.
        said: What is answered, where that is not given as bytes.

    Raises:
        TypeError: for a part of a wrong type.
        ValueError: for values that make no sense, or not together.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    # Bytes and not values: a test of a client wants to break lines where it likes.
    chunks: tuple[bytes, ...] = ()
    sized: bool = False
    delay_s: float = 0.0
    chunk_delay_s: float = 0.0
    gate: Gate | None = None
    hold_at: int = 0
    cut: _CutField = _CutField()  # a descriptor, shared on purpose
    forever: bool = False
    silent: bool = False
    said: Said | None = None

    # Checked when the script is written, not when it is played in another thread.
    def __post_init__(self) -> None:
        _check_parts(self)
        if self.cut not in (None, "close", "reset"):
            raise ValueError(f'cut={self.cut!r}: choose None, "close" or "reset"')
        # The number of chunks is known only once the reply is fitted to a request.
        if self.said is None and not 0 <= self.hold_at <= len(self.chunks):
            raise ValueError(f"hold_at={self.hold_at}: there are {len(self.chunks)} chunks")
        if self.hold_at and self.gate is None:
            raise ValueError("hold_at= says where a gate stands: give gate=Gate() as well")
        if self.delay_s < 0 or self.chunk_delay_s < 0:
            raise ValueError("delay_s= and chunk_delay_s= are seconds, 0 or more")
        if self.forever and not self.chunks:
            raise ValueError("forever=True repeats the last chunk: give at least one")
        if self.forever and self.sized:
            raise ValueError("forever=True has no length: use lines(), events() or raw(chunks=…)")

    @classmethod
    def chat(
        cls, content: str = "", *, thinking: str = "", tool_calls: ToolCalls = (), **how: Any
    ) -> "Reply":
        """Answer a chat or a completion with a text, or with tool calls.

        Args:
            content: The text; in a stream it comes word by word.
            thinking: The reasoning before it.
            tool_calls: As ``[("weather", {"city": "Rome"})]``.
            how: Any field of Reply, such as ``delay_s=1`` or ``gate=Gate()``.
        """
        return cls(said=Said(content, thinking, tuple(tool_calls))).but(**how)

    @classmethod
    def thinking(cls, thinking: str, content: str = "", **how: Any) -> "Reply":
        """Answer with reasoning, and a text after it."""
        return cls(said=Said(content, thinking)).but(**how)

    @classmethod
    def embed(cls, vectors: Iterable[Iterable[float]], **how: Any) -> "Reply":
        """Answer an embedding with vectors, one for each text that was sent."""
        found = tuple(tuple(float(number) for number in vector) for vector in vectors)
        return cls(said=Said(vectors=found)).but(**how)

    @classmethod
    def lines(cls, lines: Iterable[object], **how: Any) -> "Reply":
        """Play an NDJSON stream, one chunk a line.

        Args:
            lines: Each a JSON value, or text or bytes to send as they are (a missing newline is
                added to text).
            how: Any field of Reply, such as ``cut="close"`` or ``gate=Gate()``.
        """
        chunks = tuple(_line(line) for line in _several("lines", lines))
        return cls(chunks=chunks, headers=_NDJSON).but(**how)

    @classmethod
    def events(cls, events: Iterable[object], **how: Any) -> "Reply":
        """Play server-sent events, one chunk each: JSON values, or text for ``data: [DONE]``."""
        chunks = tuple(
            f"data: {event}\n\n".encode() if isinstance(event, str) else dump_event(event)
            for event in _several("events", events)
        )
        return cls(chunks=chunks, headers=_EVENTS).but(**how)

    @classmethod
    def json(cls, value: object, **how: Any) -> "Reply":
        """Play one JSON body with a Content-Length."""
        return cls(chunks=(dump_json(value),), headers=_JSON, sized=True).but(**how)

    @overload
    @classmethod
    def error(cls, text: str, status: int = 500, **how: Any) -> "Reply": ...
    @overload
    @classmethod
    def error(cls, text: int, status: str, **how: Any) -> "Reply": ...
    @classmethod
    def error(cls, text: str | int, status: int | str = 500, **how: Any) -> "Reply":
        """Fail with a text and a status, in either order, as the wire of the request writes it."""
        if isinstance(text, int):
            text, status = str(status), text
        reply = cls.json({"error": text}, status=status)
        return replace(reply, said=Said(error=text)).but(**how)

    @classmethod
    def text(cls, body: str, **how: Any) -> "Reply":
        """Play a body of plain text, as a proxy in the way would answer; a model's is `chat`."""
        headers = {"content-type": "text/plain; charset=utf-8"}
        return cls(chunks=(body.encode(),), headers=headers, sized=True).but(**how)

    @classmethod
    def raw(cls, body: bytes = b"", *, chunks: Sequence[bytes] = (), **how: Any) -> "Reply":
        """Play bytes as they are: ``body`` with a Content-Length, or ``chunks`` one by one."""
        if body and chunks:
            raise ValueError("give body or chunks, not both")
        return cls(chunks=tuple(chunks) if chunks else (body,), sized=not chunks).but(**how)

    @classmethod
    def hang_up(cls, **how: Any) -> "Reply":
        """Close the connection without a single byte of an answer."""
        return cls(silent=True, cut="close").but(**how)

    @classmethod
    def recording(cls, source: Mapping[str, Any] | str | Path, **how: Any) -> "Reply":
        """Play a recorded answer with its chunk boundaries, without its timing.

        Args:
            source: A recording, or the path of its JSON file: ``{"response": {"status",
                "headers", "chunks": [{"text"} or {"base64"}]}}``.
            how: Any field of Reply.

        Raises:
            OSError: When the file cannot be read.
            ValueError: When it is not a recording.
        """
        recorded: Any = source
        if not isinstance(source, Mapping):
            recorded = json.loads(Path(source).read_text(encoding="utf-8"))
        if "response" not in recorded:
            raise ValueError('a recording is {"response": {"status", "headers", "chunks"}}')
        response = recorded["response"]
        headers = {name.lower(): value for name, value in response["headers"].items()}
        return cls(
            status=response["status"],
            headers={n: v for n, v in headers.items() if n not in _OWN_HEADERS},
            chunks=tuple(_recorded(chunk) for chunk in response["chunks"]),
            sized="content-length" in headers,
        ).but(**how)

    def but(self, **changes: Any) -> "Reply":
        """Return the same reply with some fields changed.

        ``cut=True`` means ``"close"``; ``headers`` are added to those it has.
        """
        # Most tests want the orderly one of the two ways to cut a connection.
        if changes.get("cut") is True:
            changes = {**changes, "cut": "close"}
        if "headers" in changes:
            added = {name.lower(): value for name, value in changes["headers"].items()}
            changes = {**changes, "headers": {**self.headers, **added}}
        return replace(self, **changes)


def _check_parts(reply: Reply) -> None:
    """Raise for parts of a wrong type, which would break the server's thread and not the test."""
    status: object = reply.status
    if not isinstance(status, int) or not 100 <= status <= 999:
        raise ValueError(f"status={status!r}: give an HTTP status code, such as 500")
    if not all(isinstance(chunk, bytes) for chunk in reply.chunks):
        raise TypeError("the chunks of a Reply are bytes: encode texts, or use text() or lines()")
    for name, value in reply.headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"the header {name!r}: {value!r} has to be two texts")
    if reply.gate is not None and not isinstance(reply.gate, Gate):
        raise TypeError("gate= takes an ollama_ext.embedded.Gate, which is an Event")


def _several(name: str, values: Iterable[object]) -> Iterable[object]:
    # A single text or object would be played letter by letter, or key by key.
    if isinstance(values, str | bytes | Mapping):
        raise TypeError(f"Reply.{name}() takes a list: write Reply.{name}([...])")
    return values


def _line(line: object) -> bytes:
    if isinstance(line, bytes):
        return line
    if isinstance(line, str):
        return (line if line.endswith("\n") else line + "\n").encode()
    return dump_line(line)


def _recorded(chunk: Mapping[str, str]) -> bytes:
    if "text" in chunk:
        return chunk["text"].encode()
    return base64.b64decode(chunk["base64"])
