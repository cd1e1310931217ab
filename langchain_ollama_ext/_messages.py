"""Messages of LangChain as the transport's, whoever wrote them: pure functions.

| LangChain | Ollama |
|---|---|
| system, human, ai | system, user, assistant; the order is kept |
| ChatMessage | its role; developer is system, human user, ai and model assistant |
| ToolMessage, FunctionMessage | tool, with the name of the tool and the id of the call |
| an Anthropic tool_result in a human message | a tool message before the rest of it |
| reasoning, in blocks or additional_kwargs | thinking |
| a tool call whose arguments are no JSON | text, since the server takes objects only |
| ``name`` | sent along; Ollama's own wire ignores it |
| RemoveMessage | refused: it is an instruction to a graph |
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_ollama_ext._blocks import Block, Content, read_content, thoughts_of
from langchain_ollama_ext._media import NO_MEDIA, Fetched
from ollama_transport import Message, ToolCall, UnsupportedContentError

_ROLES = {"developer": "system", "human": "user", "ai": "assistant", "model": "assistant"}
_PART_SEPARATOR = "\n"


def read_messages(messages: Sequence[BaseMessage], fetched: Fetched = NO_MEDIA) -> list[Message]:
    """Return a conversation as the server takes it; the arguments are not changed.

    ``fetched`` holds the images behind addresses.

    Raises:
        UnsupportedContentError: for a message or a block that cannot be sent.
    """
    # Results carry the id alone, and many models' templates show the name alone.
    names = _call_names(messages)
    return [part for message in messages for part in _read_message(message, fetched, names)]


def _read_message(
    message: BaseMessage, fetched: Fetched, names: Mapping[str, str]
) -> Iterable[Message]:
    if isinstance(message, ToolMessage):
        return [_tool_message(message, fetched, names)]
    content = read_content(message.content, fetched)
    if isinstance(message, AIMessage):
        return [_assistant_message(message, content)]
    if isinstance(message, FunctionMessage):
        text = content.text(_PART_SEPARATOR)
        return [Message("tool", text, images=content.media, tool_name=message.name)]
    said = _said(message, _role(message), content)
    results = [_result_message(block, fetched, names) for block in content.results]
    return [*results, *said] if results else said


def _said(message: BaseMessage, role: str, content: Content) -> list[Message]:
    if content.calls:
        raise UnsupportedContentError(
            f"a message of role {role!r} holds a tool call, which belongs to an AIMessage."
        )
    text = content.text(_PART_SEPARATOR)
    # A message that held results alone has nothing more to say.
    if content.results and not text and not content.media:
        return []
    return [
        Message(
            role,
            text,
            thinking=_PART_SEPARATOR.join(content.thoughts),
            images=content.media,
            extra=_extra(message),
        )
    ]


def _role(message: BaseMessage) -> str:
    if isinstance(message, HumanMessage):
        return "user"
    if isinstance(message, SystemMessage):
        return "system"
    if isinstance(message, ChatMessage):
        return _ROLES.get(message.role, message.role)
    raise UnsupportedContentError(
        f"a {type(message).__name__} is nothing that a model can read: leave it out. (A "
        "RemoveMessage belongs into the state of a graph, whose reducer acts on it.)"
    )


def _extra(message: BaseMessage) -> dict[str, Any]:
    return {"name": message.name} if message.name else {}


def _assistant_message(message: AIMessage, content: Content) -> Message:
    calls = [_call(call["name"], call["args"], call["id"]) for call in message.tool_calls]
    texts = [*content.texts, *(_invalid_text(call) for call in message.invalid_tool_calls)]
    # Where the field has calls, those in blocks are the same ones once more.
    if not calls and not message.invalid_tool_calls:
        calls, more = _block_calls([*content.calls, *_legacy_calls(message)])
        texts += more
    return Message(
        "assistant",
        # Blocks of an answer are pieces of one text, unlike the parts of a question.
        Content(texts).text(""),
        thinking=_thinking(message, content),
        images=content.media,
        tool_calls=tuple(calls),
        extra=_extra(message),
    )


def _thinking(message: AIMessage, content: Content) -> str:
    # Version 1 content leaves what it was made of in additional_kwargs: once is enough.
    if content.thoughts:
        return _PART_SEPARATOR.join(content.thoughts)
    kwargs = message.additional_kwargs
    for key in ("reasoning_content", "reasoning", "thinking"):
        if thought := thoughts_of(kwargs.get(key)):
            return thought
    return ""


def _call(name: str, arguments: Mapping[str, Any], identity: str | None) -> ToolCall:
    return ToolCall(name, arguments, id=identity if identity else None)


def _legacy_calls(message: AIMessage) -> list[Block]:
    """Return the one call of OpenAI's function calling before there were tools."""
    call = message.additional_kwargs.get("function_call")
    return [call] if isinstance(call, Mapping) else []


def _block_calls(blocks: Iterable[Block]) -> tuple[list[ToolCall], list[str]]:
    """Return the calls that only blocks hold, and text for those that cannot be sent as calls."""
    calls: list[ToolCall] = []
    texts: list[str] = []
    for block in blocks:
        name, arguments, identity = _call_parts(block)
        if isinstance(arguments, Mapping):
            calls.append(_call(name, arguments, identity))
        else:
            texts.append(_invalid_text({"name": name, "args": arguments}))
    return calls, texts


def _call_parts(block: Block) -> tuple[str, Any, str | None]:
    inner = next(
        (block[key] for key in ("functionCall", "function_call", "toolUse") if key in block), block
    )
    keys = ("args", "input", "arguments")
    arguments: Any = next((inner[key] for key in keys if inner.get(key) is not None), {})
    identity = next((inner[k] for k in ("call_id", "id", "toolUseId") if inner.get(k)), None)
    return str(inner.get("name", "")), _as_object(arguments), identity


def _as_object(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        parsed = json.loads(arguments) if arguments else {}
    except ValueError:
        return arguments
    return parsed if isinstance(parsed, dict) else arguments


def _invalid_text(call: Mapping[str, Any]) -> str:
    """Return a call that could not be made as text, so that the model sees what it wrote."""
    error = f" ({call['error']})" if call.get("error") else ""
    return f"\nInvalid call of the tool {call['name']}{error}: {call['args']}"


def _tool_message(message: ToolMessage, fetched: Fetched, names: Mapping[str, str]) -> Message:
    content = read_content(message.content, fetched)
    # Some frameworks leave it empty, which the server would take for an id.
    identity = message.tool_call_id if message.tool_call_id else None
    return Message(
        "tool",
        _marked(content.text(_PART_SEPARATOR), failed=message.status == "error"),
        images=content.media,
        tool_name=message.name if message.name else names.get(message.tool_call_id),
        tool_call_id=identity,
    )


def _result_message(block: Block, fetched: Fetched, names: Mapping[str, str]) -> Message:
    """Return a result that stands as a block in a human message, as Anthropic writes it."""
    wrapped = ("toolResult", "functionResponse", "function_response")
    inner = next((block[key] for key in wrapped if key in block), block)
    ids = ("tool_use_id", "toolUseId", "call_id", "id")
    identity = next((str(inner[key]) for key in ids if inner.get(key)), None)
    body = next((inner[k] for k in ("content", "output", "response") if k in inner), "")
    content = read_content(body if isinstance(body, str | list) else json.dumps(body), fetched)
    name = inner.get("name")
    return Message(
        "tool",
        _marked(
            content.text(_PART_SEPARATOR),
            failed=inner.get("is_error") is True or inner.get("status") == "error",
        ),
        images=content.media,
        tool_name=name if name else names.get(identity if identity else ""),
        tool_call_id=identity,
    )


def _marked(text: str, *, failed: bool) -> str:
    """Return a result that says it is an error, for which the wire has no field."""
    return f"Error: {text}" if failed and not text.lstrip().lower().startswith("error") else text


def _call_names(messages: Sequence[BaseMessage]) -> dict[str, str]:
    """Return the tools' names by the ids of the calls in the history."""
    names: dict[str, str] = {}
    for message in messages:
        if not isinstance(message, AIMessage):
            continue
        for call in (*message.tool_calls, *message.invalid_tool_calls):
            if call["id"] and call["name"]:
                names[call["id"]] = call["name"]
        for block in message.content if isinstance(message.content, list) else ():
            if isinstance(block, dict) and block.get("type") in ("tool_use", "function_call"):
                name, _, identity = _call_parts(block)
                names.setdefault(identity if identity else "", name)
    return names
