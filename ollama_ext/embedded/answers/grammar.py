"""The engine's errors for a schema that its grammar refuses, word for word.

It reads as llama.cpp's converter does (grammar_rules has the table and its sources), so that a
client finds out here what a real Ollama would refuse: the rules themselves could fill in more.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ollama_ext.embedded.protocol.failures import WireError, engine_text
from ollama_transport.schema.grammar_rules import (
    HELD_FORMATS,
    MAX_COUNT,
    MAX_INTEGER,
    MAX_ITEMS,
    MAX_LENGTH,
    TYPES,
)

_CONVERSION = "Field 'json_schema': \"json_schema\": JSON schema conversion failed:\n"
_UNREADABLE = "Failed to initialize samplers: failed to parse grammar"
# In a literal and in a class of a pattern these may follow a backslash: what GBNF reads, and what
# the converter takes the backslash from.
_CLASS_ESCAPES = frozenset('xuUtrn\\"[]')
_LITERAL_ESCAPES = _CLASS_ESCAPES | frozenset("^$.()|{}*+?")
_UNFIT_IN_NAMES = frozenset(']^\\"')
_NOT_FOUND = object()


class _UnreadableError(Exception):
    """The grammar that the converter makes of a schema cannot be read."""


def check_grammar(schema: Mapping[str, Any]) -> None:
    """Refuse a schema as the engine does."""
    errors = [*_dangling(schema, schema)]
    try:
        errors += _Converter(schema).errors(schema)
    except _UnreadableError:
        if not errors:
            raise _refusal(_UNREADABLE, early=False) from None
    if errors:
        raise _refusal(_CONVERSION + "\n".join(errors), early=True)


def _refusal(message: str, *, early: bool) -> WireError:
    return WireError(400, engine_text(400, message, "invalid_request_error"), early=early)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _dangling(node: Any, root: Any) -> Iterator[str]:
    """Yield the problems of all references."""
    if isinstance(node, Mapping) and isinstance(node.get("$ref"), str):
        found = _resolved(node["$ref"], root)
        if isinstance(found, str):
            yield found
        return
    inner = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    for one in inner:
        yield from _dangling(one, root)


def _resolved(ref: str, root: Any) -> Any:
    """Return the target in a tuple, or what is wrong with the reference."""
    if not ref.startswith("#/"):
        return f"Unsupported ref: {ref}"
    target = root
    for step in ref[2:].split("/"):
        following = _step(target, step)
        if following is _NOT_FOUND:
            return f"Error resolving ref {ref}: {step} not in {_dumped(target)}"
        target = following
    return (target,)


def _step(target: Any, step: str) -> Any:
    if isinstance(target, Mapping) and step in target:
        return target[step]
    if isinstance(target, list) and step.isdecimal() and int(step) < len(target):
        return target[int(step)]
    return _NOT_FOUND


class _Converter:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        # A schema may refer to itself; the converter makes one rule of each reference.
        self._seen: set[str] = set()

    def errors(self, schema: Any) -> Iterator[str]:
        """Yield the converter's errors for a schema and for the parts of it that it reads.

        Raises:
            _UnreadableError: for what it converts into a grammar that cannot be read.
        """
        if not isinstance(schema, Mapping):
            yield f"Unrecognized schema: {_dumped(schema)}"
        elif "$ref" in schema:
            yield from self._target(str(schema["$ref"]))
        elif "oneOf" in schema or "anyOf" in schema:
            yield from self._each(schema["oneOf"] if "oneOf" in schema else schema["anyOf"])
        elif isinstance(schema.get("type"), list):
            yield from self._each([{**schema, "type": kind} for kind in schema["type"]])
        elif "const" not in schema and "enum" not in schema:
            yield from self._typed(schema, schema.get("type"))

    def _target(self, ref: str) -> Iterator[str]:
        found = _resolved(ref, self._root)
        if ref not in self._seen and isinstance(found, tuple):
            self._seen.add(ref)
            yield from self.errors(found[0])

    def _each(self, schemas: list[Any]) -> Iterator[str]:
        # GBNF has no rule without alternatives.
        if not schemas:
            raise _UnreadableError
        for one in schemas:
            yield from self.errors(one)

    def _typed(self, schema: Mapping[str, Any], kind: Any) -> Iterator[str]:
        further = schema.get("additionalProperties", True)
        if kind in (None, "object") and ("properties" in schema or further is not True):
            yield from self._object(schema, further)
        elif kind in (None, "object", "string") and "allOf" in schema:
            yield from self._components(schema["allOf"])
        elif kind in (None, "array") and ("items" in schema or "prefixItems" in schema):
            yield from self._array(schema)
        elif kind in (None, "string") and "pattern" in schema:
            yield from pattern_errors(str(schema["pattern"]))
        elif kind == "string" and schema.get("format") not in HELD_FORMATS:
            _check_counts(schema, "minLength", "maxLength", MAX_LENGTH)
        elif kind == "integer":
            _check_integer(schema)
        elif kind is not None and kind not in TYPES:
            yield f"Unrecognized schema: {_dumped(schema)}"

    def _object(self, schema: Mapping[str, Any], further: Any) -> Iterator[str]:
        properties = schema.get("properties", {})
        for one in properties.values():
            yield from self.errors(one)
        if isinstance(further, Mapping):
            yield from self.errors(further)
        open_ended = isinstance(further, Mapping) or (
            further is True and "additionalProperties" in schema
        )
        if open_ended and any(_UNFIT_IN_NAMES & set(name) for name in properties):
            raise _UnreadableError

    def _components(self, components: list[Any]) -> Iterator[str]:
        for one in components:
            parts = one["anyOf"] if isinstance(one, Mapping) and "anyOf" in one else [one]
            for part in parts:
                found = part
                if isinstance(part, Mapping) and "$ref" in part:
                    target = _resolved(str(part["$ref"]), self._root)
                    found = target[0] if isinstance(target, tuple) else {}
                for field in found.get("properties", {}).values():
                    yield from self.errors(field)

    def _array(self, schema: Mapping[str, Any]) -> Iterator[str]:
        items = schema["items"] if "items" in schema else schema["prefixItems"]
        if isinstance(items, list):
            for one in items:
                yield from self.errors(one)
            return
        yield from self.errors(items)
        _check_counts(schema, "minItems", "maxItems", MAX_ITEMS)


def _check_counts(schema: Mapping[str, Any], low: str, high: str, limit: int) -> None:
    least, most = schema.get(low, 0), schema.get(high, limit)
    if least > limit or most > limit or least > most:
        raise _UnreadableError


def _check_integer(schema: Mapping[str, Any]) -> None:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", 0))
    if low > MAX_INTEGER or high < -MAX_INTEGER:
        raise _UnreadableError


def pattern_errors(pattern: str) -> Iterator[str]:
    """Yield the converter's errors for a pattern.

    Raises:
        _UnreadableError: for escapes and counts that it copies but GBNF does not know.
    """
    if not (pattern.startswith("^") and pattern.endswith("$")):
        yield "Pattern must start with '^' and end with '$'"
        return
    text, at, unreadable = pattern[1:-1], 0, False
    while at < len(text):
        if text[at] == "\\":
            unreadable |= text[at + 1 : at + 2] not in _LITERAL_ESCAPES
            at += 2
        elif text[at] == "[":
            end, fit = _class_end(text, at + 1)
            if end is None:
                yield "Unbalanced square brackets"
                return
            unreadable |= not fit
            at = end
        elif text[at] == "{":
            end = text.find("}", at)
            numbers = text[at + 1 : end].split(",")
            if end < 0 or not (numbers[0] + numbers[-1]).isdecimal():
                yield "Unbalanced curly brackets" if end < 0 else "Invalid number in curly brackets"
                return
            unreadable |= any(int(number) > MAX_COUNT for number in numbers if number)
            at = end + 1
        else:
            at += 1
    if unreadable:
        raise _UnreadableError


def _class_end(text: str, at: int) -> tuple[int | None, bool]:
    """Return where a class ends, None for nowhere, and whether GBNF knows its escapes."""
    fit = True
    while at < len(text) and text[at] != "]":
        if text[at] == "\\":
            fit &= text[at + 1 : at + 2] in _CLASS_ESCAPES
            at += 1
        at += 1
    return (at + 1 if at < len(text) else None), fit
