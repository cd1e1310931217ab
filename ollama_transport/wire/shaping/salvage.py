"""Find tool calls that a server left in the text: parse them if wanted, else warn."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ollama_transport.callers import caller_level
from ollama_transport.schema.grammar_tools import tool_name
from ollama_transport.settings.values import MAPPINGS
from ollama_transport.wire.shaping.call_text import (
    FORMS,
    Form,
    Tools,
    Written,
    bare_calls,
    calls_in,
)
from ollama_transport.wire.values.answers import ChatLine
from ollama_transport.wire.values.messages import ToolCall, made_id

_MARKS = tuple(form.start for form in FORMS)
_BARE = Form("", "")
# The start of an object that may be a call: its bracket and first key.
_HEAD = re.compile(r'(?:```(?:json)?)?\s{0,100}\[?\s{0,100}\{\s{0,100}"(name|function|type|id)"')
# No text is held back longer than this because it may become such a start.
_MAX_HEAD = 240


class UnreadToolCallWarning(UserWarning):
    """Warns that an answer contains a tool call as text, which is not parsed."""


def tool_schemas(tools: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the schemas of the tools' parameters, by name."""
    found = {}
    for tool in tools:
        parameters = tool["function"].get("parameters")
        found[tool_name(tool)] = parameters if isinstance(parameters, MAPPINGS) else {}
    return found


class CallSalvager:
    """Turns the calls in one answer's text into tool calls; make one for each answer.

    `push` transforms each line. Text is held back from the start mark of a call to its end; if it
    is not a call of one of the given tools, it stays text. Calls among the thoughts are used at the
    end of an answer that has no others.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._rest = ""
        self._form: Form | None = None
        self._searched = 0
        self._is_start = True
        self._thoughts: list[str] = []
        self._count = 0
        self._has_calls = False

    def push(self, line: ChatLine) -> ChatLine:
        """Return the line with the calls that end in it."""
        self._has_calls |= bool(line.tool_calls or line.tool_call_deltas)
        self._thoughts.append(line.thinking)
        text, calls = self._take(line.text, is_last=line.done)
        if line.done and not (calls or self._count or self._has_calls):
            calls = _marked_calls("".join(self._thoughts), self._tools)
        if text == line.text and not calls:
            return line
        made = [self._made(call, line.created_at) for call in calls]
        message = replace(line.message, content=text, tool_calls=(*line.message.tool_calls, *made))
        return replace(line, message=message)

    def _made(self, call: Written, created_at: str) -> ToolCall:
        name, arguments = call
        self._count += 1
        return ToolCall(name, arguments, id=made_id(f"{created_at}|text", self._count, name))

    def _take(self, piece: str, *, is_last: bool) -> tuple[str, list[Written]]:
        """Return the text that is certainly not part of a call, and the complete calls."""
        text, calls = "", list[Written]()
        self._rest += piece
        while self._rest:
            if self._form is None:
                said = self._pass_text(is_last)
                text += said
                if self._form is None:
                    break
            held = self._ended(is_last)
            if held is None:
                break
            found = self._read(held)
            calls += found
            text += "" if found else held
        # White space between calls comes from the template.
        return ("" if calls and not text.strip() else text), calls

    def _pass_text(self, is_last: bool) -> str:
        """Return the text before the next mark, and remember the form of that mark."""
        if self._is_start and (said := self._start(is_last)) is not None:
            return said
        places = [(at, form) for form in FORMS if (at := self._rest.find(form.start)) >= 0]
        if places:
            at, self._form = min(places, key=lambda place: place[0])
        else:
            at = len(self._rest) - (0 if is_last else _held(self._rest))
        text, self._rest = self._rest[:at], self._rest[at:]
        return text

    def _start(self, is_last: bool) -> str | None:
        """Return "" while the beginning may be a call without a mark; None if it is not one."""
        said = self._rest.lstrip()
        if _HEAD.match(said):
            self._form, self._is_start = _BARE, False
            return ""
        if not is_last and len(said) < _MAX_HEAD and _may_be_bare(said):
            return ""
        self._is_start = False
        return None

    def _ended(self, is_last: bool) -> str | None:
        """Return the text that was held back, if its end has arrived."""
        assert self._form is not None
        mark = self._form.end
        end = self._rest.find(mark, max(0, self._searched - len(mark))) if mark else -1
        if end < 0 and not is_last:
            self._searched = len(self._rest)
            return None
        self._searched = 0
        cut = len(self._rest) if end < 0 else end + len(self._form.end)
        held, self._rest = self._rest[:cut], self._rest[cut:]
        return held

    def _read(self, held: str) -> list[Written]:
        form, self._form = self._form, None
        assert form is not None
        if form.end and not held.endswith(form.end):
            return []  # it was cut: an incomplete call is never run
        return bare_calls(held, self._tools) if form is _BARE else calls_in(form, held, self._tools)


def _marked_calls(text: str, tools: Tools) -> list[Written]:
    """Return the marked calls in thoughts: bare JSON there may just be part of the reasoning."""
    if not any(mark in text for mark in _MARKS):
        return []
    found = CallSalvager(tools)
    found._is_start = False
    _, calls = found._take(text, is_last=True)
    return calls


def _may_be_bare(text: str) -> bool:
    return not text or text[0] in "{[`"


def _held(text: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a mark."""
    # A stream may be cut in the middle of a mark.
    longest = min(len(text), max(map(len, _MARKS)) - 1)
    for count in range(longest, 0, -1):
        if any(mark.startswith(text[-count:]) for mark in _MARKS):
            return count
    return 0


class CallWatcher:
    """Warns, once per model, of a call in an answer's text; make one for each answer."""

    def __init__(self, tools: Tools, model: str | None) -> None:
        self._tools = tools
        self._model = model
        self._pieces: list[str] = []
        self._has_calls = False

    def push(self, line: ChatLine) -> ChatLine:
        """Return the line unchanged."""
        # Not the line's properties: this runs for every token, and they would double its cost.
        message = line.message
        self._has_calls = bool(self._has_calls or message.tool_calls or line.tool_call_deltas)
        self._pieces.append(message.content if message.content else message.thinking)
        if line.done and not self._has_calls and self._model not in _WARNED:
            self._warn("".join(self._pieces))
        return line

    def _warn(self, text: str) -> None:
        start = text.lstrip()
        if not any(mark in text for mark in _MARKS) and not _HEAD.match(start):
            return
        _, calls = CallSalvager(self._tools)._take(start, is_last=True)
        if not calls:
            return
        _WARNED.add(self._model)
        warnings.warn(
            f"the answer of {self._model} contains a call of the tool {calls[0][0]} as text: the "
            "server has no parser for this model's calls. Set salvage_tool_calls=True to have "
            "such calls parsed, or start the server with the parser for this model.",
            UnreadToolCallWarning,
            stacklevel=caller_level(),
        )


_WARNED: set[str | None] = set()
"""The models that were warned about: agents repeat their requests."""
