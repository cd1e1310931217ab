"""Read JSON that is still being written into objects that grow, piece by piece.

Each character is looked at once. What is complete is validated once and then shared by all later
snapshots; a snapshot copies only the containers that are still open.
"""

import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, RootModel, ValidationError

from llamaindex_ollama_ext._shapes import ANYTHING, Record, Shape, record_of, root_shape

_SPACE = " \t\r\n"
_PLAIN = re.compile(r'[^"\\]+')
_SCALAR = re.compile(r"[-+.\w]+")
_SCALARS: dict[str, object] = {"true": True, "false": False, "null": None}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}
_THINK, _THOUGHT = "<think>", "</think>"
_MORE = -1
"""Says that more has to come before the next thing can be read."""


class _NotJsonError(Exception):
    """The text is not JSON; the reader stops, and whoever reads the whole text says why."""


class PartialReader:
    """Turn the pieces of one answer into growing objects of a class; made anew for each answer.

    `push` takes a piece; `snapshot` returns the object as far as it is written: objects that are
    not complete yet are of core's FlexibleModel, with None for what is missing, complete ones of
    their own class. Text before the first brace (a fence, leading thinking) is passed over.
    """

    def __init__(self, output_cls: type[BaseModel]) -> None:
        self._output_cls = output_cls
        self._shape = root_shape(output_cls)
        self._rest = ""
        self._open: list[_Array | _Object] = []
        self._string: str | None = None
        self._state: Callable[[str, int], int] = self._before
        self._result: Any = None
        self._changed = False

    def push(self, piece: str) -> bool:
        """Read a piece and tell whether the object has changed by it."""
        self._changed = False
        text = self._rest + piece
        position = 0
        try:
            while position < len(text):
                following = self._state(text, position)
                if following == _MORE:
                    break
                position = following
        except _NotJsonError:
            self._state = _skip
            position = len(text)
        self._rest = text[position:]
        return self._changed

    @property
    def is_complete(self) -> bool:
        """Tell whether the last bracket has come."""
        return self._result is not None

    def snapshot(self) -> Any:
        """Return the object as far as it is written; one of nothing before it begins."""
        value = self._string if self._open else self._result
        for container in reversed(self._open):
            value = container.snapshot(value)
        if issubclass(self._output_cls, RootModel):
            return self._output_cls.model_construct(root=value)
        return record_of(self._output_cls).partial({}) if value is None else value

    def _before(self, text: str, _: int) -> int:
        start = json_start(text, "{" if self._shape.items is None else "[")
        if start != _MORE:
            self._state = self._between
        return start

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
            self._changed |= not self._at_key()
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
            self._put(word)
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
        self._changed |= not self._at_key()
        return end

    def _scalar(self, text: str, at: int) -> int:
        word = _SCALAR.match(text, at)
        if word is None:
            raise _NotJsonError
        if word.end() == len(text):
            return _MORE  # 12 may become 123
        self._put(_scalar_value(word.group()))
        return word.end()

    def _at_key(self) -> bool:
        return self._open[-1].wants_key

    def _begin(self, bracket: str) -> None:
        shape = self._open[-1].shape_of_next() if self._open else self._shape
        self._open.append(_Object(shape) if bracket == "{" else _Array(shape))
        # An object of nothing is not shown yet, an empty list is.
        self._changed |= bracket == "["

    def _end(self, bracket: str) -> None:
        container = self._open[-1]
        if container.closing != bracket:
            raise _NotJsonError
        self._open.pop()
        self._put(container.complete())

    def _put(self, value: Any) -> None:
        if self._open:
            self._changed |= self._open[-1].put(value)
            return
        self._result = value
        self._changed = True
        self._state = _skip


class _Array:
    """A list that is still open; its methods are those of `_Object`."""

    closing = "]"
    wants_key = False

    def __init__(self, shape: Shape) -> None:
        self._items: list[Any] = []
        self._shape = shape

    def put(self, value: Any) -> bool:
        self._items.append(value)
        return True

    def punctuate(self, character: str) -> None:
        if character == ":":
            raise _NotJsonError

    def shape_of_next(self) -> Shape:
        return self._shape.items if self._shape.items is not None else ANYTHING

    def snapshot(self, inner: Any) -> list[Any]:
        return [*self._items] if inner is None else [*self._items, inner]

    def complete(self) -> list[Any]:
        return self._items


class _Object:
    """An object that is still open.

    `put` adds a key or a complete value and tells whether the value can be seen; `punctuate` takes
    a comma or colon; `shape_of_next` is what the annotations say of the next value; `snapshot` is
    a copy with what is being written inside, None for nothing; `complete` the finished value.
    """

    closing = "}"

    def __init__(self, shape: Shape) -> None:
        self._model = shape.model
        self._record: Record | None = None if shape.model is None else record_of(shape.model)
        self._others = shape.values if shape.values is not None else ANYTHING
        self._values: dict[str, Any] = {}
        self._key: str | None = None
        self.wants_key = True

    def put(self, value: Any) -> bool:
        if self.wants_key:
            if not isinstance(value, str):
                raise _NotJsonError
            self._key = value
            return False
        if self._key is None:
            raise _NotJsonError
        self._values[self._key] = value
        self._key = None
        return True

    def punctuate(self, character: str) -> None:
        self.wants_key = character == ","

    def shape_of_next(self) -> Shape:
        if self._key is None:
            raise _NotJsonError
        found = None if self._record is None else self._record.fields.get(self._key)
        return self._others if found is None else found[1]

    def snapshot(self, inner: Any) -> Any:
        values = {**self._values}
        if inner is not None and self._key is not None and not self.wants_key:
            values[self._key] = inner
        return self._partial(values) if values else None

    def complete(self) -> Any:
        if self._model is None:
            return self._values
        try:
            return self._model.model_validate(self._values)
        except ValidationError:
            # The final check of the whole text tells; until then it is shown as it is.
            return self._partial(self._values)

    def _partial(self, values: dict[str, Any]) -> Any:
        return values if self._record is None else self._record.partial(self._record.named(values))


def json_start(text: str, bracket: str) -> int:
    """Return where the JSON of an answer begins; negative while that is not known."""
    after = 0
    if text.lstrip().startswith(_THINK):
        after = text.find(_THOUGHT)
    return _MORE if after < 0 else text.find(bracket, after)


def _skip(text: str, _: int) -> int:
    return len(text)


def _code(text: str, at: int) -> int:
    digits = text[at + 2 : at + 6]
    if len(digits) < 4:
        return 0
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
