"""Ways to call LlamaIndex's `Ollama`, so that a test is written once, and servers to call."""

import json
from contextlib import aclosing, closing
from typing import Any

import httpx
from faked import Network, played
from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse
from recorded import recording
from running import Run

from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import Reply

DONE = {"done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3}


class Way:
    """Call a model in one of the four ways; a whole answer counts as a stream of one response."""

    def __init__(self, run: Run, *, streams: bool) -> None:
        self.run = run
        self.streams = streams

    def chat(self, llm: Ollama, messages: Any, **kwargs: Any) -> list[ChatResponse]:
        if isinstance(messages, str):
            messages = [ChatMessage(messages)]
        return self._call(llm, "chat", messages, **kwargs)

    def complete(self, llm: Ollama, prompt: str, **kwargs: Any) -> list[CompletionResponse]:
        return self._call(llm, "complete", prompt, **kwargs)

    def chat_with_tools(self, llm: Ollama, *args: Any, **kwargs: Any) -> list[ChatResponse]:
        return self._call(llm, "chat_with_tools", *args, **kwargs)

    def _call(self, llm: Ollama, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        prefix = ("a" if self.run.is_async else "") + ("stream_" if self.streams else "")
        method = getattr(llm, prefix + name)
        if not self.streams:
            return [self.run(method(*args, **kwargs))]
        if self.run.is_async:
            return self.run(_all(method(*args, **kwargs)))
        with closing(method(*args, **kwargs)) as stream:
            return list(stream)


async def _all(coroutine: Any) -> list[Any]:
    async with aclosing(await coroutine) as stream:
        return [response async for response in stream]


class Played(Network):
    """A network that plays answers in order, and tells of the model what a recording told."""

    def __init__(self, *answers: Any, shown: str | httpx.Response = "show/tiny-chat") -> None:
        super().__init__(*answers)
        self.shown = shown
        self.shows = 0

    def _play(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/api/show":
            return _afresh(super()._play(request))
        self.shows += 1
        shown = self.shown
        return played(recording(shown)) if isinstance(shown, str) else _afresh(shown)

    @property
    def bodies(self) -> list[Any]:
        """Return what was asked, all but facts about the model."""
        return [json.loads(request.content) for request in self.requests]

    @property
    def body(self) -> Any:
        """Return what the last request said."""
        return self.bodies[-1]


def _afresh(response: httpx.Response) -> httpx.Response:
    """Return a response that can be played again, to the other kind of client too."""
    if isinstance(response.stream, httpx.ByteStream):
        headers = {k: v for k, v in response.headers.items() if k != "content-length"}
        return httpx.Response(response.status_code, headers=headers, content=response.content)
    return response


def chat_lines(*messages: dict[str, Any], **last: Any) -> list[dict[str, Any]]:
    """Return the lines of a chat that says these messages, the last one with the counts."""
    head = {"model": "m", "created_at": "2026-01-01T00:00:00Z"}
    lines = [{**head, "message": {"role": "assistant", **m}, "done": False} for m in messages]
    return [*lines[:-1], {**lines[-1], **DONE, **last}]


def answer(message: dict[str, Any], *, streams: bool, **last: Any) -> httpx.Response:
    """Return a chat of one message as the server sends it."""
    (line,) = chat_lines(message, **last)
    kind = "application/x-ndjson" if streams else "application/json"
    return httpx.Response(200, content=json.dumps(line) + "\n", headers={"content-type": kind})


def chat_reply(*messages: dict[str, Any], **how: Any) -> Reply:
    """Return a scripted stream of these messages."""
    return Reply.lines(chat_lines(*messages), **how)
