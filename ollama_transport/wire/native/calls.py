"""Ollama's own wire: every endpoint of ``/api`` as a Call (wire reference 2 to 5)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ollama_transport.errors import ConfigError
from ollama_transport.schema.grammar import grammar_safe
from ollama_transport.schema.remembered import flattened_tool
from ollama_transport.wire.calls.body import image_data, without_none
from ollama_transport.wire.calls.call import Call, Recover
from ollama_transport.wire.calls.fast_json import parse_arrays, parse_numbers
from ollama_transport.wire.calls.lacks import dropped, reasoning_lacks
from ollama_transport.wire.calls.line_reader import LineReader
from ollama_transport.wire.calls.overflow import described, recover_by_truncation
from ollama_transport.wire.native.lines import STREAM, WHOLE, answer_lines, is_done
from ollama_transport.wire.native.messages import write_message
from ollama_transport.wire.native.runs import RunReader
from ollama_transport.wire.shaping.forced import call_format, forced_names
from ollama_transport.wire.shaping.shapers import chat_join, chat_shapers, text_join, text_shapers
from ollama_transport.wire.values.answers import (
    ChatLine,
    Embeddings,
    GenerateLine,
    ModelList,
    Progress,
    RunningList,
    ShowAnswer,
    Version,
)
from ollama_transport.wire.values.arguments import facts_of
from ollama_transport.wire.values.base_answer import Answer
from ollama_transport.wire.values.requests import (
    ChatRequest,
    CreateRequest,
    EmbedRequest,
    GenerateRequest,
)
from ollama_transport.wire.values.vectors import (
    EmbeddingArray,
    checked_array,
    checked_vectors,
    the_numpy,
)

A = TypeVar("A", bound=Answer)
T = TypeVar("T")
R = TypeVar("R", ChatRequest, GenerateRequest, EmbedRequest)


def chat(request: ChatRequest) -> Call[ChatLine]:
    """Return the call of ``/api/chat``.

    Raises:
        ConfigError: when the model's name is blank, or tool_choice names a tool that is missing.
    """
    # Ollama ignores tool_choice (wire reference 3.1), so "none" means sending no tools.
    offered = () if request.tool_choice == "none" else request.tools
    tools = [flattened_tool(tool) for tool in offered]
    names = forced_names(request)
    shared = _shared(request)
    if names:
        shared["format"] = call_format(request.tools, names, request.format)
    body = {
        "model": _asked(request.model),
        "messages": [write_message(message) for message in request.messages],
        "tools": tools if tools else None,
        **shared,
    }

    shapers = partial(chat_shapers, request, names)
    asked = facts_of(offered, request.messages)
    read = partial(ChatLine.from_native, asked=asked) if tools else ChatLine.from_native
    # Without a message the call only loads or unloads the model.
    join = chat_join(request) if request.messages else None
    return answer_lines(
        "/api/chat",
        body,
        read,
        request.model,
        shapers,
        join=join,
        runs=RunReader,
        recover=_recovery(request, chat),
        lacks=reasoning_lacks(body),
    )


def generate(request: GenerateRequest) -> Call[GenerateLine]:
    """Return the call of ``/api/generate``.

    Raises:
        ConfigError: when no model is named.
    """
    body = {
        "model": _asked(request.model),
        "prompt": request.prompt,
        "suffix": request.suffix,
        "system": request.system,
        "template": request.template,
        "context": None if request.context is None else list(request.context),
        "raw": request.raw,
        "images": [image_data(image) for image in request.images] or None,
        **_shared(request),
    }
    shapers = partial(text_shapers, request)
    # Without a prompt the call only loads or unloads the model (wire reference 4).
    join = text_join(request) if request.prompt or request.images else None
    read = GenerateLine.from_native
    recover = _recovery(request, generate)
    return answer_lines(
        "/api/generate", body, read, request.model, shapers, join=join, recover=recover
    )


def embed(request: EmbedRequest) -> Call[Embeddings]:
    """Return the call of ``/api/embed``; its answer is checked to hold a vector for each text.

    Raises:
        ConfigError: when no model is named.
    """
    expected = len(request.input)

    def read(raw: Mapping[str, Any]) -> Embeddings:
        answer = Embeddings.from_native(raw)
        return replace(answer, vectors=checked_vectors(answer.vectors, expected))

    return _embed(request, embed, read, parse_numbers)


def embed_array(request: EmbedRequest) -> Call[EmbeddingArray]:
    """Same as `embed`, for one array of all vectors.

    Raises:
        ImportError: when numpy is not installed; otherwise as `embed`.
    """
    np, expected = the_numpy(), len(request.input)

    def read(raw: Mapping[str, Any]) -> EmbeddingArray:
        rest, vectors = dropped(raw, "embeddings"), raw.get("embeddings")
        is_array = isinstance(vectors, np.ndarray)  # as `parse_arrays` makes it of most answers
        answer = Embeddings.from_native({**rest, "embeddings": []} if is_array else raw)
        array = checked_array(vectors if is_array else answer.vectors, expected)
        return EmbeddingArray(array, answer.model, answer.usage, rest)

    return _embed(request, embed_array, read, parse_arrays)


def _embed(
    request: EmbedRequest,
    build: Callable[[EmbedRequest], Call[T]],
    read: Callable[[Mapping[str, Any]], T],
    parse: Callable[[bytes], dict[str, Any]],
) -> Call[T]:
    body = {
        "model": _asked(request.model),
        "input": list(request.input),
        "dimensions": request.dimensions,
        "truncate": _truncate(request),
        "keep_alive": request.keep_alive,
        "options": dict(request.options) if request.options else None,
        **request.extra,
    }
    return Call(
        "POST",
        "/api/embed",
        read,
        body=without_none(body),
        model=request.model,
        metered=True,
        is_numbers=True,
        parse=parse,
        capability="embedding",
        pullable=True,
        recover=_recovery(request, build),
    )


def embeddings(
    model: str, prompt: str, *, options: Mapping[str, Any] | None = None, keep_alive: Any = None
) -> Call[Embeddings]:
    """Return the call of the legacy ``/api/embeddings``: one text, not normalised."""
    # This endpoint has no `truncate`: a text that is too long is a 500 (wire reference 5.2).
    body = {"model": _named(model), "prompt": prompt, "options": options, "keep_alive": keep_alive}
    return Call(
        "POST",
        "/api/embeddings",
        Embeddings.from_native,
        body=without_none(body),
        model=model,
        metered=True,
        capability="embedding",
        pullable=True,
    )


def models() -> Call[ModelList]:
    """Return the call of ``/api/tags``."""
    return Call("GET", "/api/tags", ModelList.from_native)


def ps() -> Call[RunningList]:
    """Return the call of ``/api/ps``, which waits while a model is being loaded."""
    return Call("GET", "/api/ps", RunningList.from_native)


def version() -> Call[Version]:
    """Return the call of ``/api/version``."""
    return Call("GET", "/api/version", Version.from_native)


def show(
    model: str,
    *,
    verbose: bool = False,
    system: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Call[ShowAnswer]:
    """Return the call of ``/api/show``; ``verbose`` adds the long arrays.

    ``system`` and ``options`` are shown as if the model had them (wire reference 9).
    """
    # The vocabulary alone is megabytes, so it is sent on request only (wire reference 9).
    body = {
        "model": _named(model),
        "verbose": True if verbose else None,
        "system": system,
        "options": options,
    }
    return Call(
        "POST",
        "/api/show",
        ShowAnswer.from_native,
        body=without_none(body),
        model=model,
        pullable=True,
    )


def pull(model: str, *, insecure: bool = False) -> Call[Progress]:
    """Return the call of ``/api/pull``; ``insecure`` allows a registry without TLS."""
    return _transfer("/api/pull", {"model": _named(model), "insecure": insecure or None})


def push(model: str, *, insecure: bool = False) -> Call[Progress]:
    """Return the call of ``/api/push``; ``insecure`` allows a registry without TLS."""
    return _transfer("/api/push", {"model": _named(model), "insecure": insecure or None})


def create(request: CreateRequest) -> Call[Progress]:
    """Return the call of ``/api/create``.

    Raises:
        ConfigError: when no model is named, or neither `from_` nor `files` is given.
    """
    # Servers no longer read the `modelfile` and `path` of older clients (wire reference 5.5).
    if request.from_ is None and not request.files:
        raise ConfigError("creating a model needs a source: give `from_` or `files`.")
    messages = request.messages
    body = {
        "model": _named(request.model),
        "from": request.from_,
        "files": request.files,
        "adapters": request.adapters,
        "template": request.template,
        "system": request.system,
        "license": request.license,
        "parameters": request.parameters,
        "messages": None if messages is None else [write_message(m) for m in messages],
        "quantize": request.quantize,
        "renderer": request.renderer,
        "parser": request.parser,
        "requires": request.requires,
        "info": request.info,
        "remote_host": request.remote_host,
        "draft_files": request.draft_files,
        "draft_quantize": request.draft_quantize,
        **request.extra,
    }
    return _transfer("/api/create", body)


def copy(source: str, destination: str) -> Call[Progress]:
    """Return the call of ``/api/copy``."""
    body = {"source": _named(source), "destination": _named(destination)}
    return _silent("POST", "/api/copy", body, source)


def delete(model: str) -> Call[Progress]:
    """Return the call of ``/api/delete``."""
    return _silent("DELETE", "/api/delete", {"model": _named(model)}, model)


def _silent(method: str, path: str, body: Mapping[str, Any], model: str) -> Call[Progress]:
    # Not repeatable: a second try would find the work done, and report that as a failure. The
    # status alone says that it went well (wire reference 5.6).
    def read(_: Mapping[str, Any]) -> Progress:
        return Progress.model_construct(status="success")  # `raw` stays empty, as the body was

    return Call(method, path, read, body=body, model=model, repeatable=False, may_be_empty=True)


def blob_exists(digest: str) -> Call[None]:
    """Return the call that looks for a blob; a RequestRejectedError 404 means it is missing."""
    return Call("HEAD", f"/api/blobs/{digest}", _nothing, may_be_empty=True)


def blob_upload(digest: str, path: Path) -> Call[None]:
    """Return the call that sends a file as a blob, streamed from disk."""
    return Call(
        "POST",
        # Not repeatable: gigabytes are sent again only if they certainly did not arrive.
        f"/api/blobs/{digest}",
        _nothing,
        upload=path,
        repeatable=False,
        may_be_empty=True,
    )


def _shared(request: ChatRequest | GenerateRequest) -> dict[str, Any]:
    return {
        "format": _format(request.format),
        "options": dict(request.options) if request.options else None,
        "think": request.think,
        "keep_alive": request.keep_alive,
        "truncate": _truncate(request),
        "shift": request.shift,
        "logprobs": request.logprobs,
        "top_logprobs": request.top_logprobs,
        **request.extra,
    }


def _format(given: str | Mapping[str, Any] | None) -> str | dict[str, Any] | None:
    return grammar_safe(given) if isinstance(given, Mapping) else given


def _truncate(request: ChatRequest | GenerateRequest | EmbedRequest) -> bool | None:
    """Return ``truncate``: only a refusal reveals that a prompt was cut (wire reference 14)."""
    # `shift` is left alone: it reveals less, and changing it reloads the model (3.8 and 14).
    if request.truncate is None and request.on_context_overflow in ("warn", "error"):
        return False
    return request.truncate


def _recovery(request: R, build: Callable[[R], Call[T]]) -> Recover[T] | None:
    # An explicit `truncate` is the caller's decision: nothing else is tried then.
    if request.on_context_overflow != "warn" or request.truncate is not None:
        return None

    def cut() -> Call[T]:
        return build(replace(request, on_context_overflow="truncate"))

    return recover_by_truncation(cut, lambda: _described(request))


def _described(request: ChatRequest | GenerateRequest | EmbedRequest) -> str:
    if isinstance(request, EmbedRequest):
        return described("a text", request.model, request.input)
    if isinstance(request, GenerateRequest):
        return described("the prompt", request.model, [request.prompt])
    content = "".join(message.content for message in request.messages)
    return described("the prompt", request.model, [content])


def _transfer(path: str, body: Mapping[str, Any]) -> Call[Progress]:
    return Call(
        "POST",
        path,
        Progress.from_native,
        body=without_none(body),
        reader=lambda: LineReader(Progress.from_native, is_done),
        whole_fields=WHOLE,
        stream_fields=STREAM,
        model=str(body["model"]),
        # A pull resumes where it stopped; the others would start over.
        repeatable=path == "/api/pull",
    )


def _named(model: object) -> str:
    if not isinstance(model, str) or not model.strip():
        raise ConfigError(
            f"model={model!r} names no model: set `model`, for example model='llama3.2'."
        )
    return model


def _asked(model: str | None) -> str | None:
    """Return the model's name, checked; None lets the client choose."""
    return None if model is None else _named(model)


def _nothing(_: Mapping[str, Any]) -> None:
    return None
