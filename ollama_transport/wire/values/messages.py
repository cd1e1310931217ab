"""Messages and tool calls, common to both wires."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from ollama_transport.error_texts import brief
from ollama_transport.errors import ProtocolError
from ollama_transport.wire.values.by_key import ByKey, CallKeys
from ollama_transport.wire.values.call_shapes import call_shapes, told_calls
from ollama_transport.wire.values.content_parts import (
    THOUGHT_NAMES,
    content_of,
    text_of,
    thoughts_of,
)
from ollama_transport.wire.values.dumped import Dumped


@dataclass(frozen=True, slots=True)
class ToolCall(CallKeys):
    """A tool call by the model.

    ``arguments`` is an object, or a string if the server sent text that is not a JSON object.
    ``id`` is None if the server sent none; ``index`` is the position in the answer; ``error``
    says why the arguments could not be parsed, if that is known, and is never sent.

    ```python
    from ollama_transport import Message, ToolCall

    call = ToolCall("weather", {"city": "Rome"}, id="1")
    asked = Message("assistant", tool_calls=(call,))
    result = Message("tool", "sunny", tool_name=call.name, tool_call_id=call.id)
    print(asked.tool_calls[0].arguments["city"], result.content)
    ```
    """

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    id: str | None = None
    index: int | None = None
    error: str | None = None

    def model_dump(self, **more: Any) -> dict[str, Any]:
        """Return the call as on the wire, with its id and index if it has them."""
        function = super(ToolCall, self).model_dump(**more)
        if self.index is not None:
            function["index"] = self.index
        dumped: dict[str, Any] = {"function": function}
        return dumped if self.id is None else {"id": self.id, **dumped}


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call that is still being written.

    ``arguments`` continues the JSON text of the call ``index``; ``name`` and ``id`` come with its
    first piece. The complete `ToolCall`, with the same index and id, follows on a later line.
    """

    index: int
    arguments: str
    name: str | None = None
    id: str | None = None


# Not frozen: see `ChatLine`.
@dataclass(slots=True)
class Message(Dumped, ByKey):
    """One message of a chat, in either direction.

    ``images`` holds bytes, or text that is already base64 (standard alphabet, padded); audio
    belongs there too (wire reference 3.9). ``tool_name`` and ``tool_call_id`` belong to role
    "tool". ``extra`` holds further keys, sent and kept unchanged.

    ```python
    from ollama_transport import Client, Message

    with Client() as client:
        answer = client.chat(model="llama3.2", messages=[Message("user", "Hello")])
    print(answer.message.role, answer.message.content)
    ```
    """

    role: str
    content: str = ""
    thinking: str = ""
    images: Sequence[bytes | str] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str | None = None
    tool_call_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    dumped_keys: ClassVar[tuple[str, ...]] = (
        *("role", "content", "thinking", "images", "tool_name", "tool_call_id", "tool_calls"),
    )

    @classmethod
    def from_native(cls, raw: Mapping[str, Any]) -> Self:
        """Read a message of a native answer, as `read_message`."""
        return cls(**{key: getattr(read_message(raw), key) for key in cls.__slots__})

    @property
    def refusal(self) -> str:
        """Return the text of a refusal, which /v1 separates from the content; "" for none."""
        refusal = self.extra.get("refusal")
        return refusal if isinstance(refusal, str) else ""


def one_system(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages with the texts of all system messages in one, at the start."""
    said = [message for message in messages if message.role == "system"]
    if not said or (len(said) == 1 and messages[0].role == "system"):
        return messages
    text = "\n\n".join(message.content for message in said if message.content)
    images = [image for message in said for image in message.images]
    first = replace(said[0], content=text, images=images)
    return [first, *(message for message in messages if message.role != "system")]


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_KNOWN = frozenset(
    {"role", "content", "images", "tool_calls", "tool_name", "tool_call_id", *THOUGHT_NAMES}
)


def read_message(raw: object) -> Message:
    """Read a message of a native answer; null and absent parts become empty.

    Raises:
        ProtocolError: when it is not an object, or a part has another type than Ollama sends.
    """
    if raw is None:
        return Message("assistant")
    if not isinstance(raw, Mapping):
        raise ProtocolError(f"the answer's message is not an object: {brief(raw)}")
    role = raw.get("role")
    content = raw.get("content")
    # Fast path: nearly every line of a stream has just these two keys.
    if len(raw) == 2 and isinstance(content, str) and isinstance(role, str) and role:
        return Message(role, content)
    text, thoughts = content_of(raw)
    return Message(
        # Some servers send an empty role.
        role=text_of(raw, "role") or "assistant",
        content=text,
        thinking=thoughts_of(raw) + thoughts,
        images=_images(raw.get("images")),
        tool_calls=read_tool_calls(told_calls(raw)),
        tool_name=_text_or_none(raw.get("tool_name")),
        tool_call_id=_text_or_none(raw.get("tool_call_id")),
        extra={} if raw.keys() <= _KNOWN else {k: v for k, v in raw.items() if k not in _KNOWN},
    )


def _images(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(image, str) for image in value):
        raise ProtocolError(f"the answer's images are not a list of base64 texts: {brief(value)}")
    return tuple(value)


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def read_tool_calls(raw: object) -> tuple[ToolCall, ...]:
    """Read the tool calls of a native answer, in its order.

    Raises:
        ProtocolError: when they have a shape that is not known.
    """
    return tuple(
        ToolCall(call.name, _read_arguments(call.arguments), call.id, call.index)
        for call in call_shapes(raw)
    )


def made_id(salt: str, index: int | None, name: str) -> str:
    """Return an id for a call that came without one.

    It is derived from the answer's own time, so that the calls of a conversation differ while a
    replayed answer gives the same id again.
    """
    digest = hashlib.blake2b(
        f"{salt}|{index}|{name}".encode("utf-8", "surrogatepass"), digest_size=8
    )
    return f"call_{digest.hexdigest()}"


def short_id(salt: str, index: int | None, name: str) -> str:
    """Return an id of nine letters and digits, which the templates of Mistral's models require."""
    digest = hashlib.blake2b(
        f"{salt}|{index}|{name}".encode("utf-8", "surrogatepass"), digest_size=8
    )
    # 64 bits are enough for ten digits of base 62.
    number = int.from_bytes(digest.digest(), "big")
    return "".join(_LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(9))


def with_ids(
    calls: Sequence[ToolCall],
    salt: str,
    made: Callable[[str, int | None, str], str] = made_id,
) -> tuple[ToolCall, ...]:
    """Return the calls, each with an id and an index; those that the server sent are kept.

    ``made`` makes the missing ids, and a new one if an id occurs twice in one answer.
    """
    found: list[ToolCall] = []
    for place, call in enumerate(calls):
        index = place if call.index is None else call.index
        is_new = call.id is not None and all(call.id != other.id for other in found)
        # The position is included, since some servers give every call of an answer the index 0.
        identity = call.id if is_new else made(f"{salt}|{place}", index, call.name)
        found.append(replace(call, id=identity, index=index))
    return tuple(found)


def _read_arguments(value: object) -> Mapping[str, Any] | str:
    if value is None:
        return {}
    return value if isinstance(value, Mapping | str) else json_text(value)


def json_text(value: object) -> str:
    """Return a server's value as JSON.

    Raises:
        ProtocolError: when it is nested too deeply to be written again.
    """
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError as error:
        raise ProtocolError(f"the answer holds {brief(value)}") from error
