"""Put tool calls together that a stream sends in pieces, however it cuts them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ollama_transport.errors import ProtocolError, brief
from ollama_transport.wire.messages import ToolCall, ToolCallDelta, json_text, with_ids


@dataclass(frozen=True, slots=True)
class _Piece:
    index: int | None
    id: str | None
    name: str
    arguments: str


@dataclass(slots=True)
class _Draft:
    """A call that is still being written."""

    name: str = ""
    id: str | None = None
    arguments: str = ""

    def is_followed_by(self, piece: _Piece) -> bool:
        """Tell whether a piece under the same index begins another call.

        Some servers give every call the index 0; others give every piece of one call a new id
        and repeat its name. What tells them apart is the second object.
        """
        if not piece.name or piece.id in (None, self.id) or self.id is None:
            return False
        return piece.name != self.name or (self._is_complete() and _opens(piece.arguments))

    def is_over_before(self, piece: _Piece) -> bool:
        """Tell whether a piece without an index begins another call."""
        if piece.id is not None and self.id is not None:
            return piece.id != self.id
        if not piece.name or not self.arguments.strip():
            return False
        return piece.name != self.name or self._is_complete()

    def take(self, piece: _Piece) -> tuple[str | None, str | None]:
        """Add a piece; return what of its name and id is new."""
        # Some repeat the whole name with each piece, others cut it.
        is_new = piece.name != self.name and not (self.name and self.arguments)
        name = piece.name if is_new else ""
        self.name += name
        identity = piece.id if self.id is None else None
        self.id = self.id if identity is None else identity
        self.arguments += piece.arguments
        return (name if name else None), identity

    def _is_complete(self) -> bool:
        return isinstance(read_arguments(self.arguments), Mapping) and _opens(self.arguments)


class CallAssembler:
    """Collects the tool calls of one stream.

    Calls are told apart by ``index``; where a server sends none, by ``id``; where it sends neither,
    by a name that comes after complete arguments.
    """

    def __init__(self) -> None:
        self._drafts: dict[int, _Draft] = {}
        # Where the server's indexes lead: elsewhere than it says, when it uses one for two calls.
        self._slots: dict[int, int] = {}
        self._last: int | None = None

    def add(self, raw: object) -> tuple[ToolCallDelta, ...]:
        """Take the ``tool_calls`` of a delta and return what is new in it.

        Raises:
            ProtocolError: when it is not a list of objects.
        """
        deltas = (self._take(_piece(entry)) for entry in _entries(raw))
        return tuple(delta for delta in deltas if delta is not None)

    def complete(self, salt: str) -> tuple[tuple[ToolCallDelta, ...], tuple[ToolCall, ...]]:
        """Return the calls in their order, complete now that the stream is.

        Those that came without an id get one, which the deltas tell.
        """
        drafts = sorted(self._drafts.items())
        bare = [
            ToolCall(draft.name, read_arguments(draft.arguments), draft.id, index)
            for index, draft in drafts
        ]
        calls = with_ids(bare, salt)
        deltas = (
            ToolCallDelta(index, "", id=call.id)
            for (index, draft), call in zip(drafts, calls, strict=True)
            if draft.id is None
        )
        return tuple(deltas), calls

    def _take(self, piece: _Piece) -> ToolCallDelta | None:
        slot = self._slot(piece)
        self._last = slot
        name, identity = self._drafts[slot].take(piece)
        if name is None and identity is None and not piece.arguments:
            return None
        return ToolCallDelta(slot, piece.arguments, name=name, id=identity)

    def _slot(self, piece: _Piece) -> int:
        # Not every server numbers its calls.
        if piece.index is None:
            return self._slot_without_index(piece)
        slot = self._slots.get(piece.index)
        if slot is None or self._drafts[slot].is_followed_by(piece):
            slot = self._new(piece.index)
            self._slots[piece.index] = slot
        return slot

    def _slot_without_index(self, piece: _Piece) -> int:
        for slot, draft in self._drafts.items():
            if piece.id is not None and draft.id == piece.id:
                return slot
        if self._last is None or self._drafts[self._last].is_over_before(piece):
            return self._new(0)
        return self._last

    def _new(self, wanted: int) -> int:
        slot = wanted if wanted not in self._drafts else max(self._drafts) + 1
        self._drafts[slot] = _Draft()
        return slot


def read_calls(raw: object, salt: str) -> tuple[ToolCall, ...]:
    """Read the ``tool_calls`` of a whole message, in its order; without an id they get one.

    Raises:
        ProtocolError: when they are not a list of objects.
    """
    pieces = [_piece(entry) for entry in _entries(raw)]
    calls = [
        # By place: some servers give each call of a message the index 0.
        ToolCall(piece.name, read_arguments(piece.arguments), piece.id, index)
        for index, piece in enumerate(pieces)
    ]
    return with_ids(calls, salt)


def read_arguments(text: str) -> Mapping[str, Any] | str:
    """Return arguments as an object; no text is {}, and what is not a JSON object stays text."""
    if not text.strip():
        return {}
    try:
        # Models write line ends into strings as they are: not JSON to the letter, but plain.
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text


def _entries(raw: object) -> list[Any]:
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise ProtocolError(f"the answer's tool_calls are not a list: {brief(raw)}")
    return raw


def _piece(raw: object) -> _Piece:
    function = raw.get("function") if isinstance(raw, Mapping) else None
    function = {} if function is None else function
    if not isinstance(raw, Mapping) or not isinstance(function, Mapping):
        raise ProtocolError(f"the answer's tool call is not an object: {brief(raw)}")
    index, identity, name = raw.get("index"), raw.get("id"), function.get("name")
    return _Piece(
        index=index if isinstance(index, int) and not isinstance(index, bool) else None,
        id=identity if isinstance(identity, str) and identity else None,
        name=name if isinstance(name, str) else "",
        arguments=_arguments_text(function.get("arguments")),
    )


def _arguments_text(value: object) -> str:
    """Return arguments as text; some servers send the object itself."""
    if value is None or isinstance(value, str):
        return value if value is not None else ""
    return json_text(value)


def _opens(text: str) -> bool:
    return text.lstrip().startswith("{")
