"""Convert LlamaIndex's tools for requests, and a model's calls from answers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json
from llama_index.core.tools.types import BaseTool, ToolMetadata

from llamaindex_ollama_ext._tool_schemas import parameters_of
from ollama_transport import ConfigError, NamedTool, ToolChoice, UnsupportedContentError

_CHOICES: Mapping[str, ToolChoice] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",
}


def tool_spec(tool: BaseTool | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tool as an OpenAI-style function object; mappings are returned unchanged.

    Raises:
        ConfigError: for anything else.
    """
    if isinstance(tool, Mapping):
        return tool
    if not isinstance(tool, BaseTool):
        raise ConfigError(
            f"a tool must be a FunctionTool (FunctionTool.from_defaults(fn)) or an OpenAI-style "
            f"function object, got {tool!r:.80}."
        )
    metadata = tool.metadata
    # Not to_openai_tool's name: that is cleaned for OpenAI, and LlamaIndex looks the tool up by its
    # real name, which Ollama accepts.
    name = metadata.get_name()
    if type(metadata) is ToolMetadata:
        about = {"name": name, "description": metadata.description}
        return {"type": "function", "function": {**about, "parameters": parameters_of(metadata)}}
    # OpenAI limits descriptions to 1024 characters, Ollama does not.
    spec: dict[str, Any] = metadata.to_openai_tool(skip_length_check=True)
    return {**spec, "function": {**spec["function"], "name": name}}


def tool_choice(value: object) -> ToolChoice | None:
    """Return a tool choice in the transport's form; None leaves it to the model.

    Accepts "auto", "none", "required" and "any", the name of a tool, ``{"type": …}``, and OpenAI's
    ``{"type": "function", "function": {"name": …}}``.

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
    """Return a new list: the history, followed by the user's message if there is one."""
    messages = list(history) if history is not None else []
    if isinstance(user, str):
        # Agents that put everything into the history pass "" here.
        user = ChatMessage(role=MessageRole.USER, content=user) if user else None
    return messages if user is None else [*messages, user]


def tool_selections(response: ChatResponse, *, error_on_none: bool) -> list[ToolSelection]:
    """Return the tool calls of an answer, in order, with their arguments as objects.

    In a stream, an unfinished call has the arguments that have arrived so far.

    Raises:
        ValueError: when there is no call and `error_on_none`; it quotes the model's text.
        UnsupportedContentError: when the answer ended inside the arguments of a call.
    """
    blocks = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    if not blocks and error_on_none:
        text = response.message.content
        # Core's own class and words, which agents and programs match on.
        raise ValueError(
            "Expected at least one tool call, but got 0 tool calls."
            + (f" The model answered: {text!r:.500}" if text else "")
        )
    # Agents call this for every response of a stream, where an unfinished call is not an error.
    told = response.additional_kwargs
    grows = "thinking_delta" in told and "done_reason" not in told
    ended = not grows and not (
        isinstance(response.raw, Mapping) and response.raw.get("done") is False
    )
    is_cut = told.get("done_reason") == "length"
    return [
        ToolSelection(
            # ToolSelection needs an id, and an agent may call one tool twice.
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
    # A call that was cut before its arguments is not a call without arguments.
    if isinstance(found, dict) and (found or not is_cut):
        return found
    # LlamaIndex would use {}, and the tool would run without its arguments.
    if ended:
        raise UnsupportedContentError(
            f"the arguments of the call of {block.tool_name!r} are not a JSON object, or were cut "
            f"off: {block.tool_kwargs!r:.500}. Raise num_predict, or ask for less."
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
