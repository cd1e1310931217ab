"""Read the content blocks of LlamaIndex: which are text, and which are images or audio."""

import base64
import warnings
from collections.abc import Iterator, Mapping, Sequence
from mimetypes import guess_type

from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)

from llamaindex_ollama_ext._core import BaseContentBlock
from ollama_transport import UnsupportedContentError
from ollama_transport.callers import caller_level

MediaBlock = ImageBlock | AudioBlock
# Types outside of text/* whose content is text nevertheless.
_TEXTS = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-yaml"}
)
_NO_TITLE = "input_document"
"""What LlamaIndex calls a document without a title."""

Media = Mapping[int, bytes | str]
"""The data of media blocks, bytes or base64, by the ``id`` of the block."""


def only_text(message: ChatMessage) -> str | None:
    """Return the text of a message that is a single block of text; None for any other.

    It is a fast path for nearly every message of a history; walking blocks takes ten times longer.
    """
    blocks = message.blocks
    return blocks[0].text if len(blocks) == 1 and type(blocks[0]) is TextBlock else None


def media_blocks(messages: Sequence[ChatMessage]) -> list[MediaBlock]:
    """Return the images and audio of messages, including those in citations, in order."""
    return [
        block
        for message in messages
        if only_text(message) is None
        for block in flat(message.blocks)
        if isinstance(block, ImageBlock | AudioBlock)
    ]


def flat(blocks: Sequence[BaseContentBlock]) -> Iterator[BaseContentBlock]:
    """Yield blocks; those that contain others are replaced by a text with the source and parts."""
    for block in blocks:
        # The wire has no field for a source, so it becomes text before the content.
        if isinstance(block, CitableBlock):
            yield TextBlock(text=f"{block.title} ({block.source}):")
            yield from flat(block.content)
        elif isinstance(block, CitationBlock):
            yield TextBlock(text=f"From {block.title} ({block.source}):")
            yield block.cited_content
        elif isinstance(block, DocumentBlock) and (text := _text_in(block)) is not None:
            yield TextBlock(text=text)
        else:
            yield block


def _text_in(block: DocumentBlock) -> str | None:
    """Return the text of a text document, after its title; None for any other document."""
    named = "" if block.title is None else block.title
    told = block.document_mimetype if block.document_mimetype else guess_type(named)[0]
    kind = "" if told is None else told.partition(";")[0]
    if not isinstance(block.data, bytes) or not (kind.startswith("text/") or kind in _TEXTS):
        return None
    try:
        # LlamaIndex stores the bytes as base64. utf-8-sig drops a byte order mark.
        text = base64.b64decode(block.data, validate=True).decode("utf-8-sig")
    except ValueError:
        return None
    return f"{named}\n{text}" if named not in ("", _NO_TITLE) else text


def text_of(blocks: Sequence[BaseContentBlock]) -> str:
    """Return the text of blocks, joined by line ends as in ``ChatMessage.content``."""
    return "\n".join(block.text for block in blocks if isinstance(block, TextBlock))


def thinking_of(blocks: Sequence[BaseContentBlock]) -> str:
    """Return the reasoning of blocks, joined by line ends."""
    # An answer that reasoned between two calls has several such blocks.
    contents = [block.content for block in blocks if isinstance(block, ThinkingBlock)]
    return "\n".join(content for content in contents if content)


def check_blocks(blocks: Sequence[BaseContentBlock], role: str) -> None:
    """Refuse blocks that cannot be sent.

    Raises:
        UnsupportedContentError: for such a block; it says what to send instead.
    """
    for block in blocks:
        # Only a warning: histories written for another provider must keep working.
        if isinstance(block, CachePoint):
            warnings.warn(
                "a CachePoint is ignored: Ollama caches the common beginning of prompts itself.",
                stacklevel=caller_level(),
            )
        elif not isinstance(
            block, TextBlock | ThinkingBlock | ToolCallBlock | ImageBlock | AudioBlock
        ):
            raise UnsupportedContentError(_refusal(block, role))


def _refusal(block: BaseContentBlock, role: str) -> str:
    name = type(block).__name__
    if isinstance(block, DocumentBlock):
        title = f" {block.title!r}" if block.title else ""
        return (
            f"the {role} message has a DocumentBlock{title}, but Ollama accepts no files. Read its "
            "text (SimpleDirectoryReader does that) and send it as a TextBlock, or send its pages "
            "as ImageBlocks to a vision model."
        )
    if isinstance(block, VideoBlock):
        return (
            f"the {role} message has a VideoBlock, but Ollama accepts no videos. Send single "
            "frames as ImageBlocks to a vision model."
        )
    return f"the {role} message has a {name}, which Ollama does not support: send a TextBlock."
