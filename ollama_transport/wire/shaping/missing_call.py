"""Find a forced call in the text of an answer, or report that it is missing."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ollama_transport.callers import caller_level
from ollama_transport.error_texts import brief
from ollama_transport.errors import ToolCallMissingError
from ollama_transport.wire.shaping.call_text import Tools, Written, bare_calls
from ollama_transport.wire.shaping.forced import with_text
from ollama_transport.wire.shaping.salvage import tool_schemas
from ollama_transport.wire.values.answers import ChatLine
from ollama_transport.wire.values.json_text import FoundJson, find_json, find_thought_json
from ollama_transport.wire.values.messages import ToolCall, short_id
from ollama_transport.wire.values.requests import ChatRequest, MissingCall, NamedTool


class ToolChoiceIgnoredWarning(UserWarning):
    """Warns that the model wrote text although it had to call a tool."""


class ForcedCallFinder:
    """Finds the forced call in the text of an answer without calls; make one for each answer.

    If a server ignores ``tool_choice``, the model may answer with the tool's arguments as JSON, or
    with prose. JSON that fits becomes the call; text is held back from its first bracket on. An
    answer without the call is a fault, which is raised at the end of the answer.
    """

    def __init__(self, tools: Tools, mode: MissingCall = "error", turn: str = "") -> None:
        self._turn = turn
        self._tools = tools
        self._mode = mode
        self._held = ""
        self._has_calls = False
        self._refused = False
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self.fault: ToolCallMissingError | None = None

    def push(self, line: ChatLine) -> ChatLine:
        """Return the line; the last one has the call."""
        self._has_calls |= bool(line.tool_calls or line.tool_call_deltas)
        self._refused |= bool(line.message.refusal)
        self._texts.append(line.text)
        self._thoughts.append(line.thinking)
        if self._has_calls:
            return with_text(line, self._flush() + line.text)
        text = line.text
        if not self._held:
            at = min((at for mark in "{`" if (at := text.find(mark)) >= 0), default=len(text))
            text, self._held = text[:at], text[at:]
        else:
            text, self._held = "", self._held + text
        line = with_text(line, text)
        return self._finish(line) if line.done else line

    def _finish(self, line: ChatLine) -> ChatLine:
        call = fitting_call(self._held, self._tools) if self._held else None
        if call is None and not "".join(self._texts).strip():
            call = thought_call("".join(self._thoughts), self._tools)
        if call is None:
            self._miss(line)
            return with_text(line, line.text + self._flush())
        name, arguments = call
        salt = f"{line.created_at}|{self._turn}|forced"
        made = ToolCall(name, arguments, id=short_id(salt, 0, name))
        return replace(line, message=replace(line.message, tool_calls=(made,)))

    def _flush(self) -> str:
        text, self._held = self._held, ""
        return text

    def _miss(self, line: ChatLine) -> None:
        if self._mode == "pass" or self._refused:
            return  # a refusal says by itself why there is no call
        text = "".join(self._texts)
        if self._mode == "error":
            self.fault = missing_call(tuple(self._tools), text, self._thoughts, line)
        elif text:
            warnings.warn(
                _message(tuple(self._tools), text, line.done_reason),
                ToolChoiceIgnoredWarning,
                stacklevel=caller_level(),
            )


def missing_call(
    tools: tuple[str, ...], text: str, thoughts: Sequence[str], line: ChatLine
) -> ToolCallMissingError:
    """Return (not raise) the error for an answer without the call that was forced."""
    return ToolCallMissingError(
        _message(tools, text, line.done_reason),
        tools=tools,
        text=text,
        thinking="".join(thoughts),
        done_reason=line.done_reason,
        usage=line.usage,
        raw=line.raw,
    )


def _message(tools: tuple[str, ...], text: str, reason: str | None) -> str:
    what = f"tool_choice required a call of {' or '.join(tools)}, but the model"
    if reason == "length":
        return (
            f"{what} was cut off before it wrote one, after {len(text)} characters of text "
            f"(done_reason {reason!r}): raise num_predict (max_tokens), or let it think less."
        )
    if not text.strip():
        return (
            f"{what} wrote nothing (done_reason {reason!r}): ask again, or use a model that calls "
            "tools."
        )
    return (
        f"{what} wrote {len(text)} characters of text instead (done_reason {reason!r}): this "
        "server ignores tool_choice for this model. An agent that waits for the call would end "
        "without it, and without its structured response: constrain the text instead "
        '(LangChain: ProviderStrategy or method="json_schema"; LlamaIndex: '
        "PydanticProgramMode.DEFAULT), use a model that calls tools, or take the text as the "
        f'answer with on_missing_call="warn". It wrote {brief(text)}.'
    )


def fitting_call(text: str, tools: Tools) -> Written | None:
    """Return the call in a text: a call as JSON, or arguments that fit exactly one tool."""
    calls = bare_calls(text, tools)
    return calls[0] if calls else _fitting(find_json(text), tools)


def thought_call(thoughts: str, tools: Tools) -> Written | None:
    """Return the call that ends the thoughts of an answer without text, as `fitting_call`."""
    found = list(find_thought_json(thoughts))
    calls = next((calls for one in found if (calls := bare_calls(one.text, tools))), None)
    return calls[0] if calls else _fitting(found, tools)


def _fitting(candidates: Iterable[FoundJson], tools: Tools) -> Written | None:
    for found in candidates:
        fitting = [name for name, schema in tools.items() if _fits(found.value, schema)]
        if len(fitting) == 1:
            return fitting[0], found.value
    return None


def _fits(value: object, schema: Mapping[str, Any]) -> bool:
    properties, required = schema.get("properties"), schema.get("required", ())
    if not isinstance(value, Mapping) or not value or not isinstance(properties, Mapping):
        return False
    return set(required) <= value.keys() <= properties.keys()


def forced_tools(request: ChatRequest) -> dict[str, Mapping[str, Any]]:
    """Return the tools of which one must be called; {} if the model may choose."""
    tools = tool_schemas(request.tools)
    if isinstance(request.tool_choice, NamedTool):
        name = request.tool_choice.name
        return {name: tools[name]} if name in tools else {}
    return tools if request.tool_choice == "required" else {}
