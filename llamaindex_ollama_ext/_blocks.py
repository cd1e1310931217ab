"""Content blocks of LlamaIndex, read: what of them is text, and what is an image or a sound."""

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

MediaBlock = ImageBlock | AudioBlock
_TEXTS = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-yaml"}
)
_NO_TITLE = "input_document"
"""What LlamaIndex calls a document without a title."""

Media = Mapping[int, bytes | str]
"""The data of media blocks, bytes or base64, by the ``id`` of the block."""


def only_text(message: ChatMessage) -> str | None:
    """Return the text of a message that is one block of text; None for any other.

    Nearly every message of a history is one, and walking its blocks costs ten times as much.
    """
    blocks = message.blocks
    return blocks[0].text if len(blocks) == 1 and type(blocks[0]) is TextBlock else None


def media_blocks(messages: Sequence[ChatMessage]) -> list[MediaBlock]:
    """Return the images and sounds of messages, those inside citations too, in their order."""
    return [
        block
        for message in messages
        if only_text(message) is None
        for block in flat(message.blocks)
        if isinstance(block, ImageBlock | AudioBlock)
    ]


def flat(blocks: Sequence[BaseContentBlock]) -> Iterator[BaseContentBlock]:
    """Yield blocks with those that hold others taken apart, their source named in a text."""
    for block in blocks:
        # Models have no field for a source: it stands before what it is the source of.
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
    """Return the text of a document that is one, its title before it; None for any other."""
    named = "" if block.title is None else block.title
    told = block.document_mimetype if block.document_mimetype else guess_type(named)[0]
    kind = "" if told is None else told.partition(";")[0]
    if not isinstance(block.data, bytes) or not (kind.startswith("text/") or kind in _TEXTS):
        return None
    try:
        # LlamaIndex keeps the bytes as base64.
        text = base64.b64decode(block.data, validate=True).decode("utf-8-sig")
    except ValueError:
        return None
    return f"{named}\n{text}" if named not in ("", _NO_TITLE) else text


def text_of(blocks: Sequence[BaseContentBlock]) -> str:
    """Return the text of blocks, one line end between two, as ``ChatMessage.content`` has it."""
    return "\n".join(block.text for block in blocks if isinstance(block, TextBlock))


def thinking_of(blocks: Sequence[BaseContentBlock]) -> str:
    """Return the reasoning of blocks, one line end between two."""
    # All of them: an answer that thought between two calls has several.
    contents = [block.content for block in blocks if isinstance(block, ThinkingBlock)]
    return "\n".join(content for content in contents if content)


def check_blocks(blocks: Sequence[BaseContentBlock], role: str) -> None:
    """Refuse blocks that cannot be sent.

    Raises:
        UnsupportedContentError: naming the block and what to send instead.
    """
    for block in blocks:
        # Not an error: histories written for another provider go on working.
        if isinstance(block, CachePoint):
            warnings.warn(
                "a CachePoint is left out: Ollama keeps the common beginning of prompts by itself.",
                stacklevel=2,
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
            f"the {role} message has a DocumentBlock{title}: Ollama takes no files. Read its text "
            "(SimpleDirectoryReader does) and send that as a TextBlock, or its pages as "
            "ImageBlocks to a model that sees."
        )
    if isinstance(block, VideoBlock):
        return (
            f"the {role} message has a VideoBlock: Ollama takes no videos. Send single frames as "
            "ImageBlocks to a model that sees."
        )
    return f"the {role} message has a {name}, which Ollama does not know: send a TextBlock instead."
