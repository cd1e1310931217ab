"""Parse tool calls that a model wrote as text, in the forms of the common templates.

Servers without a parser for a model's template pass them through as text.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ollama_transport.wire.values.json_text import find_json

_FUNCTION = re.compile(r"<function=([^>\s]{1,128})>")
_PARAMETER = re.compile(r"<parameter=([^>\s]{1,128})>")
_NAMED = re.compile(r"\s{0,100}([\w.-]{1,128})\s{0,100}(?:\[ARGS\])?\s{0,100}(?=\{)")
_DECODER = json.JSONDecoder(strict=False)
_ARGUMENTS = ("arguments", "parameters", "args")

Tools = Mapping[str, Mapping[str, Any]]
"""The schemas of the tools' parameters, by name."""

Written = tuple[str, Mapping[str, Any] | str]
"""A call: the tool's name, and its arguments, as text where they are not an object."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a template marks calls: from ``start`` to ``end`` ("" means the end of the answer)."""

    start: str
    end: str


FORMS = (
    Form("<tool_call>", "</tool_call>"),  # Hermes, Qwen; GLM with pairs inside
    Form("<function=", "</function>"),  # Llama with JSON inside, Qwen-Coder with parameters
    Form("[TOOL_CALLS]", ""),  # Mistral
    Form("<|python_tag|>", ""),  # Llama
    Form("<|tool_call|>", ""),  # Granite, Phi
)


def calls_in(form: Form, text: str, tools: Tools) -> list[Written]:
    """Return the calls in a marked part of an answer, given with its marks.

    [] when it contains anything but calls of the given tools.
    """
    inner = text[len(form.start) :].removesuffix(form.end) if form.end else text[len(form.start) :]
    if form.start == "<function=":
        found = list(_functions(text, tools))
    elif form.start == "[TOOL_CALLS]":
        found = list(_named(inner))
    elif "<function=" in inner:
        found = list(_functions(inner, tools))
    elif "<arg_key>" in inner or inner.strip() in tools:
        found = [_paired(inner, tools)]
    else:
        found = []
    found = found if found else bare_calls(inner, tools)
    return found if all(name in tools for name, _ in found) else []


def bare_calls(text: str, tools: Tools) -> list[Written]:
    """Return the calls in a text that is JSON, alone or in a code fence; [] for anything else."""
    for found in find_json(text):
        values = found.value if isinstance(found.value, list) else [found.value]
        calls = [call for value in values if (call := read_call(value)) is not None]
        if calls and len(calls) == len(values) and all(name in tools for name, _ in calls):
            return calls
    return []


def read_call(value: object) -> Written | None:
    """Return the call that an object describes; None when it describes none."""
    if not isinstance(value, Mapping):
        return None
    function = value.get("function")
    if isinstance(function, Mapping):
        return read_call(function)
    name = value.get("name", function)
    key = next((key for key in _ARGUMENTS if key in value), None)
    if not isinstance(name, str) or key is None:
        return None
    return name, _arguments(value[key])


def _arguments(value: object) -> Mapping[str, Any] | str:
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        found = _DECODER.decode(value.strip())
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, Mapping) else value


def _functions(text: str, tools: Tools) -> Iterator[Written]:
    for name, inner in _enclosed(_FUNCTION, "</function>", text):
        pairs = list(_enclosed(_PARAMETER, "</parameter>", inner))
        if pairs or not inner.strip():
            yield name, _typed(pairs, tools.get(name, {}))
        else:
            yield name, _arguments(inner)


def _paired(text: str, tools: Tools) -> Written:
    name = text.partition("<arg_key>")[0].strip()
    return name, _typed(_pairs(text), tools.get(name, {}))


def _enclosed(opening: re.Pattern[str], closing: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the name in each opening tag, and what stands between it and the next closing one."""
    at = 0
    # By `find`, since a pattern would look to the end of the text from each opening tag.
    while (tag := opening.search(text, at)) is not None:
        if (end := text.find(closing, tag.end())) < 0:
            return
        yield tag[1], text[tag.end() : end]
        at = end + len(closing)


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return the pairs of ``<arg_key>`` and ``<arg_value>`` in a text, in order."""
    found = []
    for part in text.split("<arg_key>")[1:]:
        key, ends, rest = part.partition("</arg_key>")
        value = rest.lstrip()
        if ends and value.startswith("<arg_value>") and "</arg_value>" in value:
            found.append((key, value.removeprefix("<arg_value>").partition("</arg_value>")[0]))
    return found


def _named(text: str) -> Iterator[Written]:
    """Yield calls written as ``name{…}`` or ``name[ARGS]{…}``, one after the other."""
    at = 0
    while (match := _NAMED.match(text, at)) is not None:
        try:
            value, at = _DECODER.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            return
        yield match.group(1), value


def _typed(pairs: list[tuple[str, str]], schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    return {key.strip(): _value(text, known.get(key.strip())) for key, text in pairs}


def _value(text: str, schema: object) -> Any:
    # The template puts each value on lines of its own.
    text = text.removeprefix("\n").removesuffix("\n")
    if isinstance(schema, Mapping) and schema.get("type") == "string":
        return text
    try:
        return _DECODER.decode(text.strip())
    except (ValueError, RecursionError):
        return text
