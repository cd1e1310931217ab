"""Make the chunks of plain text, the bulk of a stream, as copies of one where that works."""

from collections.abc import Callable
from functools import cache

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from ollama_transport.conversation import copier, copying_works

Maker = Callable[[str], ChatGenerationChunk]


def constructed(text: str) -> ChatGenerationChunk:
    """Return a chunk of text made by core's constructors."""
    message = AIMessageChunk(content=text, additional_kwargs={}, response_metadata={})
    return ChatGenerationChunk(message=message)


@cache
def text_chunks() -> Maker:
    """Return the function that makes chunks of text: by copying, or by core's constructors."""
    copied = _copying()
    return copied if copying_works(copied, constructed) and _adds_up(copied) else constructed


def _copying() -> Maker:
    model = constructed("text")
    generation_fields, generation = copier(model)
    message_fields, message = copier(model.message)
    # Core's text is a str subclass that can also be called, as in its older versions.
    new, kind = str.__new__, type(model.text)

    def copied(text: str) -> ChatGenerationChunk:
        said = message_fields()
        said["content"] = text
        # One by one: a loop over their names would take a tenth more of all this.
        said["additional_kwargs"] = {}
        said["response_metadata"] = {}
        said["tool_calls"] = []
        said["invalid_tool_calls"] = []
        said["tool_call_chunks"] = []
        made = generation_fields()
        made["text"] = new(kind, text)
        made["message"] = message(said)
        return generation(made)

    return copied


def _adds_up(copied: Maker) -> bool:
    one, other = constructed("a"), constructed("b")
    sums = [copied("a") + copied("b"), copied("a") + other, one + copied("b")]
    return all(whole == one + other for whole in sums)
