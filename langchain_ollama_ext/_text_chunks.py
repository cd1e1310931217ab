"""Chunks of plain text, which most chunks of a stream are: copies of one, where that works."""

from collections.abc import Callable
from functools import cache

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from ollama_transport.conversation import Copies, copying_works

Maker = Callable[[str], ChatGenerationChunk]


def constructed(text: str) -> ChatGenerationChunk:
    """Return a chunk of text as core's constructors make it."""
    message = AIMessageChunk(content=text, additional_kwargs={}, response_metadata={})
    return ChatGenerationChunk(message=message)


@cache
def text_chunks() -> Maker:
    """Return what makes a chunk of a text: by copying, or by core's constructors."""
    copied = _copying()
    return copied if copying_works(copied, constructed) and _adds_up(copied) else constructed


def _copying() -> Maker:
    model = constructed("text")
    generations, messages = Copies(model), Copies(model.message)
    # Core gives a text that may be called as well, as its older versions had it.
    kind = type(model.text)

    def copied(text: str) -> ChatGenerationChunk:
        message = messages.make({"content": text})
        return generations.make({"text": str.__new__(kind, text), "message": message})

    return copied


def _adds_up(copied: Maker) -> bool:
    one, other = constructed("a"), constructed("b")
    sums = [copied("a") + copied("b"), copied("a") + other, one + copied("b")]
    return all(whole == one + other for whole in sums)
