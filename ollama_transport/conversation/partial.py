"""Parse incomplete JSON into growing values, piece by piece.

Each character is read once. A complete value gets its final form once and is then shared by all
later snapshots; a snapshot copies only the containers that are still open.
"""

import re
from collections.abc import Callable
from typing import Any

_SPACE = " \t\r\n"
_PLAIN = re.compile(r'[^"\\]+')
_SCALAR = re.compile(r"[-+.\w]+")
_SCALARS: dict[str, object] = {"true": True, "false": False, "null": None}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}
_THINK, _THOUGHT = "<think>", "</think>"
_MORE = -1
"""Returned by a state that needs more text to continue."""


class NotYetError(Exception):
    """Raised by a target for a container that cannot be shown before more of it has arrived."""


class _NotJsonError(Exception):
    """Raised for text that is not JSON; the parser of the whole text reports the reason later."""


class Target:
    """Converts the values of an answer; this one keeps them unchanged.

    An adapter overrides what its framework needs. Each method is called once for each container,
    except `partial`, which is called for the open ones at each snapshot.
    """

    def of_key(self, key: str) -> "Target | None":  # noqa: ARG002 # for subclasses
        """Return the target of an object's value; None for a value that is never shown."""
        return self

    def of_item(self) -> "Target":
        """Return the target of a list's items."""
        return self

    def whole(self, value: Any) -> Any:
        """Return a complete value, converted.

        Raises:
            ValueError: when it does not fit; then nothing more of the answer is shown.
        """
        return value

    def partial(self, value: Any, key: str | None) -> Any:  # noqa: ARG002 # for subclasses
        """Return the copy of a list or an object that is still open, converted.

        ``key`` is that of the value still being written; None if there is none.

        Raises:
            NotYetError: when it cannot be shown before more has arrived.
        """
        return value

    @property
    def end_shows(self) -> bool:
        """Return whether an object looks different once it is complete."""
        return False


PLAIN = Target()


class PartialReader:
    """Turns the pieces of one answer into a growing value; make one for each answer.

    `push` takes a piece; `snapshot` returns the value as far as it has arrived. ``opening`` are the
    brackets that it may begin with. Text before the first of them (prose, a code fence, leading
    thoughts) is skipped, and so are brackets that do not begin JSON.
    """

    def __init__(self, target: Target = PLAIN, opening: str = "{[") -> None:
        self._target = target
        self._opening = re.compile(f"[{re.escape(opening)}]")
        self._rest = ""
        self._open: list[_Array | _Object] = []
        self._string: str | None = None
        self._state: Callable[[str, int], int] = self._lead
        self._result: Any = None
        self._complete = False
        self._changed = False
        self._shown = False

    def push(self, piece: str) -> bool:
        """Read a piece and return whether it changed the value."""
        self._changed = False
        text = self._rest + piece
        position = 0
        while position < len(text):
            try:
                following = self._state(text, position)
            except _NotJsonError:
                following = self._give_up(text, position)
            except ValueError:  # from a target: a complete value does not fit
                self._state, following = _skip, len(text)
            if following == _MORE:
                break
            position = following
        self._rest = text[position:]
        self._shown |= self._changed
        return self._changed

    @property
    def is_complete(self) -> bool:
        """Return whether the last bracket has arrived."""
        return self._complete

    def snapshot(self) -> Any:
        """Return the value as far as it has arrived; None before it begins.

        Raises:
            NotYetError: from `Target.partial`.
        """
        value = self._string if self._open else self._result
        for container in reversed(self._open):
            value = container.snapshot(value)
        return value

    def _give_up(self, text: str, at: int) -> int:
        # Prose may contain brackets, so search on, unless part of the value was already shown.
        if self._shown or self._changed:
            self._state = _skip
            return len(text)
        self._open, self._string, self._state = [], None, self._search
        return at

    def _lead(self, text: str, at: int) -> int:
        start = text[at:].lstrip()
        # The tag may be split between two pieces.
        if _THINK.startswith(start) or not start:
            return _MORE
        self._state = self._thinking if start.startswith(_THINK) else self._search
        return at

    def _thinking(self, text: str, at: int) -> int:
        end = text.find(_THOUGHT, at)
        if end >= 0:
            self._state = self._search
            return end + len(_THOUGHT)
        # The tag may be split between two pieces.
        kept = len(text) - len(_THOUGHT)
        return kept if kept > at else _MORE

    def _search(self, text: str, at: int) -> int:
        start = self._opening.search(text, at)
        if start is None:
            return len(text)
        self._state = self._between
        return start.start()

    def _between(self, text: str, at: int) -> int:
        character = text[at]
        if character in _SPACE:
            return at + 1
        if character in "{[":
            self._begin(character)
        elif character in "}]":
            self._end(character)
        elif character == '"':
            self._string = ""
            self._state = self._inside
            self._changed |= self._is_seen()
        elif character in ",:":
            self._open[-1].punctuate(character)
        else:
            return self._scalar(text, at)
        return at + 1

    def _inside(self, text: str, at: int) -> int:
        assert self._string is not None
        if text[at] == '"':
            word, self._string = self._string, None
            self._state = self._between
            # `_changed` stays: the string was shown while it grew.
            self._open[-1].put_scalar(word)
            return at + 1
        if text[at] == "\\":
            return self._escape(text, at)
        run = _PLAIN.match(text, at)
        assert run is not None
        return self._grow(run.group(), run.end())

    def _escape(self, text: str, at: int) -> int:
        kind = text[at + 1 : at + 2]
        if kind != "u":
            if kind and kind not in _ESCAPES:
                raise _NotJsonError
            return self._grow(_ESCAPES[kind], at + 2) if kind else _MORE
        end = at + 6
        if 0xD800 <= _code(text, at) < 0xDC00:
            end = at + 12  # the other half of a character beyond the first 65536
        if len(text) < end:
            return _MORE
        units = [_code(text, start) for start in range(at, end, 6)]
        encoded = b"".join(unit.to_bytes(2, "big") for unit in units)
        return self._grow(encoded.decode("utf-16-be", "replace"), end)

    def _grow(self, more: str, end: int) -> int:
        assert self._string is not None
        self._string += more
        self._changed |= self._is_seen()
        return end

    def _scalar(self, text: str, at: int) -> int:
        word = _SCALAR.match(text, at)
        if word is None:
            raise _NotJsonError
        if word.end() == len(text):
            return _MORE  # 12 may become 123
        self._changed |= self._open[-1].put_scalar(_scalar_value(word.group()))
        return word.end()

    def _is_seen(self) -> bool:
        return self._open[-1].is_seen

    def _begin(self, bracket: str) -> None:
        target = self._open[-1].target_of_next() if self._open else self._target
        hidden = target is None or bool(self._open and not self._open[-1].is_seen)
        kind = _Object if bracket == "{" else _Array
        self._open.append(kind(PLAIN if target is None else target, hidden=hidden))
        # An empty object is not shown yet, an empty list is.
        self._changed |= bracket == "[" and not hidden

    def _end(self, bracket: str) -> None:
        container = self._open[-1]
        if container.closing != bracket:
            raise _NotJsonError
        value = container.complete()
        self._open.pop()
        self._put(value, shows=container.end_shows)

    def _put(self, value: Any, *, shows: bool) -> None:
        if self._open:
            self._changed |= self._open[-1].put(value) and shows
            return
        self._result = value
        self._complete = self._changed = True
        self._state = _skip


class _Array:
    """A list that is still open, with the same methods as `_Object`."""

    closing = "]"
    end_shows = False  # its last item was shown already

    def __init__(self, target: Target, *, hidden: bool) -> None:
        self._target = target
        self._item = target.of_item()
        self._items: list[Any] = []
        self.is_seen = not hidden

    def put(self, value: Any) -> bool:
        self._items.append(value)
        return self.is_seen

    def put_scalar(self, value: Any) -> bool:
        return self.put(self._item.whole(value))

    def punctuate(self, character: str) -> None:
        if character == ":":
            raise _NotJsonError

    def target_of_next(self) -> Target:
        return self._item

    def snapshot(self, inner: Any) -> Any:
        items = [*self._items] if inner is None else [*self._items, inner]
        return self._target.partial(items, None if inner is None else "")

    def complete(self) -> Any:
        return self._target.whole(self._items)


class _Object:
    """An object that is still open.

    `put` adds a key or a complete value and returns whether the value is visible; `put_scalar` is
    the same for a value that is neither object nor list; `punctuate` takes a comma or colon;
    `target_of_next` is the target of the next value, None if that is never shown; `snapshot` is a
    copy that includes the unfinished inner value, if any; `complete` is the finished value.
    """

    closing = "}"

    def __init__(self, target: Target, *, hidden: bool) -> None:
        self._target = target
        self._hidden = hidden
        self._values: dict[str, Any] = {}
        self._key: str | None = None
        self._next: Target | None = None
        self._wants_key = True

    @property
    def is_seen(self) -> bool:
        return not (self._hidden or self._wants_key or self._next is None)

    @property
    def end_shows(self) -> bool:
        return not self._values or self._target.end_shows

    def put(self, value: Any) -> bool:
        if self._wants_key:
            if not isinstance(value, str):
                raise _NotJsonError
            self._key = value
            self._next = self._target.of_key(value)
            return False
        if self._key is None:
            raise _NotJsonError
        self._values[self._key] = value
        self._key = None
        return self.is_seen

    put_scalar = put

    def punctuate(self, character: str) -> None:
        self._wants_key = character == ","

    def target_of_next(self) -> Target | None:
        if self._key is None:
            raise _NotJsonError
        return self._next

    def snapshot(self, inner: Any) -> Any:
        values = {**self._values}
        key = None if self._wants_key or inner is None else self._key
        if key is not None:
            values[key] = inner
        return self._target.partial(values, key) if values else None

    def complete(self) -> Any:
        return self._target.whole(self._values)


def _skip(text: str, _: int) -> int:
    return len(text)


def _code(text: str, at: int) -> int:
    digits = text[at + 2 : at + 6]
    if len(digits) < 4:
        return 0  # more text is needed, which `_escape` finds by the length
    try:
        return int(digits, 16)
    except ValueError:
        raise _NotJsonError from None


def _scalar_value(word: str) -> object:
    if word in _SCALARS:
        return _SCALARS[word]
    try:
        return int(word) if word.lstrip("-").isdigit() else float(word)
    except ValueError:
        raise _NotJsonError from None
