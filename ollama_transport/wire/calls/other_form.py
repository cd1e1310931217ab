"""Read a whole answer that came as a stream, without I/O."""

from typing import TypeVar

from ollama_transport.errors import ProtocolError
from ollama_transport.wire.calls.any_decoder import AnyDecoder
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.calls.decoders import FIELD_STARTS, SSEDecoder, one_by_one

T = TypeVar("T")


def is_stream(data: bytes) -> bool:
    """Return whether a body is events, lines of JSON or a list, and not one JSON object."""
    start = data[:_LOOKED_AT].lstrip()
    if start.startswith((b":", b"[", *FIELD_STARTS)):
        return True
    # Searching for one byte is far quicker, and vectors come without a line end.
    if not start.startswith(b"{") or b"\n" not in data:
        return False
    # One object per line: a single object that is spread over many lines never contains this.
    return any(mark in data for mark in _SEVERAL)


_SEVERAL = (b"}\n{", b"}\r\n{", b"}\n[DONE]")


def are_several(data: bytes) -> bool:
    """Return whether a body that is not one JSON object begins with one, followed by more."""
    objects = one_by_one(data)
    return next(objects, b"").startswith(b"{") and next(objects, b"").startswith(b"{")


_LOOKED_AT = 4096


def whole_from_stream(call: Call[T], data: bytes) -> T:
    """Return the whole answer that a stream's bytes hold.

    Raises:
        OllamaError: the same error as from the stream itself.
    """
    if call.reader is None:
        return _only_event(call, data)
    reader = call.reader()
    lines = [*reader.feed(data), *reader.finish()]
    return call.joined(lines)


def _only_event(call: Call[T], data: bytes) -> T:
    decoder = AnyDecoder(SSEDecoder)
    objects = [*decoder.feed(data), *decoder.finish()]
    if len(objects) != 1:
        raise ProtocolError(f"the answer is {len(objects)} events instead of one object")
    return call.read(objects[0])
