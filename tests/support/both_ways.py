"""Ask through both adapters, and put what a user gets into one shape."""

import functools
import json
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx
from faked import Network
from langchain_core.messages import AIMessage, AIMessageChunk
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from recorded import all_names, recording
from running import Run

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_transport import OllamaError, errors

Ask = Callable[[Run, httpx.MockTransport, dict[str, Any], bool], "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What a user of either framework gets."""

    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str | None, str, str], ...] = ()
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    error: str = ""
    status: int | None = None
    received: str = ""
    refusal: str = ""


def is_chat(name: str) -> bool:
    found = recording(name)
    return found.path in ("/api/chat", "/v1/chat/completions")


def wire(name: str) -> dict[str, Any]:
    openai = recording(name).path.startswith("/v1")
    base = "http://127.0.0.1:11434" + ("/v1" if openai else "")
    return {"base_url": base, "max_retries": 0}


CHATS = [name for name in all_names() if is_chat(name)]
COMPLETIONS = [
    name for name in all_names() if recording(name).path in ("/api/generate", "/v1/completions")
]
EMBEDDINGS = [
    name for name in all_names() if recording(name).path in ("/api/embed", "/v1/embeddings")
]


class Facts(Network):
    """Play a recording; a question for the model's facts finds nobody who knows."""

    def _play(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/api/show"):
            return httpx.Response(404, json={"error": "404 page not found"})
        return super()._play(request)


def failed(error: OllamaError) -> Outcome:
    """Return the transport's own class of an error, which either adapter may refine."""
    names = [cls.__name__ for cls in type(error).__mro__ if cls.__module__ == errors.__name__]
    received = "".join(line.text for line in getattr(error, "received", ()))
    return Outcome(error=names[0], status=getattr(error, "status", None), received=received)


async def _listed(stream: Any) -> list[Any]:
    async with aclosing(stream) as items:
        return [item async for item in items]


async def _awaited_list(coroutine: Any) -> list[Any]:
    return await _listed(await coroutine)


def langchain_message(message: AIMessage) -> Outcome:
    usage = message.usage_metadata
    bad = [(c["id"], c["name"] or "", c["args"] or "") for c in message.invalid_tool_calls]
    good = [(c["id"], c["name"], json.dumps(c["args"], sort_keys=True)) for c in message.tool_calls]
    return Outcome(
        text=str(message.content),
        thinking=message.additional_kwargs.get("reasoning_content", ""),
        refusal=message.additional_kwargs.get("refusal", ""),
        calls=(*good, *bad),
        prompt_tokens=usage["input_tokens"] if usage else None,
        completion_tokens=usage["output_tokens"] if usage else None,
    )


def ask_langchain(
    run: Run, network: httpx.MockTransport, settings: dict[str, Any], streams: bool
) -> Outcome:
    model = ChatOllama(model="m", client_kwargs={"transport": network}, **settings)
    try:
        if not streams:
            message = run(model.ainvoke("hi")) if run.is_async else model.invoke("hi")
        else:
            chunks = run(_listed(model.astream("hi"))) if run.is_async else [*model.stream("hi")]
            message = functools.reduce(lambda a, b: a + b, chunks)
            assert isinstance(message, AIMessageChunk)
    except OllamaError as error:
        return failed(error)
    finally:
        run(model.aclose() if run.is_async else model.close())
    return langchain_message(message)


def llamaindex_response(response: ChatResponse) -> Outcome:
    blocks = response.message.blocks
    calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
    usage = response.raw.get("usage", {}) if response.raw else {}
    return Outcome(
        text="".join(block.text for block in blocks if isinstance(block, TextBlock)),
        thinking="".join(b.content or "" for b in blocks if isinstance(b, ThinkingBlock)),
        refusal=response.message.additional_kwargs.get("refusal", ""),
        calls=tuple(
            (
                call.tool_call_id,
                call.tool_name,
                call.tool_kwargs
                if isinstance(call.tool_kwargs, str)
                else json.dumps(call.tool_kwargs, sort_keys=True),
            )
            for call in calls
        ),
        prompt_tokens=usage.get("prompt_tokens"),
        completion_tokens=usage.get("completion_tokens"),
    )


def ask_llamaindex(
    run: Run, network: httpx.MockTransport, settings: dict[str, Any], streams: bool
) -> Outcome:
    llm = Ollama(model="m", client_kwargs={"transport": network}, **settings)
    messages = [ChatMessage("hi")]
    try:
        if not streams:
            response = run(llm.achat(messages)) if run.is_async else llm.chat(messages)
        elif run.is_async:
            response = run(_awaited_list(llm.astream_chat(messages)))[-1]
        else:
            response = [*llm.stream_chat(messages)][-1]
    except OllamaError as error:
        return failed(error)
    finally:
        run(llm.aclose() if run.is_async else llm.close())
    return llamaindex_response(response)


def complete_langchain(
    run: Run, network: httpx.MockTransport, settings: dict[str, Any], streams: bool
) -> Outcome:
    model = OllamaLLM(model="m", client_kwargs={"transport": network}, **settings)
    try:
        if not streams:
            whole = model.agenerate(["hi"]) if run.is_async else model.generate(["hi"])
            generation = run(whole).generations[0][0]
        else:
            pieces = run(_listed(model._astream("hi"))) if run.is_async else [*model._stream("hi")]
            generation = functools.reduce(lambda a, b: a + b, pieces)
    except OllamaError as error:
        return failed(error)
    finally:
        run(model.aclose() if run.is_async else model.close())
    info = generation.generation_info
    usage = info.get("usage_metadata", {})
    return Outcome(
        text=generation.text,
        thinking=info.get("reasoning_content", ""),
        prompt_tokens=usage.get("input_tokens"),
        completion_tokens=usage.get("output_tokens"),
    )


def complete_llamaindex(
    run: Run, network: httpx.MockTransport, settings: dict[str, Any], streams: bool
) -> Outcome:
    llm = Ollama(model="m", client_kwargs={"transport": network}, **settings)
    try:
        if not streams:
            responses = [run(llm.acomplete("hi") if run.is_async else llm.complete("hi"))]
        elif run.is_async:
            responses = run(_awaited_list(llm.astream_complete("hi")))
        else:
            responses = [*llm.stream_complete("hi")]
    except OllamaError as error:
        return failed(error)
    finally:
        run(llm.aclose() if run.is_async else llm.close())
    more = [response.additional_kwargs for response in responses]
    usage = responses[-1].raw.get("usage", {})
    return Outcome(
        text=responses[-1].text,
        thinking="".join(m.get("thinking_delta") or m.get("thinking") or "" for m in more),
        prompt_tokens=usage.get("prompt_tokens"),
        completion_tokens=usage.get("completion_tokens"),
    )


def embed_langchain(run: Run, name: str, texts: list[str]) -> Any:
    model = OllamaEmbeddings(model="m", client_kwargs={"transport": Facts(name)}, **wire(name))
    try:
        if run.is_async:
            return run(model.aembed_documents(texts))
        return model.embed_documents(texts)
    except OllamaError as error:
        return failed(error)
    finally:
        run(model.aclose() if run.is_async else model.close())


def embed_llamaindex(run: Run, name: str, texts: list[str]) -> Any:
    model = OllamaEmbedding("m", client_kwargs={"transport": Facts(name)}, **wire(name))
    try:
        if run.is_async:
            return run(model.aget_text_embedding_batch(texts))
        return model.get_text_embedding_batch(texts)
    except OllamaError as error:
        return failed(error)
    finally:
        run(model.aclose() if run.is_async else model.close())
