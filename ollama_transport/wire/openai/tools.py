"""Assemble tool calls from the pieces of a stream, however the server splits them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ollama_transport.wire.values.argument_stream import ArgumentStream
from ollama_transport.wire.values.arguments import NOTHING_KNOWN, RequestFacts, parted, refined
from ollama_transport.wire.values.call_shapes import CallShape, call_shapes, told_calls
from ollama_transport.wire.values.messages import (
    ToolCall,
    ToolCallDelta,
    json_text,
    short_id,
    with_ids,
)


@dataclass(slots=True)
class _Draft:
    """A call that is still being written."""

    slot: int
    name: str = ""
    id: str | None = None
    pieces: list[str] = field(default_factory=list)
    # The part of them that was forwarded.
    passed: list[str] = field(default_factory=list)
    stream: ArgumentStream = field(default_factory=ArgumentStream)
    # Ids that came without arguments after the call's own: they belong to further calls, or to
    # this one, which only the arguments that follow can show.
    pending: list[str] = field(default_factory=list)
    changes_ids: bool = False
    # True until a delta has carried its name.
    is_untold: bool = True

    @property
    def text(self) -> str:
        """Return the arguments so far, as the server wrote them."""
        return "".join(self.pieces)

    def is_followed_by(self, piece: CallShape, names: Collection[str]) -> bool:
        """Return whether a piece with the same index, or without one, begins another call.

        Some servers give every call the index 0; others give every piece of one call a new id
        and repeat its name. Only the start of a second object distinguishes the two.
        """
        is_other_id = None not in (piece.id, self.id) and piece.id != self.id
        if piece.name and self.name and piece.name != self.name:
            return self._is_other_tool(piece, names, is_other_id)
        return is_other_id and self._is_other_call(piece)

    def _is_other_tool(self, piece: CallShape, names: Collection[str], is_other_id: bool) -> bool:
        if self.stream.ended or is_other_id:
            return True
        if self.stream.has_text:
            return piece.index is None or piece.name in names
        # It is the rest of the name, unless each of the two names a tool by itself.
        return self.name in names and piece.name in names and self.name + piece.name not in names

    def _is_other_call(self, piece: CallShape) -> bool:
        opens: bool = piece.arguments.lstrip().startswith("{")
        if piece.id in self.pending:
            return opens
        if self.stream.has_text:
            if opens:
                return not self.stream.takes(piece.arguments)
            return piece.index is None and not piece.arguments.strip() and not self.changes_ids
        return piece.index is None and not piece.arguments.strip()

    def goes_on_with(self, piece: CallShape) -> bool:
        """Return whether a piece with a new index belongs to this call nevertheless."""
        if self.stream.ended:
            return False
        if not piece.name and piece.id in (None, self.id):
            return True
        if piece.id is not None and piece.id == self.id:
            return True
        text = piece.arguments.lstrip()
        follows = bool(text) and self.stream.has_text and not text.startswith("{")
        return follows and piece.name in ("", self.name)

    def take_head(
        self, piece: CallShape, used: Collection[str | None]
    ) -> tuple[str | None, str | None]:
        """Add the name and id of a piece; return what is new in them."""
        # Some servers repeat the whole name with each piece, others split it.
        is_new = piece.name != self.name and not (self.name and self.stream.has_text)
        name = piece.name if is_new else ""
        self.name += name
        identity = piece.id if self.id is None and piece.id not in used else None
        self.id = self.id if identity is None else identity
        if piece.id not in (None, self.id):
            self._note_other_id(str(piece.id), piece.arguments)
        return (name if name else None), identity

    def _note_other_id(self, identity: str, arguments: str) -> None:
        if arguments.strip():
            self.changes_ids = True
        elif identity not in self.pending:
            self.pending.append(identity)
        if self.changes_ids:
            self.pending.clear()

    def write(self, text: str) -> tuple[str, str]:
        """Add arguments; return what to forward, and the beginning of another call's arguments."""
        passed, rest = ("", text) if self.stream.ended else self.stream.feed(text)
        if self.stream.ended and rest.lstrip().startswith("{"):
            self.pieces.append(text[: len(text) - len(rest)])
            return passed, rest
        self.pieces.append(text)
        return passed, ""

    def restart(self) -> None:
        """Forget the arguments so far: an empty object came before the real ones."""
        self.pieces.clear()
        self.passed.clear()
        self.stream = ArgumentStream()


class CallAssembler:
    """Collects the tool calls of one stream.

    Calls are distinguished by ``index``; if a server sends none, by ``id``; if it sends
    neither, by a name that comes after complete arguments. If all of these are missing, a complete
    object followed by the beginning of another is two calls.

    The deltas together are strict JSON: arguments in an odd form are held back until the end, and
    so are those of a tool without parameters.
    """

    def __init__(self, asked: RequestFacts = NOTHING_KNOWN) -> None:
        self._asked = asked
        self._drafts: dict[int, _Draft] = {}
        # The draft of each of the server's indexes: the latest, if it uses one for two calls.
        self._slots: dict[int, _Draft] = {}
        self._last: _Draft | None = None

    def add(self, raw: object) -> tuple[ToolCallDelta, ...]:
        """Take the ``tool_calls`` of a delta and return what is new in it.

        Raises:
            ProtocolError: when they have a shape that is not known.
        """
        return tuple(delta for shape in call_shapes(raw) for delta in self._take(_piece(shape)))

    def complete(
        self, salt: str, *, is_cut: bool = False
    ) -> tuple[tuple[ToolCallDelta, ...], tuple[ToolCall, ...]]:
        """Return the complete calls in order, at the end of the stream, with the last deltas.

        Calls that came without an id get one, which the deltas carry. ``is_cut`` is True if the
        answer ended because of its length.
        """
        for draft in [*self._drafts.values()]:
            self._add_pending(draft)
        drafts = [draft for _, draft in sorted(self._drafts.items())]
        bare = [ToolCall(draft.name, draft.text, draft.id, draft.slot) for draft in drafts]
        calls = with_ids(refined(bare, self._asked, is_cut=is_cut), salt, made=short_id)
        deltas = (self._rest(draft, call) for draft, call in zip(drafts, calls, strict=True))
        return tuple(delta for delta in deltas if delta is not None), calls

    def _add_pending(self, draft: _Draft) -> None:
        # Further calls of a tool, each without arguments.
        for identity in draft.pending:
            if identity not in self._ids():
                self._new(None, draft.name, identity)

    def _rest(self, draft: _Draft, call: ToolCall) -> ToolCallDelta | None:
        """Return the delta that completes a call; None if nothing is missing."""
        if isinstance(call.arguments, Mapping):
            is_told = self._passes_on(draft) or not call.arguments
            held = "" if is_told else json_text(call.arguments)
        else:
            # Unreadable text is forwarded unchanged, unless a repaired part was forwarded before.
            passed = "".join(draft.passed)
            held = draft.text.removeprefix(passed) if draft.text.startswith(passed) else ""
        identity = call.id if draft.id is None or draft.is_untold else None
        name = draft.name if draft.is_untold else None
        if not held and identity is None:
            return None
        return ToolCallDelta(draft.slot, held, name=name, id=identity)

    def _passes_on(self, draft: _Draft) -> bool:
        return draft.stream.is_plain and self._asked.has_parameters(draft.name)

    def _take(self, piece: CallShape) -> Iterator[ToolCallDelta]:
        draft = self._draft(piece)
        if not draft.name and not piece.name and piece.arguments.strip() and self._last is not None:
            # Arguments without a name are another call of the same tool.
            piece = replace(piece, name=self._last.name)
        name, identity = draft.take_head(piece, self._ids())
        rest = piece.arguments
        while True:
            passed, rest = draft.write(rest)
            passed = passed if self._passes_on(draft) else ""
            draft.passed.append(passed)
            if name is not None or identity is not None or passed:
                yield ToolCallDelta(draft.slot, passed, name=name, id=identity)
            self._last = draft
            if not rest:
                return
            draft, name, identity = self._after(draft, piece)

    def _after(self, draft: _Draft, piece: CallShape) -> tuple[_Draft, str | None, str | None]:
        """Return the call whose arguments follow those of another in the text of one piece."""
        identity = None if piece.id in self._ids() else piece.id
        if draft.stream.is_void and identity is None and not draft.pending:
            draft.restart()
            return draft, None, None
        if identity is None:
            identity = next((one for one in draft.pending if one not in self._ids()), None)
        draft.pending = [one for one in draft.pending if one != identity]
        made = self._new(piece.index, draft.name, identity)
        made.is_untold = False
        return made, made.name, identity

    def _draft(self, piece: CallShape) -> _Draft:
        draft = self._known(piece)
        if draft is None:
            draft = self._last
            if draft is None or not draft.goes_on_with(piece):
                return self._begin(piece)
        elif draft.is_followed_by(piece, self._asked.parameters):
            return self._begin(piece)
        if piece.index is not None:
            self._slots[piece.index] = draft
        return draft

    def _begin(self, piece: CallShape) -> _Draft:
        for draft in self._drafts.values():
            draft.pending = [one for one in draft.pending if one != piece.id]
        made = self._new(piece.index)
        made.is_untold = False
        return made

    def _known(self, piece: CallShape) -> _Draft | None:
        # Some servers do not number their calls.
        if piece.index is not None:
            return self._slots.get(piece.index)
        same = (d for d in self._drafts.values() if piece.id is not None and d.id == piece.id)
        return next(same, self._last)

    def _new(self, index: int | None, name: str = "", identity: str | None = None) -> _Draft:
        wanted = 0 if index is None else index
        slot = wanted if wanted not in self._drafts else max(self._drafts) + 1
        draft = _Draft(slot, name, identity)
        self._drafts[slot] = draft
        if index is not None:
            self._slots[index] = draft
        return draft

    def _ids(self) -> set[str]:
        return {draft.id for draft in self._drafts.values() if draft.id is not None}


def read_calls(
    part: object, salt: str, asked: RequestFacts = NOTHING_KNOWN, *, is_cut: bool = False
) -> tuple[ToolCall, ...]:
    """Read the calls of a whole message, in order; a call without an id gets one.

    Raises:
        ProtocolError: when they have a shape that is not known.
    """
    pieces = [_piece(shape) for shape in call_shapes(told_calls(part))]
    whole = parted(ToolCall(piece.name, piece.arguments, piece.id) for piece in pieces)
    # Numbered by position: some servers give each call of a message the index 0.
    calls = [replace(call, index=index) for index, call in enumerate(whole)]
    return with_ids(refined(calls, asked, is_cut=is_cut), salt, made=short_id)


def _piece(shape: CallShape) -> CallShape:
    """Return a piece whose arguments are text; some servers send the object itself."""
    value = shape.arguments
    if isinstance(value, str):
        return shape
    return replace(shape, arguments="" if value is None else json_text(value))
