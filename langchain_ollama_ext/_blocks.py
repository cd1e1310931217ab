"""Read the content of messages block by block, in the formats of every provider in LangChain.

Nothing is silently dropped: a block is read, is known to mean nothing to a model (cache marks,
encrypted reasoning), or is refused by name with advice on what to do instead.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_ollama_ext._media import NO_MEDIA, media_of
from ollama_transport import UnsupportedContentError
from ollama_transport.conversation import Fetched

Block = Mapping[str, Any]


@dataclass(slots=True)
class Content:
    """The content of one message, gathered from its blocks.

    ``texts`` are the parts in order, ``thoughts`` the reasoning, ``media`` images and audio as
    bytes or base64, ``calls`` blocks of tool calls and ``results`` blocks of tool results, which
    become separate messages.
    """

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    media: list[bytes | str] = field(default_factory=list)
    calls: list[Block] = field(default_factory=list)
    results: list[Block] = field(default_factory=list)

    def text(self, separator: str) -> str:
        """Return all text; the separator goes between two parts unless the first ends in space."""
        whole = ""
        for part in self.texts:
            # Never before the first part, nor after a part that ends with a line end itself.
            gap = separator if whole and not whole[-1].isspace() else ""
            whole += f"{gap}{part}" if part else ""
        return whole


def read_content(content: str | Sequence[str | Block], fetched: Fetched = NO_MEDIA) -> Content:
    """Return the content of a message, sorted by kind.

    ``fetched`` holds the bytes of images by URL; no other URL is followed, and text is never taken
    for the path of a file.

    Raises:
        UnsupportedContentError: for a block that cannot be sent.
    """
    read = Content()
    for block in [content] if isinstance(content, str) else content:
        if isinstance(block, str):
            read.texts.append(block)
        else:
            _read_block(block, read, fetched)
    return read


def _read_block(block: Block, read: Content, fetched: Fetched) -> None:
    # The blocks of Gemini and Bedrock have no type.
    kind = block.get("type")
    if not isinstance(kind, str):
        kind = _untyped_kind(block)
    if kind in _SILENT:
        return
    reader = _READERS.get(kind)
    if reader is not None:
        reader(block, read)
    elif kind == "non_standard":
        _read_block(_value(block), read, fetched)
    # The wire has no role for what a provider ran itself, so the model gets it as JSON text.
    elif kind in _SERVER_SIDE:
        read.texts.append(_as_json(block))
    else:
        _read_media(kind, block, read, fetched)


def _read_media(kind: str, block: Block, read: Content, fetched: Fetched) -> None:
    data = media_of(kind, block, fetched)
    if data is None:
        raise UnsupportedContentError(
            f"a content block of type {kind!r} cannot be sent to Ollama: {_as_json(block):.120}. "
            "Convert it to text, images or audio."
        )
    read.media.append(data)


def _untyped_kind(block: Block) -> str:
    """Return the kind of a block without a type, by its key, as Gemini and Bedrock write them."""
    for key, kind in _KEY_KINDS.items():
        if key in block:
            return kind
    return "unknown"


def _value(block: Block) -> Block:
    value = block.get("value")
    return value if isinstance(value, Mapping) else {"type": "unknown", "value": value}


def _text(block: Block, read: Content) -> None:
    text = block.get("text")
    if text is not None and not isinstance(text, str):
        raise UnsupportedContentError(
            f"the text of a content block must be a str, got {type(text).__name__}: "
            f"{_as_json(block):.120}"
        )
    # Merged streams of other providers contain blocks without text.
    read.texts.append("" if text is None else text)


def _refusal(block: Block, read: Content) -> None:
    read.texts.append(str(block.get("refusal", "")))


def _json(block: Block, read: Content) -> None:
    read.texts.append(_as_json(block.get("json", block.get("data"))))


def _search_result(block: Block, read: Content) -> None:
    inner = block.get("content")
    text = read_content(inner).text("\n") if isinstance(inner, list | str) else ""
    head = " ".join(str(block[key]) for key in ("title", "source") if block.get(key))
    read.texts.append("\n".join(part for part in (head, text) if part))


def _document(block: Block, read: Content) -> None:
    """Read a document with plain text; others are refused like files."""
    # Anthropic wraps plain text in a document for its citations.
    source = block.get("source")
    if isinstance(source, Mapping) and source.get("type") == "text":
        title = block.get("title")
        read.texts.append("\n".join(str(p) for p in (title, source.get("data")) if p))
        return
    media_of("document", block, NO_MEDIA)


def _thought(block: Block, read: Content) -> None:
    for key in ("thinking", "reasoning", "reasoning_content", "reasoningContent"):
        read.thoughts.extend(_thoughts_in(block.get(key)))
    # OpenAI's responses list summaries, and vLLM's the text itself.
    read.thoughts.extend(_thoughts_in(block.get("summary")))
    read.thoughts.extend(_thoughts_in(block.get("content")))


def _thoughts_in(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, Mapping):
        # Only the text: the signature beside it means nothing to other models.
        inner = value.get("text", value.get("reasoningText"))
        return _thoughts_in(inner)
    if isinstance(value, list):
        return [thought for part in value for thought in _thoughts_in(part)]
    return []


def thoughts_of(value: object) -> str:
    """Return the reasoning that a provider keeps in ``additional_kwargs``; "" for none."""
    if not isinstance(value, Mapping):
        return "\n".join(_thoughts_in(value))
    read = Content()
    _thought(value, read)
    return "\n".join([*read.thoughts, *_thoughts_in(value.get("text"))])


def _call(block: Block, read: Content) -> None:
    read.calls.append(block)


def _result(block: Block, read: Content) -> None:
    read.results.append(block)


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


_SILENT = frozenset({"cachePoint", "cache_point", "redacted_thinking", "compaction"})
"""Marks for a provider's cache, and reasoning that only its maker can read."""

_SERVER_SIDE = frozenset(
    {
        "code_execution_result",
        "code_execution_tool_result",
        "code_interpreter_call",
        "computer_call",
        "executable_code",
        "file_search_call",
        "grounding_metadata",
        "image_generation_call",
        "mcp_approval_request",
        "mcp_call",
        "mcp_list_tools",
        "mcp_tool_result",
        "mcp_tool_use",
        "server_tool_call",
        "server_tool_call_chunk",
        "server_tool_result",
        "server_tool_use",
        "web_fetch_tool_result",
        "web_search_call",
        "web_search_tool_result",
    }
)
"""Blocks about what a provider did itself. The wire has no role for them, so they become text."""

_KEY_KINDS = {
    "text": "text",
    "thinking": "thinking",
    "reasoning_content": "thinking",
    "reasoningContent": "thinking",
    "functionCall": "function_call",
    "function_call": "function_call",
    "toolUse": "tool_use",
    "toolResult": "tool_result",
    "functionResponse": "tool_result",
    "function_response": "tool_result",
    "inlineData": "media",
    "inline_data": "media",
    "image_url": "image_url",
    "image": "image",
    "json": "json",
    "cachePoint": "cachePoint",
    "document": "file",
    "fileData": "file",
    "file_data": "file",
    "video": "video",
}

_READERS: Mapping[str, Callable[[Block, Content], None]] = {
    "document": _document,
    "function_call": _call,
    "input_text": _text,
    "invalid_tool_call": _call,
    "json": _json,
    "output_text": _text,
    "reasoning": _thought,
    "reasoning_content": _thought,
    "refusal": _refusal,
    "search_result": _search_result,
    "text": _text,
    "text-plain": _text,
    "thinking": _thought,
    "thought": _thought,
    "tool_call": _call,
    "tool_call_chunk": _call,
    "tool_result": _result,
    "tool_use": _call,
    "function_call_output": _result,
}
