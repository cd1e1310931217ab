"""Completions: what one call asks for, and its answers as langchain-core's generations."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from langchain_core.outputs import Generation, GenerationChunk, LLMResult
from pydantic import Field

from langchain_ollama_ext._fields import OTHER_NAMES, with_logprobs
from langchain_ollama_ext._obsolete import PEER_OBSOLETE
from langchain_ollama_ext._params import (
    SERVER_ARGUMENTS,
    Picker,
    known_arguments,
    merged_options,
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
"""Everything that invoke, stream, generate and bind take."""

_NOT_INFO = frozenset({"response", "thinking", "logprobs", "choices", "usage", "object"})


class CompletionFields(SerializedFields):
    """The fields of OllamaLLM that are not langchain-core's own."""

    system: str | None = Field(
        default=None, description="System text; None leaves it to the Modelfile."
    )
    template: str | None = Field(
        default=None, description="Template instead of the Modelfile's, in Go's template language."
    )
    raw: bool | None = Field(
        default=None,
        description="Send the prompt as it is, without any template; not with system, template or "
        "context.",
    )


def resolve_completion(
    model: CompletionFields, stop: Sequence[str] | None, arguments: Mapping[str, Any]
) -> GenerateRequest:
    """Return the request, still without a prompt, that fields and arguments of a call make.

    An argument of None counts as not given. Options merge, and so do stop texts.

    Raises:
        ConfigError: for an unknown name (it suggests the nearest), a value out of range, and
            arguments that contradict each other.
    """
    given = known_arguments(arguments, CALL_ARGUMENTS)
    # langchain-ollama passes these on, so code that sets them must not break.
    for name in _OF_IMAGE_MODELS:
        if name in given:
            warn_obsolete(name)
    # An argument wins over its field, and None means that it was not given.
    pick = Picker(model, given)
    return GenerateRequest(
        model=pick("model"),
        suffix=given.get("suffix"),
        system=pick("system"),
        template=pick("template"),
        context=given.get("context"),
        raw=pick("raw"),
        images=given.get("images", ()),
        format=read_format(pick("format")),
        options=merged_options(model, stop, given),
        think=pick("reasoning"),
        split_thinking=pick("split_thinking"),
        keep_alive=pick("keep_alive"),
        truncate=pick("truncate"),
        on_context_overflow=pick("on_context_overflow"),
        shift=pick("shift"),
        logprobs=with_logprobs(pick("logprobs"), pick("top_logprobs")),
        top_logprobs=pick("top_logprobs"),
        **model.request_fields(),
    )


def with_prompt(request: GenerateRequest, prompt: str) -> GenerateRequest:
    """Return the request about a prompt."""
    return replace(request, prompt=prompt)


def identity(request: GenerateRequest) -> dict[str, Any]:
    """Return all that decides about the answers to a request, under LangChain's names.

    It is what traces show and caches go by; images stand as digests.
    """
    asked = {field.name: getattr(request, field.name) for field in fields(request)}
    # Megabytes have no place in a trace or a key.
    images = [_digest(image) for image in asked.pop("images")]
    options, reasoning = asked.pop("options"), asked.pop("think")
    rest = {**asked, "reasoning": reasoning, "images": images}
    told = {name: value for name, value in rest.items() if value is not None}
    # Unset and empty ask for the same, so they must not be two keys of a cache.
    return {**{n: v for n, v in told.items() if v not in ("", [], {})}, **options}


def _digest(image: bytes | str) -> str:
    return hashlib.sha256(image.encode() if isinstance(image, str) else image).hexdigest()


def whole_generation(line: GenerateLine) -> Generation:
    """Return a whole answer as core takes it."""
    return Generation(text=line.text, generation_info=_info(line))


def chunk_of(line: GenerateLine) -> GenerationChunk:
    """Return a line of a stream as core takes it; merged, the chunks equal the whole answer.

    What is not text adds up in that: metadata and usage come once, with the last line.
    """
    info = _info(line)
    return GenerationChunk(text=line.text, generation_info=info if info else None)


def _info(line: GenerateLine) -> dict[str, Any]:
    logprobs = {"logprobs": [dict(one) for one in line.logprobs]} if line.logprobs else {}
    return {**_thought(line), **logprobs, **(_ending(line) if line.done else {})}


def _thought(line: GenerateLine) -> dict[str, Any]:
    # langchain-ollama has the one name where it streams, and the other where it does not.
    if not line.thinking:
        return {}
    return {"reasoning_content": line.thinking, "thinking": line.thinking}


def _ending(line: GenerateLine) -> dict[str, Any]:
    """Return all that the server said of the whole answer; its durations are nanoseconds."""
    # Whatever a newer server adds is kept: only what has a place of its own is left out.
    said = {name: value for name, value in line.raw.items() if name not in _NOT_INFO}
    usage = usage_metadata(line.usage)
    return {
        "model": line.model,
        "created_at": line.created_at,
        "done": line.done,
        "done_reason": line.done_reason,
        **said,
        # The name that tracers and other providers' code know.
        "finish_reason": line.done_reason,
        "model_name": line.model,
        "model_provider": PROVIDER,
        **({"usage_metadata": usage} if usage is not None else {}),
    }


def joined(lines: Sequence[GenerateLine]) -> GenerateLine:
    """Return the whole answer that the lines of a stream make."""
    return replace(
        lines[-1],
        text="".join(line.text for line in lines),
        thinking="".join(line.thinking for line in lines),
        logprobs=[entry for line in lines for entry in line.logprobs or ()] or None,
    )


def result_of(lines: Sequence[GenerateLine]) -> LLMResult:
    """Return the answers to several prompts, in their order, and what they cost together."""
    usage = added(line.usage for line in lines)
    names = {line.model for line in lines}
    return LLMResult(
        generations=[[whole_generation(line)] for line in lines],
        llm_output={"token_usage": usage.as_openai(), "model_name": ", ".join(sorted(names))},
    )
