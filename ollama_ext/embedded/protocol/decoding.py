"""Decode like Go's encoding/json: lenient names, strict types, its messages (wire reference 1)."""

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ollama_ext.embedded.protocol.failures import WireError

_KINDS = {
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
}
_SPACES = " \t\r\n"
# Also matches at the end; possessive, so that each character is read once.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NAMED = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\b": r"\b", "\f": r"\f"}
# Python's messages, and Go's for the same errors.
_OUTSIDE = (
    ("Expecting property name", "looking for beginning of object key string"),
    ("Illegal trailing comma before end of object", "looking for beginning of object key string"),
    ("Expecting ':'", "after object key"),
    ("Invalid control character", "in string literal"),
    ("Invalid \\escape", "in string escape code"),
)


def parse_json(body: bytes, *, when_empty: str = "missing request body") -> object:
    """Read the first JSON value of a body; what follows it is ignored, as Go does.

    Args:
        body: The request's bytes; broken UTF-8 becomes U+FFFD.
        when_empty: The error for a body without a value.

    Raises:
        WireError: 400, with Go's text for the syntax error.
    """
    # Broken UTF-8 is repaired, not refused (wire reference 1.9).
    text = body.decode("utf-8", "replace").lstrip(_SPACES)
    if not text:
        raise WireError(400, when_empty)
    try:
        reader = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
        value, _ = reader.raw_decode(text)
    except json.JSONDecodeError as error:
        raise WireError(400, _syntax_text(text, error)) from error
    return value


# Python reads NaN and Infinity, which JSON does not have.
def _refuse_constant(name: str) -> object:
    raise WireError(400, f"invalid character '{name[0]}' looking for beginning of value")


# Python reads 1e400 as infinity, where Go refuses the number.
def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise WireError(
            400, f"json: cannot unmarshal number {digits} into Go value of type float64"
        )
    return number


def _syntax_text(text: str, error: json.JSONDecodeError) -> str:
    in_string = error.msg.startswith("Invalid")
    rest = text[error.pos :] if in_string else text[error.pos :].lstrip(_SPACES)
    if not rest or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    if error.msg.startswith("Expecting ','"):
        where = _after_element(text[: error.pos])
    else:
        where = next((go for python, go in _OUTSIDE if error.msg.startswith(python)), "")
    return f"invalid character {_quote(rest[0])} {where or 'looking for beginning of value'}"


def _after_element(before: str) -> str:
    # Brackets inside strings do not count.
    bare = _STRING.sub("", before)
    depth = 0
    for char in reversed(bare):
        depth += (char in "]}") - (char in "[{")
        if depth < 0:
            return "after array element" if char == "[" else "after object key:value pair"
    return "after top-level value"


def _quote(char: str) -> str:
    if char == "'":
        return r"'\''"
    if char in _NAMED:
        return f"'{_NAMED[char]}'"
    return f"'{char}'" if char.isprintable() else f"'\\x{ord(char):02x}'"


class Decoder(Protocol):
    """Turns a JSON value into what a Go field would hold."""

    def decode(self, value: object, path: str, /) -> object:
        """Return the decoded value, or raise WireError (400) naming ``path``."""


def _refuse(value: object, path: str, go_type: str) -> WireError:
    kind = _KINDS[type(value)]
    # Go shows the number only when it is a number that does not fit.
    if kind == "number" and go_type.startswith("int"):
        kind = f"number {value}"
    where = f"Go struct field {path}" if "." in path else "Go value"
    return WireError(400, f"json: cannot unmarshal {kind} into {where} of type {go_type}")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, bool, int or float64 field; null leaves its zero value."""

    go_type: str
    zero: object
    types: tuple[type, ...]

    def decode(self, value: object, path: str, /) -> object:
        """Return the value itself, or the zero value for null."""
        if value is None:
            return self.zero
        # A bool is an int in Python, and must not pass as a number.
        misfit = isinstance(value, bool) and bool not in self.types
        if misfit or not isinstance(value, self.types):
            raise _refuse(value, path, self.go_type)
        return value


TEXT = Scalar("string", "", (str,))
FLAG = Scalar("bool", False, (bool,))
MAYBE_FLAG = Scalar("bool", None, (bool,))
WHOLE = Scalar("int", 0, (int,))
MAYBE_WHOLE = Scalar("int", None, (int,))
MAYBE_NUMBER = Scalar("float64", None, (int, float))
OBJECT = Scalar("map[string]interface {}", None, (dict,))


@dataclass(frozen=True, slots=True)
class Anything:
    """A field of any JSON type, checked later."""

    def decode(self, value: object, _path: str, /) -> object:
        """Return the value unchanged."""
        return value


ANYTHING = Anything()


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes in standard base64 with padding; CR and LF are tolerated."""

    def decode(self, value: object, path: str, /) -> bytes:
        """Return the bytes, or raise with the index of the first bad byte."""
        text = str(TEXT.decode(value, path))
        bad = _bad_base64(text)
        if bad is not None:
            raise WireError(400, f"illegal base64 data at input byte {bad}")
        return base64.b64decode(text)


def _bad_base64(text: str) -> int | None:
    # The index counts from the start of the text, line breaks included.
    foreign = re.search(r"[^A-Za-z0-9+/=\r\n]", text)
    if foreign:
        return foreign.start()
    digits = len(text) - text.count("\r") - text.count("\n")
    if digits % 4:
        return len(text) - digits % 4
    try:
        base64.b64decode(text, validate=False)
    except binascii.Error:
        return text.index("=")
    return None


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array whose elements all decode alike; null is an empty one."""

    element: Decoder
    go_type: str

    def decode(self, value: object, path: str, /) -> list[object]:
        """Return the decoded elements."""
        if value is None:
            return []
        if not isinstance(value, list):
            raise _refuse(value, path, self.go_type)
        return [self.element.decode(item, path) for item in value]


@dataclass(frozen=True, slots=True)
class Struct:
    """An object with known fields; names ignore case, unknown ones are dropped, the last wins."""

    go_type: str
    fields: Mapping[str, Decoder]

    def decode(self, value: object, path: str, /) -> dict[str, Any]:
        """Return every field, absent ones with their zero value."""
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise _refuse(value, path, self.go_type)
        given: dict[str, object] = {}
        for name, item in value.items():
            # An exact name wins over the lower-cased one, so that anyOf is found as well as
            # MODEL.
            field = name if name in self.fields else name.lower()
            if field in self.fields:
                given[field] = self.fields[field].decode(item, f"{path}.{field}")
        return {
            name: given[name] if name in given else decoder.decode(None, f"{path}.{name}")
            for name, decoder in self.fields.items()
        }


def decode_body(
    struct: Struct, body: bytes, *, when_empty: str = "missing request body"
) -> dict[str, Any]:
    """Read a request's body into a struct.

    Raises:
        WireError: 400, for bad syntax or a field of a wrong type.
    """
    return struct.decode(parse_json(body, when_empty=when_empty), struct.go_type.split(".")[-1])
