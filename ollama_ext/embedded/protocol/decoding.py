"""Decode like Go's encoding/json: lenient names, strict types, its messages (wire reference 1).

A decoder is a function of a JSON value and the path of its field. It returns what a Go field would
hold, or refuses the request with 400.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from ollama_ext.embedded.protocol.failures import WireError

Decoder = Callable[[Any, str], Any]
_KINDS = {
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
}
_SPACES = " \t\r\n"
# Python's messages, and Go's for the same errors; "value" is what Go looks for otherwise.
_LOOKED_FOR = {
    "Expecting property name": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Expecting ':'": "after object key",
    "Expecting ','": "after object key:value pair",
}


def parse_json(body: bytes, *, when_empty: str = "missing request body") -> Any:
    """Read the first JSON value of a body; what follows it is ignored, as Go does.

    Args:
        body: The request's bytes; broken UTF-8 becomes U+FFFD.
        when_empty: The error for a body without a value.
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
        text = f"json: cannot unmarshal number {digits} into Go value of type float64"
        raise WireError(400, text)
    return number


def _syntax_text(text: str, error: json.JSONDecodeError) -> str:
    rest = text[error.pos :].lstrip(_SPACES)
    if not rest or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    looked = (go for python, go in _LOOKED_FOR.items() if error.msg.startswith(python))
    char = rest[0] if rest[0].isprintable() else f"\\x{ord(rest[0]):02x}"
    return f"invalid character '{char}' {next(looked, 'looking for beginning of value')}"


def _refuse(value: object, path: str, go_type: str) -> WireError:
    kind = _KINDS[type(value)]
    # Go shows the number only when it is a number that does not fit.
    if kind == "number" and go_type.startswith("int"):
        kind = f"number {value}"
    where = f"Go struct field {path}" if "." in path else "Go value"
    return WireError(400, f"json: cannot unmarshal {kind} into {where} of type {go_type}")


def _scalar(go_type: str, zero: object, *types: type) -> Decoder:
    def decode(value: object, path: str) -> object:
        if value is None:
            return zero
        # A bool is an int in Python, and must not pass as a number.
        misfit = isinstance(value, bool) and bool not in types
        if misfit or not isinstance(value, types):
            raise _refuse(value, path, go_type)
        return value

    return decode


# Null leaves the zero value of a field; the fields of Go's pointers have none.
TEXT = _scalar("string", "", str)
FLAG = _scalar("bool", False, bool)
MAYBE_FLAG = _scalar("bool", None, bool)
WHOLE = _scalar("int", 0, int)
MAYBE_WHOLE = _scalar("int", None, int)
MAYBE_NUMBER = _scalar("float64", None, int, float)
OBJECT = _scalar("map[string]interface {}", None, dict)


def anything(value: Any, _path: str) -> Any:
    """Return a value of any JSON type, which is checked later."""
    return value


def blob(value: object, path: str) -> bytes:
    """Return the bytes of standard base64 with padding; CR and LF are tolerated."""
    text: str = TEXT(value, path)
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


def list_of(element: Decoder, go_type: str) -> Decoder:
    """Return the decoder of an array whose elements all decode alike; null is an empty one."""

    def decode(value: Any, path: str) -> list[Any]:
        if value is not None and not isinstance(value, list):
            raise _refuse(value, path, go_type)
        return [element(item, path) for item in value or ()]

    return decode


class Struct:
    """An object with known fields; names ignore case, unknown ones are dropped, the last wins."""

    def __init__(self, go_type: str, fields: Mapping[str, Decoder]) -> None:
        self._go_type = go_type
        self._fields = fields

    def __call__(self, value: Any, path: str) -> dict[str, Any]:
        """Return every field, absent ones with their zero value."""
        if value is not None and not isinstance(value, dict):
            raise _refuse(value, path, self._go_type)
        given: dict[str, Any] = {}
        for name, item in (value or {}).items():
            # An exact name wins over the lower-cased one, so that anyOf is found as well as
            # MODEL.
            field = name if name in self._fields else name.lower()
            if field in self._fields:
                given[field] = self._fields[field](item, f"{path}.{field}")
        return {
            name: given[name] if name in given else decode(None, f"{path}.{name}")
            for name, decode in self._fields.items()
        }

    def read(self, body: bytes, *, when_empty: str = "missing request body") -> dict[str, Any]:
        """Return the fields of a request's body."""
        return self(parse_json(body, when_empty=when_empty), self._go_type.split(".")[-1])
