"""Map LangChain's messages, of any provider, to the transport's: pure functions.

| LangChain | Ollama |
|---|---|
| system, human, ai | system, user, assistant; the order is kept |
| ChatMessage | its role; developer is system, human user, ai and model assistant |
| ToolMessage, FunctionMessage | tool, with the name of the tool and the id of the call |
| an Anthropic tool_result in a human message | a tool message before the rest of it |
| reasoning, in blocks or additional_kwargs | thinking |
| a tool call whose arguments are not JSON | text with the reason; a call where it has a result |
| ``name`` | sent along; Ollama's own wire ignores it |
| RemoveMessage | refused: it is an instruction for a graph |
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
    InvalidToolCall,
    SystemMessage,
    ToolMessage,
)

from langchain_ollama_ext._blocks import Block, Content, read_content, thoughts_of
from langchain_ollama_ext._media import NO_MEDIA
from ollama_transport import Message, ToolCall, UnsupportedContentError
from ollama_transport.conversation import Fetched, ready_history

_ROLES = {"developer": "system", "human": "user", "ai": "assistant", "model": "assistant"}
_SAYING: Mapping[type[BaseMessage], str] = {
    HumanMessage: "user",
    AIMessage: "assistant",
    SystemMessage: "system",
}
_PART_SEPARATOR = "\n"


def read_messages(messages: Sequence[BaseMessage], fetched: Fetched = NO_MEDIA) -> list[Message]:
    """Return a conversation as the transport's messages; the given messages are not changed.

    ``fetched`` holds the images by URL.

    Raises:
        UnsupportedContentError: for a message or a block that cannot be sent.
    """
    # LangChain's results have only the call's id, but many templates show only the tool's name.
    return ready_history([part for message in messages for part in _read_message(message, fetched)])


def _read_message(message: BaseMessage, fetched: Fetched) -> Iterable[Message]:
    # By the exact type, since most of a history is one text: pydantic's isinstance costs as much.
    role = _SAYING.get(type(message))
    if role is not None and _is_text_alone(message):
        return [Message(role, str(message.content), extra=_extra(message))]
    if isinstance(message, ToolMessage):
        return [_tool_message(message, fetched)]
    content = read_content(message.content, fetched)
    if isinstance(message, AIMessage):
        return [_assistant_message(message, content)]
    if isinstance(message, FunctionMessage):
        text = content.text(_PART_SEPARATOR)
        return [Message("tool", text, images=content.media, tool_name=message.name)]
    said = _said(message, _role(message), content)
    results = [_result_message(block, fetched) for block in content.results]
    return [*results, *said] if results else said


def _is_text_alone(message: BaseMessage) -> bool:
    """Return whether a message has one text and nothing else, as most of a history have."""
    if type(message.content) is not str:
        return False
    if type(message) is AIMessage:
        return not (message.tool_calls or message.invalid_tool_calls or message.additional_kwargs)
    return True


def _said(message: BaseMessage, role: str, content: Content) -> list[Message]:
    if content.calls:
        raise UnsupportedContentError(
            f"a message of role {role!r} contains a tool call: put it into an AIMessage."
        )
    text = content.text(_PART_SEPARATOR)
    # A message with nothing but results leaves no message behind.
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
    if isinstance(message, AIMessage):
        return "assistant"
    if isinstance(message, SystemMessage):
        return "system"
    if isinstance(message, ChatMessage):
        return _ROLES.get(message.role, message.role)
    raise UnsupportedContentError(
        f"a {type(message).__name__} cannot be sent to a model: leave it out. (A RemoveMessage "
        "belongs in the state of a graph, whose reducer applies it.)"
    )


def _extra(message: BaseMessage) -> dict[str, Any]:
    return {"name": message.name} if message.name else {}


def _assistant_message(message: AIMessage, content: Content) -> Message:
    calls = [_call(call["name"], call["args"], call["id"]) for call in message.tool_calls]
    calls += [_invalid_call(call) for call in message.invalid_tool_calls]
    # If the fields have calls, those in blocks repeat them.
    if not calls:
        blocks = [*content.calls, *_legacy_calls(message)]
        calls = [_call(*_call_parts(block)) for block in blocks]
    return Message(
        "assistant",
        # No separator: blocks of an answer are pieces of one text, unlike the parts of a question.
        content.text(""),
        thinking=_thinking(message, content),
        images=content.media,
        tool_calls=tuple(calls),
        extra=_extra(message),
    )


def _thinking(message: AIMessage, content: Content) -> str:
    # Content of version 1 repeats the reasoning in additional_kwargs, which is ignored then.
    if content.thoughts:
        return _PART_SEPARATOR.join(content.thoughts)
    kwargs = message.additional_kwargs
    for key in ("reasoning_content", "reasoning", "thinking"):
        if thought := thoughts_of(kwargs.get(key)):
            return thought
    return ""


def _call(name: str, arguments: Mapping[str, Any] | str, identity: str | None) -> ToolCall:
    return ToolCall(name, arguments, id=identity if identity else None)


def _invalid_call(call: InvalidToolCall) -> ToolCall:
    # Core allows None in each field.
    name, arguments = call["name"], call["args"]
    return ToolCall(
        "" if name is None else name,
        "" if arguments is None else arguments,
        id=call["id"] if call["id"] else None,
        error=call["error"],
    )


def _legacy_calls(message: AIMessage) -> list[Block]:
    """Return the one call of OpenAI's function calling, which preceded tools."""
    call = message.additional_kwargs.get("function_call")
    return [call] if isinstance(call, Mapping) else []


def _call_parts(block: Block) -> tuple[str, Any, str | None]:
    inner = next(
        (block[key] for key in ("functionCall", "function_call", "toolUse") if key in block), block
    )
    keys = ("args", "input", "arguments")
    arguments: Any = next((inner[key] for key in keys if inner.get(key) is not None), {})
    identity = next((inner[k] for k in ("call_id", "id", "toolUseId") if inner.get(k)), None)
    return str(inner.get("name", "")), arguments, identity


def _tool_message(message: ToolMessage, fetched: Fetched) -> Message:
    content = read_content(message.content, fetched)
    # Some frameworks leave the id empty, which the server would take for an id.
    identity = message.tool_call_id if message.tool_call_id else None
    return Message(
        "tool",
        _marked(content.text(_PART_SEPARATOR), failed=message.status == "error"),
        images=content.media,
        tool_name=message.name if message.name else None,
        tool_call_id=identity,
    )


def _result_message(block: Block, fetched: Fetched) -> Message:
    """Return the message of a result block, which Anthropic puts into a human message."""
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
        tool_name=name if name else None,
        tool_call_id=identity,
    )


def _marked(text: str, *, failed: bool) -> str:
    """Return the text of a result, marked if it is an error: the wire has no field for that."""
    return f"Error: {text}" if failed and not text.lstrip().lower().startswith("error") else text
