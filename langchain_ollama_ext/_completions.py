"""Completions: build the request of a call, and map its answers to langchain-core's generations."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from langchain_core.outputs import Generation, GenerationChunk, LLMResult
from pydantic import Field

from langchain_ollama_ext._fields import OTHER_NAMES
from langchain_ollama_ext._obsolete import PEER_OBSOLETE
from langchain_ollama_ext._params import (
    SERVER_ARGUMENTS,
    Picker,
    known_arguments,
    shared_fields,
)
from langchain_ollama_ext._serialized import SerializedFields
from langchain_ollama_ext._stream import PROVIDER, usage_metadata
from langchain_ollama_ext._tools import read_format
from ollama_transport import GenerateLine, GenerateRequest
from ollama_transport.accounting import added
from ollama_transport.settings import OPTION_NAMES, warn_obsolete

_OF_IMAGE_MODELS = ("height", "steps", "width")
"""Arguments of langchain-ollama that the server ignores (wire reference 4)."""

_OWN = frozenset(
    {
        "context",
        "format",
        "images",
        "keep_alive",
        "logprobs",
        "model",
        "on_context_overflow",
        "options",
        "raw",
        "reasoning",
        "shift",
        "stop",
        "suffix",
        "system",
        "template",
        "top_logprobs",
        "truncate",
    }
)
STREAMING_ARGUMENTS = ("stream", "streaming")
CALL_ARGUMENTS = (
    _OWN
    | SERVER_ARGUMENTS
    | OPTION_NAMES
    | frozenset(OTHER_NAMES)
    | frozenset(PEER_OBSOLETE)
    | frozenset(STREAMING_ARGUMENTS)
    | frozenset(_OF_IMAGE_MODELS)
)
"""All arguments of invoke, stream, generate and bind."""

_NOT_INFO = frozenset({"response", "thinking", "logprobs", "choices", "usage", "object"})


class CompletionFields(SerializedFields):
    """The fields that OllamaLLM adds to those of langchain-core."""

    system: str | None = Field(
        default=None, description="System text; None leaves it to the Modelfile."
    )
    template: str | None = Field(
        default=None, description="Template instead of the Modelfile's, in Go's template language."
    )
    raw: bool | None = Field(
        default=None,
        description="Send the prompt unchanged, without any template; not with system, template "
        "or context.",
    )


def resolve_completion(
    model: CompletionFields, stop: Sequence[str] | None, arguments: Mapping[str, Any]
) -> GenerateRequest:
    """Return the request for a model's fields and the arguments of a call, without a prompt.

    None counts as not given. Options are merged, and so are stop texts.

    Raises:
        ConfigError: for an unknown name (it suggests a similar one), a value out of range, and
            arguments that contradict each other.
    """
    given = known_arguments(arguments, CALL_ARGUMENTS)
    # langchain-ollama forwards these, so code that sets them must keep working.
    for name in _OF_IMAGE_MODELS:
        if name in given:
            warn_obsolete(name)
    # Arguments override fields.
    pick = Picker(model, given)
    return GenerateRequest(
        suffix=given.get("suffix"),
        system=pick("system"),
        template=pick("template"),
        context=given.get("context"),
        raw=pick("raw"),
        images=given.get("images", ()),
        format=read_format(pick("format")),
        **shared_fields(model, stop, given, pick),
    )


def with_prompt(request: GenerateRequest, prompt: str) -> GenerateRequest:
    """Return the request with a prompt."""
    return replace(request, prompt=prompt)


def identity(request: GenerateRequest) -> dict[str, Any]:
    """Return everything that determines the answers to a request, under LangChain's names.

    Traces show it and caches use it as a key; images are replaced by digests.
    """
    asked = {field.name: getattr(request, field.name) for field in fields(request)}
    # Traces and cache keys must not contain megabytes.
    images = [_digest(image) for image in asked.pop("images")]
    options, reasoning = asked.pop("options"), asked.pop("think")
    rest = {**asked, "reasoning": reasoning, "images": images}
    told = {name: value for name, value in rest.items() if value is not None}
    # Unset and empty mean the same, so they must give the same cache key.
    return {**{n: v for n, v in told.items() if v not in ("", [], {})}, **options}


def _digest(image: bytes | str) -> str:
    return hashlib.sha256(image.encode() if isinstance(image, str) else image).hexdigest()


def whole_generation(line: GenerateLine) -> Generation:
    """Return a whole answer as core's generation."""
    return Generation(text=line.text, generation_info=_info(line))


def chunk_of(line: GenerateLine) -> GenerationChunk:
    """Return a line of a stream as core's chunk; merged, the chunks equal the whole answer.

    Core adds up metadata and usage when it merges, so they come only once, with the last line.
    """
    info = _info(line)
    return GenerationChunk(text=line.text, generation_info=info if info else None)


def _info(line: GenerateLine) -> dict[str, Any]:
    logprobs = {"logprobs": [dict(one) for one in line.logprobs]} if line.logprobs else {}
    return {**_thought(line), **logprobs, **(_ending(line) if line.done else {})}


def _thought(line: GenerateLine) -> dict[str, Any]:
    # langchain-ollama uses the first name when it streams, and the second when it does not.
    if not line.thinking:
        return {}
    return {"reasoning_content": line.thinking, "thinking": line.thinking}


def _ending(line: GenerateLine) -> dict[str, Any]:
    """Return the server's metadata of the whole answer; its durations are nanoseconds."""
    # Unknown fields of newer servers are kept: only those that are mapped elsewhere are left out.
    said = {name: value for name, value in line.raw.items() if name not in _NOT_INFO}
    usage = usage_metadata(line.usage)
    return {
        "model": line.model,
        "created_at": line.created_at,
        "done": line.done,
        "done_reason": line.done_reason,
        **said,
        # The names that tracers and code for other providers look for.
        "finish_reason": line.done_reason,
        "model_name": line.model,
        "model_provider": PROVIDER,
        **({"usage_metadata": usage} if usage is not None else {}),
    }


def joined(lines: Sequence[GenerateLine]) -> GenerateLine:
    """Return the lines of a stream as one whole answer."""
    return replace(
        lines[-1],
        text="".join(line.text for line in lines),
        thinking="".join(line.thinking for line in lines),
        logprobs=[entry for line in lines for entry in line.logprobs or ()] or None,
    )


def result_of(lines: Sequence[GenerateLine]) -> LLMResult:
    """Return the answers to several prompts, in order, and their total usage."""
    usage = added(line.usage for line in lines)
    names = {line.model for line in lines}
    return LLMResult(
        generations=[[whole_generation(line)] for line in lines],
        llm_output={"token_usage": usage.as_openai(), "model_name": ", ".join(sorted(names))},
    )
