"""A server of /v1 that refuses some requests, and one question to it in all four ways."""

import json
from collections.abc import Callable
from typing import Any

import httpx
from faked import Network
from langchain_core.messages import HumanMessage
from llama_index.core.base.llms.types import ChatMessage
from running import Run

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama


class Strict(Network):
    """A server of /v1 that refuses some requests and answers the others."""

    def __init__(self, refuses: Callable[[Any], bool], refusal: httpx.Response) -> None:
        super().__init__(httpx.Response(404))
        self.refuses, self.refusal = refuses, refusal
        self.message: dict[str, Any] = {"content": "It rains."}
        self.bodies: list[Any] = []

    def _play(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/chat/completions"):
            return super()._play(request)
        body = json.loads(request.content)
        self.bodies.append(body)
        if self.refuses(body):
            return self.refusal
        choice = {"index": 0, "finish_reason": "stop"}
        if body["stream"]:
            delta = {"choices": [{**choice, "delta": self.message}]}
            return httpx.Response(200, text=f"data: {json.dumps(delta)}\n\ndata: [DONE]\n\n")
        return httpx.Response(200, json={"choices": [{**choice, "message": self.message}]})


def told(words: str, status: int = 400) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": words}})


def made(closing: list[Any], kind: Any, network: Network, **more: Any) -> Any:
    settings = {"base_url": "http://h/v1", "api": "openai", "count_tokens": False}
    model = kind(model="m", client_kwargs={"transport": network}, **{**settings, **more})
    closing.append(model)
    return model


async def _all(items: Any) -> list[Any]:
    return [item async for item in items]


async def _awaited(items: Any) -> list[Any]:
    return await _all(await items)


def ask(run: Run, asked_model: Any, messages: list[Any], streams: bool = False, **call: Any) -> Any:
    """Return the last message of an answer, in any of the four ways."""
    if isinstance(asked_model, Ollama):
        if not streams:
            asked = asked_model.achat if run.is_async else asked_model.chat
            return run(asked(messages, **call)).message
        if run.is_async:
            return run(_awaited(asked_model.astream_chat(messages, **call)))[-1].message
        return list(asked_model.stream_chat(messages, **call))[-1].message
    if not streams:
        return run((asked_model.ainvoke if run.is_async else asked_model.invoke)(messages, **call))
    begun = (asked_model.astream if run.is_async else asked_model.stream)(messages, **call)
    first, *rest = run(_all(begun)) if run.is_async else begun
    return sum(rest, first)


def hello(kind: Any) -> list[Any]:
    return [HumanMessage("Hi")] if kind is ChatOllama else [ChatMessage("Hi")]


def limited(kind: Any, **options: Any) -> dict[str, Any]:
    """Return options of a model under the names of its framework."""
    return options if kind is ChatOllama else {"additional_kwargs": options}
