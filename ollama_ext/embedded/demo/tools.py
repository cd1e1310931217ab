"""Which tools a prompt asks for, and with what arguments."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ollama_ext.embedded.demo.schema import NAME_LIKE, TEXT_LIKE, fill_schema, name_words
from ollama_ext.embedded.demo.text import STOP_WORDS, key_words, stem, word_set, words
from ollama_ext.embedded.demo.values import Values
from ollama_ext.embedded.engine import ToolCall

# Words in the name or description of nearly every tool, which distinguish none.
_GENERIC = frozenset(
    stem(word)
    for word in word_set(
        """apply arg argument call compute current do fetch find function get given input
    integer number output retrieve return run string take text tool two use useful value
    information provide question answer"""
    )
)
_OPERATIONS = (
    (r"\+|plus|added to", {"add", "adder", "sum", "addition", "plus"}),
    (r"\*|×|x|times|multiplied by", {"multiply", "product", "multiplication", "times"}),
    (r"-|−|minus", {"subtract", "difference", "minus", "subtraction"}),
    (r"/|÷|divided by|over", {"divide", "quotient", "division"}),
)
_NUMBER = r"-?\d{1,18}+(?:\.\d{1,18}+)?"
_OPERATIONS_BY_STEM = [
    (
        re.compile(rf"(?<![\d.])({_NUMBER})\s{{0,20}}(?:{sign})\s{{0,20}}({_NUMBER})"),
        {stem(n) for n in names},
    )
    for sign, names in _OPERATIONS
]
# Commas between arguments, but not those inside a list or an object.
_SPLIT = re.compile(r",(?![^(\[{]{0,200}[)\]}])")
_MOST_CALLS = 32
"""Calls of one tool for the names in a prompt: each reads the whole prompt again."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the demo sees it."""

    name: str
    description: str  # what it is for
    parameters: Mapping[str, Any]  # the JSON schema of its arguments

    @property
    def properties(self) -> Mapping[str, Any]:
        """The schemas of its arguments, by name."""
        found: Mapping[str, Any] = self.parameters.get("properties") or {}
        return found

    @property
    def required(self) -> list[str]:
        """The names of its required arguments."""
        return [name for name in self.parameters.get("required") or [] if name in self.properties]


def tools_of(given: Sequence[Mapping[str, Any]]) -> list[Tool]:
    """Return the tools of a request."""
    functions = [tool["function"] for tool in given]
    return [Tool(f["name"], f["description"], f["parameters"] or {}) for f in functions]


@dataclass(frozen=True, slots=True)
class _Hit:
    tool: Tool
    score: float
    at: int
    explicit: bool


def plan_calls(text: str, tools: Sequence[Tool]) -> list[ToolCall]:
    """Return the calls a text asks for: one for each tool or item that it names."""
    # A request written as code is unambiguous.
    written = [call for tool in tools for call in _written_calls(text, tool)]
    written = written or _arithmetic(text, tools)
    if written:
        return written
    found = [hit for tool in tools if (hit := _hit(text, tool))]
    hits = _chosen(found or _searches(text, tools))
    calls: list[ToolCall] = []
    for index, hit in enumerate(hits):
        start = hit.at if index else 0
        end = hits[index + 1].at if index + 1 < len(hits) else len(text)
        # Each tool reads its own part of the text, if that is enough for it.
        part = text[start:end] if can_fill(hit.tool, text[start:end]) else text
        calls += _repeated(hit.tool, part)
    return calls


def best_call(text: str, tools: Sequence[Tool], called: Sequence[str] = ()) -> ToolCall:
    """Return the one call that fits best, whether a text asks for it or not.

    Args:
        text: The request.
        tools: At least one tool.
        called: Tools that were called already; others are preferred.
    """
    # A forced loop has to move on to the tool that ends it.
    fresh = [tool for tool in tools if tool.name not in called] or list(tools)
    planned = plan_calls(text, fresh)
    if planned:
        return planned[0]
    best = max(fresh, key=lambda tool: _score(text, tool) + can_fill(tool, text) / 2)
    return ToolCall(best.name, arguments_for(best, text))


def arguments_for(tool: Tool, text: str) -> dict[str, object]:
    """Fill a tool's arguments from a text."""
    filled = fill_schema({"type": "object", **tool.parameters}, Values(text))
    return filled if isinstance(filled, dict) else {}


def can_fill(tool: Tool, text: str) -> bool:
    """Return whether a text contains every required argument of a tool."""
    values = Values(text)
    kinds = [_needs(name, tool.properties[name]) for name in tool.required]
    enough = len(values.numbers) >= kinds.count("number")
    names = len(values.names) + len(values.quoted)
    return enough and (names > 0 or "name" not in kinds or _all_keyed(tool, values))


def _all_keyed(tool: Tool, values: Values) -> bool:
    return all(values.keyed(name) is not None for name in tool.required)


def _needs(name: str, schema: Mapping[str, Any]) -> str:
    if schema.get("type") in ("integer", "number"):
        return "number"
    if "enum" in schema or schema.get("type") not in ("string", None):
        return "other"
    roles = set(name_words(name))
    if roles & TEXT_LIKE:
        return "text"
    return "name" if roles & NAME_LIKE else "other"


def _written_calls(text: str, tool: Tool) -> list[ToolCall]:
    # As in code: magic_function(3), or get_weather(city="Paris").
    pattern = rf"(?<!\w){re.escape(tool.name)}\(([^()]*)\)"
    return [
        ToolCall(tool.name, _written_arguments(match.group(1), list(tool.properties)))
        for match in re.finditer(pattern, text)
    ]


def _written_arguments(inside: str, names: Sequence[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    parts = [part.strip() for part in _SPLIT.split(inside) if part.strip()]
    for index, part in enumerate(parts):
        name, equals, value = part.partition("=")
        if equals:
            found[name.strip()] = _literal(value.strip())
        elif index < len(names):
            found[names[index]] = _literal(part)
    return found


def _literal(text: str) -> object:
    try:
        return json.loads(text)
    # RecursionError for brackets without end, ValueError also for too many digits.
    except (ValueError, RecursionError):
        return text.strip("'\"")


def _arithmetic(text: str, tools: Sequence[Tool]) -> list[ToolCall]:
    # Infix, as people write it: 3 + 4, or 3 times 4.
    found: list[tuple[int, ToolCall]] = []
    for pattern, names in _OPERATIONS_BY_STEM:
        for tool in tools:
            numeric = [n for n in tool.required if _needs(n, tool.properties[n]) == "number"]
            if len(numeric) != 2 or not names & (_own_words(tool.name + " " + tool.description)):
                continue
            for match in pattern.finditer(text):
                pair = dict(zip(numeric, map(_literal, match.groups()), strict=True))
                found.append((match.start(), ToolCall(tool.name, pair)))
    return [call for _, call in sorted(found, key=lambda item: item[0])]


def _searches(text: str, tools: Sequence[Tool]) -> list[_Hit]:
    # A question that names no tool goes to the one tool that takes a question.
    takers = [t for t in tools if [_needs(n, t.properties[n]) for n in t.required] == ["text"]]
    if len(takers) != 1 or not text.rstrip().endswith("?") or not key_words(text):
        return []
    return [_Hit(takers[0], 1.0, 0, explicit=False)]


def _hit(text: str, tool: Tool) -> _Hit | None:
    named = re.search(rf"(?<!\w){re.escape(tool.name)}(?!\w)", text, re.IGNORECASE)
    if named is None:
        spoken = r"[\s_-]+".join(map(re.escape, name_words(tool.name)))
        named = re.search(rf"(?<!\w){spoken}(?!\w)", text, re.IGNORECASE)
    if named:
        return _Hit(tool, 100.0, named.start(), explicit=True)
    score = _score(text, tool)
    if score < 1 or not can_fill(tool, text) or not _enough(tool, score):
        return None
    return _Hit(tool, score, _position(text, tool), explicit=False)


def _enough(tool: Tool, score: float) -> bool:
    # Without an argument to check, more of the name has to be said.
    return bool(tool.required) or score >= 2 * min(2, len(_own_words(tool.name)))


def _own_words(name_or_text: str) -> set[str]:
    spoken = " ".join(name_words(name_or_text))
    return {stem(w) for w in words(spoken) if w not in STOP_WORDS} - _GENERIC


def _score(text: str, tool: Tool) -> float:
    said = set(key_words(text))
    by_name = len(said & _own_words(tool.name))
    described = said & (_own_words(tool.description) - _own_words(tool.name))
    filled = {_needs(name, tool.properties[name]) for name in tool.required} & {"number", "name"}
    # One word of the description is enough beside numbers or names that fit the arguments.
    return 2 * by_name + len(described) * (1.0 if filled or by_name else 0.5)


def _position(text: str, tool: Tool) -> int:
    wanted = _own_words(tool.name) | _own_words(tool.description)
    for match in re.finditer(r"\w+", text):
        if stem(match.group()) in wanted:
            return match.start()
    return 0


def _chosen(hits: Sequence[_Hit]) -> list[_Hit]:
    best: dict[int, _Hit] = {}
    # A tool that was named settles what else counts: a word of another tool's name.
    least = (
        2.0 if any(hit.explicit for hit in hits) else max((h.score / 2 for h in hits), default=0)
    )
    for hit in sorted(hits, key=lambda hit: -hit.score):
        # Two tools at one word: the better one was meant.
        if hit.score >= least:
            best.setdefault(hit.at, hit)
    return [best[at] for at in sorted(best)]


def _repeated(tool: Tool, text: str) -> list[ToolCall]:
    """Call a tool once for each name or group of numbers that a text gives it."""
    values = Values(text)
    kinds = {name: _needs(name, tool.properties[name]) for name in tool.required}
    numeric = [name for name, kind in kinds.items() if kind == "number"]
    # "in Paris and in London" is two calls of a tool that takes one place.
    if len(tool.required) == 1 and "name" in kinds.values():
        found = values.quoted or values.names
        if len(found) > 1:
            return [
                ToolCall(tool.name, _with(tool, text, tool.required[0], n))
                for n in found[:_MOST_CALLS]
            ]
    # Four numbers for a tool of two are two calls.
    groups, rest = divmod(len(values.numbers), len(numeric)) if numeric else (1, 0)
    if groups > 1 and not rest and len(numeric) == len(tool.required):
        size = len(numeric)
        rows = [values.numbers[i * size : (i + 1) * size] for i in range(groups)]
        return [ToolCall(tool.name, dict(zip(numeric, row, strict=True))) for row in rows]
    return [ToolCall(tool.name, arguments_for(tool, text))]


def _with(tool: Tool, text: str, name: str, value: str) -> dict[str, object]:
    filled = fill_schema({"type": "object", **tool.parameters}, Values(text, {name: value}))
    return filled if isinstance(filled, dict) else {}
