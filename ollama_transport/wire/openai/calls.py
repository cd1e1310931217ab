"""The OpenAI-compatible wire: the endpoints of ``/v1`` as Calls (wire reference 10).

Used by vLLM, llama.cpp's llama-server, llama-cpp-python, LM Studio, OpenLLM, LocalAI, and by
Ollama itself besides its own wire.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from ollama_transport.errors import ConfigError
from ollama_transport.schema.grammar import grammar_safe
from ollama_transport.schema.grammar_tools import fit_tool, tool_name
from ollama_transport.schema.strict import is_strict
from ollama_transport.wire.calls.body import without_none
from ollama_transport.wire.calls.call import Call, shaped, shaping
from ollama_transport.wire.calls.counting import estimating
from ollama_transport.wire.calls.lacks import EndpointLack, FieldLack, reasoning_lacks
from ollama_transport.wire.openai.answers import read_chat, read_text
from ollama_transport.wire.openai.embeddings import (
    parse_embeddings,
    read_embedding_array,
    read_embeddings,
)
from ollama_transport.wire.openai.lacks import BASE64, chat_lacks, option_lacks, stream_lacks
from ollama_transport.wire.openai.messages import write_messages
from ollama_transport.wire.openai.options import reasoning_effort, refuse, write_options
from ollama_transport.wire.openai.reader import ChatReader, TextReader
from ollama_transport.wire.shaping.forced import forced_names
from ollama_transport.wire.shaping.shapers import chat_join, chat_shapers, text_join, text_shapers
from ollama_transport.wire.values.answers import ChatLine, Embeddings, GenerateLine, ModelList
from ollama_transport.wire.values.arguments import facts_of
from ollama_transport.wire.values.messages import Message
from ollama_transport.wire.values.requests import (
    ChatRequest,
    EmbedRequest,
    GenerateRequest,
    NamedTool,
    WritingRequest,
)
from ollama_transport.wire.values.vectors import EmbeddingArray, the_numpy

T = TypeVar("T", Embeddings, EmbeddingArray)

_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_NAME_LENGTH = 64


def chat(request: ChatRequest) -> Call[ChatLine]:
    """Return the call of ``/v1/chat/completions``.

    Raises:
        ConfigError: for a blank model name, no messages, or a request for several answers.
        UnsupportedOptionError: for an option without a field on this wire, unless dropping is on.
        UnsupportedContentError: for an image of unknown type.
    """
    if not request.messages:
        raise ConfigError(
            "a chat over /v1 needs a message: models are loaded and unloaded over Ollama's own "
            "wire (`load`, `unload`), or when the server is started."
        )
    forced_names(request)  # a tool that is forced and not given is an error on either wire
    refuse(_native_only(request), request.unsupported_options)
    body = {
        "model": _asked(request.model),
        "messages": write_messages(request.messages),
        "tools": [fit_tool(tool) for tool in request.tools] if request.tools else None,
        "tool_choice": _tool_choice(request),
        "parallel_tool_calls": request.parallel_tool_calls,
        "response_format": _response_format(request.format),
        "reasoning_effort": reasoning_effort(request.think),
        "logprobs": request.logprobs,
        "top_logprobs": request.top_logprobs,
        **write_options(request.options, request.unsupported_options),
    }

    asked = facts_of(request.tools, request.messages)
    call = Call(
        "POST",
        "/v1/chat/completions",
        lambda raw: shaped(read_chat(raw, asked), chat_shapers(request, opens=True)),
        body=_with_extra(without_none(body), request.extra),
        reader=lambda: shaping(ChatReader(asked), chat_shapers(request, opens=True)),
        whole_fields={"stream": False},
        stream_fields=_stream_fields(request.extra),
        model=request.model,
        metered=True,
        capability="completion",
        pullable=True,
        join=chat_join(request),
        lacks=(*_lacks(body, request), *reasoning_lacks(body)),
    )
    return estimating(call)


def generate(request: GenerateRequest) -> Call[GenerateLine]:
    """Return the call of ``/v1/completions``; ``raw`` is not sent.

    The server decides whether a template is applied: vLLM and llama.cpp apply none, Ollama that of
    the model. Without num_predict there is no limit, as on Ollama's own wire; by default, servers
    of this wire stop after 16 tokens.

    Raises:
        ConfigError: for a blank model name, or a request for several answers.
        UnsupportedOptionError: for an option without a field on this wire, unless dropping is on.
    """
    if request.by_chat and _may_chat(request):
        return _by_chat(request)
    chat_only = {
        "system": request.system,
        "template": request.template,
        "context": request.context,
        "images": request.images if request.images else None,
        "format": request.format,
        "think": request.think,
    }
    refuse({**chat_only, **_native_only(request)}, request.unsupported_options)
    body = {
        "model": _asked(request.model),
        "prompt": request.prompt,
        "suffix": request.suffix,
        "logprobs": _old_logprobs(request),
        **write_options(request.options, request.unsupported_options),
    }
    call = Call(
        "POST",
        "/v1/completions",
        lambda raw: shaped(read_text(raw), text_shapers(request)),
        body=_with_extra({"max_tokens": None, **without_none(body)}, request.extra),
        reader=lambda: shaping(TextReader(), text_shapers(request)),
        whole_fields={"stream": False},
        stream_fields=_stream_fields(request.extra),
        model=request.model,
        metered=True,
        capability="completion",
        pullable=True,
        join=text_join(request),
        lacks=(*_lacks(body, request), *_completion_lacks(request)),
    )
    return estimating(call)


def _lacks(body: Mapping[str, Any], request: ChatRequest | GenerateRequest) -> Iterator[FieldLack]:
    """Yield the parts of ours that a server may refuse; the caller's own fields are not touched."""
    own = {
        name: value
        for name, value in body.items()
        if value is not None and name not in request.extra
    }
    yield from stream_lacks(_stream_fields(request.extra))
    yield from option_lacks(own)
    yield from chat_lacks(own, request.format)


def _completion_lacks(request: GenerateRequest) -> tuple[FieldLack, ...]:
    """Return the lack of ``/v1/completions``, in whose place a chat can go."""
    if not _may_chat(request):
        return ()

    def edit(call: Call[GenerateLine]) -> Call[GenerateLine]:
        chat = _by_chat(request)
        return chat if chat.model is not None or call.model is None else chat.with_model(call.model)

    # vLLM's words for a model of another task; else the endpoint is simply not there.
    return (EndpointLack("completions", r"does not support Completions", edit),)


def _may_chat(request: GenerateRequest) -> bool:
    # A chat has no field for these.
    alone = (request.suffix, request.template, request.context)
    return not request.raw and all(value is None for value in alone)


def _by_chat(request: GenerateRequest) -> Call[GenerateLine]:
    """Return a chat call that completes a prompt, so that the server applies the template."""
    system = [Message("system", request.system)] if request.system else []
    prompt = Message("user", request.prompt, images=request.images)
    # Both kinds of request inherit these fields.
    shared = {field.name: getattr(request, field.name) for field in fields(WritingRequest)}
    asked: Call[Any] = chat(ChatRequest(request.model, [*system, prompt], **shared))
    call: Call[GenerateLine] = replace(
        asked,
        read=lambda raw: shaped(read_text(raw), text_shapers(request)),
        reader=lambda: shaping(TextReader(), text_shapers(request)),
        join=text_join(request),
    )
    return estimating(call)


def embed(request: EmbedRequest) -> Call[Embeddings]:
    """Return the call of ``/v1/embeddings``; its answer is checked to hold a vector for each text.

    It requests base64, which is a third of the bytes; numbers are accepted as well.

    Raises:
        ConfigError: when no model is named.
        UnsupportedOptionError: for an option without a field on this wire, unless dropping is on.
    """
    expected = len(request.input)
    return estimating(_embed(request, lambda raw: read_embeddings(raw, expected)))


def embed_array(request: EmbedRequest) -> Call[EmbeddingArray]:
    """Same as `embed`, for one array of all vectors.

    Raises:
        ImportError: when numpy is not installed; otherwise as `embed`.
    """
    the_numpy()
    expected = len(request.input)
    return estimating(_embed(request, lambda raw: read_embedding_array(raw, expected)))


def _embed(request: EmbedRequest, read: Callable[[Mapping[str, Any]], T]) -> Call[T]:
    refuse({**_native_only(request), **request.options}, request.unsupported_options)
    body = {
        "model": _asked(request.model),
        "input": list(request.input),
        "dimensions": request.dimensions,
        "encoding_format": "base64",
    }
    return Call(
        "POST",
        "/v1/embeddings",
        read,
        body={**without_none(body), **request.extra},
        model=request.model,
        metered=True,
        is_numbers=True,
        parse=parse_embeddings,
        capability="embedding",
        pullable=True,
        lacks=(BASE64,),
    )


def models() -> Call[ModelList]:
    """Return the call of ``/v1/models``."""
    return Call("GET", "/v1/models", ModelList.from_openai)


def _native_only(request: ChatRequest | GenerateRequest | EmbedRequest) -> dict[str, Any]:
    """Return the options that no server of this wire reads.

    One of them is the policy to cut prompts silently: these servers refuse a prompt that does not
    fit, which raises ContextOverflowError (Ollama's ``/v1`` always cuts it silently).
    """
    cuts = request.on_context_overflow == "truncate"
    return {
        "keep_alive": request.keep_alive,
        "truncate": request.truncate,
        "on_context_overflow": "truncate" if cuts else None,
        "shift": None if isinstance(request, EmbedRequest) else request.shift,
    }


def _tool_choice(request: ChatRequest) -> str | dict[str, Any] | None:
    choice = request.tool_choice
    if choice == "required" and len(request.tools) == 1:
        # The same in a form that llama-cpp-python knows; it fails at "required".
        choice = NamedTool(tool_name(request.tools[0]))
    if isinstance(choice, NamedTool):
        return {"type": "function", "function": {"name": choice.name}}
    return choice


def _response_format(given: str | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if given is None:
        return None
    if isinstance(given, str):
        return {"type": "json_object"}
    said = given.get("strict")
    # OpenAI refuses "strict" with a schema that is not strict; other servers ignore it.
    strict = said if isinstance(said, bool) else True if is_strict(given) else None
    described = {"name": _schema_name(given), "schema": _safe_format(given), "strict": strict}
    return {"type": "json_schema", "json_schema": without_none(described)}


def _safe_format(given: Mapping[str, Any]) -> dict[str, Any]:
    # Keywords that llama.cpp's grammar drops are kept: other engines enforce them.
    return grammar_safe(given, keep_ignored=True)


def _schema_name(schema: Mapping[str, Any]) -> str:
    """Return a name in the characters that servers allow; they require one but do not use it."""
    title = str(schema.get("title", ""))
    name = "".join(letter if letter in _NAME_CHARACTERS else "_" for letter in title)
    return name[:_NAME_LENGTH] if name.strip("_") else "answer"


def _old_logprobs(request: GenerateRequest) -> int | None:
    """Return ``logprobs`` of a completion, a number; llama.cpp treats 0 as not requested."""
    if not request.logprobs:
        return None
    # The number is that of the alternatives, and turns the log probabilities on.
    return 1 if request.top_logprobs is None else max(1, request.top_logprobs)


def _stream_fields(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that request a stream; ``stream_options: None`` in extra omits usage."""
    # A stream has its usage on request only (wire reference 10.1).
    given = extra.get("stream_options", {})
    if given is None:
        return {"stream": True}
    return {"stream": True, "stream_options": {"include_usage": True, **given}}


def _with_extra(body: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    if extra.get("n") not in (None, 1):
        raise ConfigError(f"n={extra['n']!r}: only one answer is read; send several requests.")
    # vLLM refuses stream_options without a stream.
    return {**body, **{name: value for name, value in extra.items() if name != "stream_options"}}


def _asked(model: str | None) -> str | None:
    """Return the model's name, checked; None lets the client choose."""
    if model is None or (isinstance(model, str) and model.strip()):
        return model
    raise ConfigError(
        f"the model's name is {model!r}: set `model` to one that `Client.list()` returns."
    )
