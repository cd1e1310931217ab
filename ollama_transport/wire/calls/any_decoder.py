"""Decode an answer in any form: lines of JSON, events, one object or a list."""

from collections.abc import Callable
from typing import Any

from ollama_transport.errors import ProtocolError
from ollama_transport.wire.calls.decoders import (
    DONE,
    FIELD_STARTS,
    SHOWN_BYTES,
    NDJSONDecoder,
    SSEDecoder,
    parse_object,
)

_BOM = b"\xef\xbb\xbf"


class _ListDecoder(NDJSONDecoder):
    """Decodes a JSON list of objects, at its end."""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Keep the bytes; no object is complete before the list is."""
        self._lines.hold(data)
        return []

    def finish(self) -> list[dict[str, Any]]:
        """Return the objects of the list."""
        found = self._order.each([self._lines.take()], _parse_list)
        self.finished = True
        return [entry for entries in found for entry in entries]


class AnyDecoder:
    """Decodes lines of JSON, events, or one JSON value, depending on how the bytes begin.

    Some servers answer in another form than was requested. A byte order mark at the start is
    ignored. ``usual`` makes the decoder for bytes that begin like none of these forms.
    """

    def __init__(self, usual: Callable[[], "NDJSONDecoder | SSEDecoder"]) -> None:
        self._usual = usual
        self._begun = b""
        self._decoder: NDJSONDecoder | SSEDecoder | None = None

    @property
    def is_json(self) -> bool:
        """Return whether the bytes are JSON rather than events."""
        return isinstance(self._decoder, NDJSONDecoder)

    @property
    def finished(self) -> bool:
        """Return whether the stream itself marked its end."""
        return self._decoder is not None and self._decoder.finished

    @property
    def has_rest(self) -> bool:
        """Return whether bytes followed the objects that were returned."""
        return self._decoder is not None and self._decoder.has_rest

    @property
    def stray(self) -> bytes:
        """Return the start of an answer that is not the expected events; empty when it is."""
        return self._decoder.stray if isinstance(self._decoder, SSEDecoder) else b""

    @property
    def is_between_lines(self) -> bool:
        """Return whether the next byte begins a line of JSON, or the answer."""
        if self._decoder is None:
            return not self._begun
        return isinstance(self._decoder, NDJSONDecoder) and self._decoder.is_between

    @property
    def is_between_events(self) -> bool:
        """Return whether the next byte begins an event, or the answer."""
        if self._decoder is None:
            return not self._begun
        return isinstance(self._decoder, SSEDecoder) and self._decoder.is_between

    def note_lines(self) -> None:
        """Record that whole lines of JSON were read elsewhere."""
        if self._decoder is None:
            self._decoder = NDJSONDecoder()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes of any size and return the objects completed by them, in order."""
        if self._decoder is not None:
            return self._decoder.feed(data)
        self._begun = (self._begun + data).lstrip().removeprefix(_BOM)
        self._decoder = self._chosen(self._begun.lstrip())
        return [] if self._decoder is None else self._decoder.feed(self._begun)

    def finish(self) -> list[dict[str, Any]]:
        """Take the end of input and return what was complete but not terminated."""
        if self._decoder is not None:
            return self._decoder.finish()
        self._decoder = self._usual()
        return self._decoder.feed(self._begun) + self._decoder.finish()

    def _chosen(self, start: bytes) -> "NDJSONDecoder | SSEDecoder | None":
        """Return the decoder for an answer with this start; None while that is undecided."""
        if start.startswith(b"{"):
            return NDJSONDecoder(is_one_allowed=True)
        if start.startswith((b":", *FIELD_STARTS)):
            return SSEDecoder()
        if any(name.startswith(start) for name in (*FIELD_STARTS, _BOM, DONE)):
            return None
        if start.startswith(b"[") and not start.startswith(DONE):
            return _ListDecoder()
        return self._usual()


def _parse_list(data: bytes) -> list[dict[str, Any]]:
    wrapped = parse_object(b'{"list":' + data + b"}")
    entries = wrapped["list"]
    if len(wrapped) > 1 or not all(isinstance(entry, dict) for entry in entries):
        start = data[:SHOWN_BYTES]
        raise ProtocolError(f"the answer is not a list of objects; it starts {start!r}", line=start)
    return list(entries)


def without_bom(data: bytes) -> bytes:
    """Return an answer without the byte order mark that some proxies add."""
    return data.removeprefix(_BOM)
