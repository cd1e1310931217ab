"""Make the responses of plain text, the bulk of a stream, as copies of one where that works."""

from collections.abc import Callable
from functools import cache
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, TextBlock

from ollama_transport.conversation import copier, copying_works

Maker = Callable[[str, str, dict[str, Any]], ChatResponse]
"""Makes a response from the text so far, the added text, and the server's line."""


def constructed(text: str, delta: str, raw: dict[str, Any]) -> ChatResponse:
    """Return a response made by LlamaIndex's constructors."""
    return ChatResponse(
        message=ChatMessage(
            role=MessageRole.ASSISTANT, blocks=[TextBlock(text=text)], additional_kwargs={}
        ),
        delta=delta,
        raw=raw,
        logprobs=None,
        additional_kwargs={"thinking_delta": None},
    )


@cache
def text_responses() -> Maker:
    """Return the function that makes them: by copying, or by LlamaIndex's constructors."""
    copied = _copying()
    alike = copying_works(lambda text: _probe(copied, text), lambda text: _probe(constructed, text))
    return copied if alike else constructed


def _copying() -> Maker:
    model = constructed("text", "delta", {})
    response_fields, response = copier(model)
    message_fields, message = copier(model.message)
    block_fields, block = copier(model.message.blocks[0])

    def copied(text: str, delta: str, raw: dict[str, Any]) -> ChatResponse:
        part, said, made = block_fields(), message_fields(), response_fields()
        part["text"] = text
        said["blocks"] = [block(part)]
        said["additional_kwargs"] = {}
        made["message"] = message(said)
        made["delta"] = delta
        made["raw"] = raw
        made["additional_kwargs"] = {"thinking_delta": None}
        return response(made)

    return copied


def _probe(make: Maker, text: str) -> ChatResponse:
    return make(f"so far {text}", text, {"message": {"content": text}})
