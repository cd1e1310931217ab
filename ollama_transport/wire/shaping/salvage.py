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
    calls_in,
    leading_calls,
)
from ollama_transport.wire.values.answers import ChatLine
from ollama_transport.wire.values.messages import ToolCall, short_id

# Left behind by a template whose opening tag the model did not write.
_STRAY = Form("</tool_call>", "</tool_call>")
_FORMS = (*FORMS, _STRAY)
_MARKS = tuple(form.start for form in _FORMS)
_PREFIXES = frozenset(mark[:count] for mark in _MARKS for count in range(1, len(mark)))
_BARE = Form("", "")
# The start of a line that may be a call: the bracket of an object and its first key.
_HEAD = re.compile(
    r"(?:```(?:json|tool_call|tool_code)?|json)?\s{0,100}(?:\[\s{0,100})?\{\s{0,100}"
    r'"(?:name|function|type|id|tool|tool_name|tool_calls|arguments|parameters|action)"'
)
_LINE_HEAD = re.compile(rf"^[ \t]{{0,100}}{_HEAD.pattern}", re.MULTILINE)
_FENCE = re.compile(r"```(?!(?:json|tool_call|tool_code)?\s)\w*\s")
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

    def __init__(self, tools: Tools, turn: str = "") -> None:
        self._tools = tools
        self._turn = turn
        self._rest = ""
        self._form: Form | None = None
        self._searched = 0
        names = "|".join(map(re.escape, tools))
        self._python = re.compile(rf"(?:```tool_code\s{{1,9}})?\[?(?:{names})(?:\.call)?\(")
        self._is_first = True
        self._is_start = True
        self._thoughts: list[str] = []
        self._count = 0
        self._has_text = False
        self._has_calls = False

    def push(self, line: ChatLine) -> ChatLine:
        """Return the line with the calls that end in it."""
        self._has_calls |= bool(line.tool_calls or line.tool_call_deltas)
        self._has_text = self._has_text or bool(line.text.strip())
        self._thoughts.append(line.thinking)
        text, calls = self._take(line.text, is_last=line.done)
        if line.done and not (calls or self._count or self._has_calls):
            calls = self._thought_calls("".join(self._thoughts))
        if text == line.text and not calls:
            return line
        made = [self._made(call, line.created_at) for call in calls]
        message = replace(line.message, content=text, tool_calls=(*line.message.tool_calls, *made))
        return replace(line, message=message)

    def _thought_calls(self, thoughts: str) -> list[Written]:
        found = _marked_calls(thoughts, self._tools)
        # Bare JSON may just be part of the reasoning, unless it is all that the answer holds.
        if found or self._has_text or not _HEAD.match(thoughts.lstrip()):
            return found
        calls, left = leading_calls(thoughts.strip(), self._tools)
        return [] if left.strip() else calls

    def _made(self, call: Written, created_at: str) -> ToolCall:
        name, arguments = call
        self._count += 1
        # In letters and digits that every template takes.
        salt = f"{created_at}|{self._turn}|text"
        return ToolCall(name, arguments, id=short_id(salt, self._count, name))

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
            found, left = self._read(held, bool(calls))
            calls += found
            text += left
        # White space between calls comes from the template.
        return ("" if calls and not text.strip() else text), calls

    def _pass_text(self, is_last: bool) -> str:
        """Return the text before the next call, and remember the form of that call."""
        at, form = self._next_mark()
        passed, holds = 0, False
        while True:
            holds = self._is_start and self._holds_start(passed, is_last)
            end = 0 if holds else self._rest.find("\n", passed, at) + 1
            if not end:
                break
            passed, self._is_start = end, True
        if not holds:
            self._form = form
            passed = at if form or is_last else at - _held(self._rest[passed:])
        text, self._rest = self._rest[:passed], self._rest[passed:]
        return text

    def _next_mark(self) -> tuple[int, Form | None]:
        places = [(at, form) for form in _FORMS if (at := self._rest.find(form.start)) >= 0]
        return min(places, key=lambda place: place[0]) if places else (len(self._rest), None)

    def _holds_start(self, at: int, is_last: bool) -> bool:
        """Return whether a line that begins there is a call without a mark, or may become one."""
        line = self._rest[at : at + 2 * _MAX_HEAD]
        said = line.lstrip() if self._is_first else line.lstrip(" \t")
        if _HEAD.match(said) or (self._is_first and self._python.match(said)):
            self._form = _BARE
            return True
        if not is_last and len(said) < _MAX_HEAD and self._may_be_bare(said):
            return True
        self._is_first = self._is_start = False
        return False

    def _may_be_bare(self, text: str) -> bool:
        if not text or (self._is_first and any(name.startswith(text) for name in self._tools)):
            return True
        if text[0] == "`":
            return not _FENCE.match(text)
        return text[0] in "{[" or (self._is_first and "json".startswith(text.strip()[:4]))

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

    def _read(self, held: str, has_calls: bool) -> tuple[list[Written], str]:
        """Return the calls in a text that was held back, and what is left of the text."""
        form, self._form, self._searched = self._form, None, 0
        is_first, self._is_first = self._is_first, False
        assert form is not None
        if form is _STRAY:
            return [], "" if has_calls or self._count else held
        if form is not _BARE:
            return calls_in(form, held, self._tools)
        calls, left = leading_calls(held, self._tools)
        # After words, JSON that is followed by more words may be an example.
        return (calls, left) if is_first or not left.strip() else ([], held)


def _marked_calls(text: str, tools: Tools) -> list[Written]:
    """Return the marked calls in thoughts: bare JSON there may just be part of the reasoning."""
    if not any(mark in text for mark in _MARKS):
        return []
    found = CallSalvager(tools)
    found._is_first = found._is_start = False
    text, calls = found._take(text, is_last=True)
    return calls


def _held(text: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a mark."""
    # A stream may be cut in the middle of a mark.
    longest = min(len(text), max(map(len, _MARKS)) - 1)
    return next((count for count in range(longest, 0, -1) if text[-count:] in _PREFIXES), 0)


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
        if not any(mark in text for mark in _MARKS) and not _LINE_HEAD.search(start):
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
