"""Tools of LlamaIndex on their way out, and the calls of a model on their way in."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json
from llama_index.core.tools.types import BaseTool

from ollama_transport import ConfigError, NamedTool, ToolChoice, UnsupportedContentError

_CHOICES: Mapping[str, ToolChoice] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",
}


def tool_spec(tool: BaseTool | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tool as an OpenAI-style function object; mappings are that already.

    Raises:
        ConfigError: for anything else.
    """
    if isinstance(tool, Mapping):
        return tool
    if not isinstance(tool, BaseTool):
        raise ConfigError(
            f"{tool!r:.80} is not a tool: give a FunctionTool (FunctionTool.from_defaults(fn)), or "
            "an OpenAI-style function object."
        )
    spec: dict[str, Any] = tool.metadata.to_openai_tool(skip_length_check=True)
    # LlamaIndex finds the tool to call by its own name, which OpenAI might not take, Ollama does.
    return {**spec, "function": {**spec["function"], "name": tool.metadata.get_name()}}


def tool_choice(value: object) -> ToolChoice | None:
    """Return whether tools are called, from any way to say it that LlamaIndex users know.

    "auto", "none", "required" and "any", the name of a tool, ``{"type": …}``, or OpenAI's
    ``{"type": "function", "function": {"name": …}}``; None leaves it to the model.

    Raises:
        ConfigError: for anything else.
    """
    if value is None or isinstance(value, NamedTool):
        return value
    if isinstance(value, str):
        # An agent's `initial_tool_choice` is a bare name.
        return _CHOICES.get(value, NamedTool(value))
    if isinstance(value, Mapping):
        function = value.get("function", value)
        name = function.get("name") if isinstance(function, Mapping) else None
        if isinstance(name, str):
            return NamedTool(name)
        if value.get("type") in _CHOICES:
            return _CHOICES[value["type"]]
    raise ConfigError(
        f'tool_choice={value!r}: give "auto", "none", "required", or the name of a tool.'
    )


def with_user_message(
    history: Sequence[ChatMessage] | None, user: str | ChatMessage | None
) -> list[ChatMessage]:
    """Return a new list: the history, and the user's message after it when there is one."""
    messages = list(history) if history is not None else []
    if isinstance(user, str):
        # Agents with all in the history give "" here.
        user = ChatMessage(role=MessageRole.USER, content=user) if user else None
    return messages if user is None else [*messages, user]


def tool_selections(response: ChatResponse, *, error_on_none: bool) -> list[ToolSelection]:
    """Return the tool calls of an answer, in its order, their arguments as objects.

    While an answer is streamed, a call that is still being written has the arguments that are
    known so far.

    Raises:
        ValueError: when there is none and `error_on_none`; the model's words are in it.
        UnsupportedContentError: when the answer ended inside the arguments of a call.
    """
    blocks = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    if not blocks and error_on_none:
        text = response.message.content
        raise ValueError(
            "Expected at least one tool call, but got 0 tool calls."
            + (f" The model answered: {text!r:.500}" if text else "")
        )
    # Agents ask at every response of a stream, when half a call is no fault yet.
    told = response.additional_kwargs
    grows = "thinking_delta" in told and "done_reason" not in told
    ended = not grows and not (
        isinstance(response.raw, Mapping) and response.raw.get("done") is False
    )
    is_cut = told.get("done_reason") == "length"
    return [
        ToolSelection(
            tool_id=f"{block.tool_name}-{place}"
            if block.tool_call_id is None
            else block.tool_call_id,
            tool_name=block.tool_name,
            tool_kwargs=_arguments(block, ended=ended, is_cut=is_cut),
        )
        for place, block in enumerate(blocks)
    ]


def _arguments(block: ToolCallBlock, *, ended: bool, is_cut: bool) -> dict[str, Any]:
    if isinstance(block.tool_kwargs, dict):
        return block.tool_kwargs
    found = _parsed(block.tool_kwargs)
    # Of a call that was cut before its arguments, none came: that is not a call without any.
    if isinstance(found, dict) and (found or not is_cut):
        return found
    # LlamaIndex would make {} of it, and the tool would run without its arguments.
    if ended:
        raise UnsupportedContentError(
            f"the arguments of the call of {block.tool_name!r} are not a JSON object, or cut off: "
            f"{block.tool_kwargs!r:.500}. Raise num_predict, or ask for less."
        )
    return _partial(block.tool_kwargs)


def _parsed(text: str) -> Any:
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _partial(text: str) -> dict[str, Any]:
    try:
        found = parse_partial_json(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
