"""The 24 ways to an answer: frameworks, chat and embeddings, whole and streamed, kinds, wires."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Any

from llama_index.core.llms import ChatMessage
from right_answers import TEXT, TEXTS, VECTORS

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from llamaindex_ollama_ext import Ollama, OllamaEmbedding

DEADLINE_S = 30.0
"""Far above what any case takes: a case that is still at work then is stuck."""

RIGHT = {"whole": TEXT, "streamed": TEXT, "embedded": VECTORS}

_KINDS = {
    ("langchain", False): ChatOllama,
    ("langchain", True): OllamaEmbeddings,
    ("llamaindex", False): Ollama,
    ("llamaindex", True): OllamaEmbedding,
}


@dataclass(frozen=True)
class Way:
    """One way to an answer; ``form`` is whole, streamed or embedded."""

    framework: str
    form: str
    is_async: bool
    is_openai: bool

    @property
    def id(self) -> str:
        kind, wire = "async" if self.is_async else "sync", "openai" if self.is_openai else "native"
        return f"{self.framework}-{self.form}-{kind}-{wire}"

    def model(self, url: str, **settings: Any) -> Any:
        """Return a new model on a server; it gives up at once, unless told otherwise."""
        kind = _KINDS[self.framework, self.form == "embedded"]
        given = {"max_retries": 0, "timeout": (5.0, 10.0), **settings}
        name = "model_name" if kind is OllamaEmbedding else "model"
        # Right answers are an Ollama's: without a word it would be spoken to on its own wire.
        given = {"api": "openai", **given} if self.is_openai else given
        return kind(**{name: "m"}, base_url=url + ("/v1" if self.is_openai else ""), **given)

    def ask(self, model: Any) -> Any:
        """Return what the model says, blocking."""
        if self.form == "embedded":
            if self.framework == "langchain":
                return model.embed_documents(TEXTS)
            return model.get_text_embedding_batch(TEXTS)
        if self.form == "whole":
            return _text(model.invoke("hi") if self._is_langchain else model.chat(_messages()))
        with closing(self.stream_of(model)) as parts:
            return self._joined(list(parts))

    def stream_of(self, model: Any) -> Any:
        """Return a model's stream, blocking."""
        return model.stream("hi") if self._is_langchain else model.stream_chat(_messages())

    async def astream_of(self, model: Any) -> Any:
        """Return a model's stream, awaited."""
        if self._is_langchain:
            return model.astream("hi")
        return await model.astream_chat(_messages())

    async def aask(self, model: Any) -> Any:
        """Return what the model says, awaited."""
        if self.form == "embedded":
            if self.framework == "langchain":
                return await model.aembed_documents(TEXTS)
            return await model.aget_text_embedding_batch(TEXTS)
        if self.form == "whole":
            return _text(
                await (model.ainvoke("hi") if self._is_langchain else model.achat(_messages()))
            )
        async with aclosing(await self.astream_of(model)) as parts:
            return self._joined([part async for part in parts])

    @property
    def _is_langchain(self) -> bool:
        return self.framework == "langchain"

    def _joined(self, parts: list[Any]) -> str:
        if self._is_langchain:
            return "".join(str(part.content) for part in parts)
        return _text(parts[-1]) if parts else ""


WAYS = [
    Way(framework, form, is_async, is_openai)
    for framework in ("langchain", "llamaindex")
    for form in ("whole", "streamed", "embedded")
    for is_async in (False, True)
    for is_openai in (False, True)
]


def _messages() -> list[ChatMessage]:
    return [ChatMessage("hi")]


def _text(answer: Any) -> str:
    found = answer.content if hasattr(answer, "content") else answer.message.content
    return str(found)


Result = tuple[Any, BaseException | None]
Between = Callable[[], None] | None


async def _settled(awaited: Awaitable[Any]) -> Result:
    try:
        return await awaited, None
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return None, error


def _done(work: Callable[[], Any]) -> Result:
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return None, error


def in_time(work: Callable[[], Any], seconds: float = DEADLINE_S) -> Any:
    """Return what work returns, in a thread of its own; an AssertionError when it is stuck."""
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(_done(work)), daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"still at work after {seconds:g} s"
    value, error = results[0]
    if error is not None:
        raise error
    return value


def results_of(way: Way, model: Any, count: int = 2, between: Between = None) -> list[Result]:
    """Ask a model so often, one after the other; close it, and return the results.

    ``between`` is called before each call but the first.
    Awaited calls share one event loop, in which no task may be left.
    """
    if not way.is_async:
        return _blocking(way, model, count, between)
    return asyncio.run(_awaited(way, model, count, between))


def _blocking(way: Way, model: Any, count: int, between: Between) -> list[Result]:
    results: list[Result] = []
    try:
        for _ in range(count):
            if between is not None and results:
                between()
            results.append(_done(lambda: way.ask(model)))
    finally:
        model.close()
    return results


async def _awaited(way: Way, model: Any, count: int, between: Between) -> list[Result]:
    results: list[Result] = []
    try:
        for _ in range(count):
            if between is not None and results:
                between()
            results.append(await _settled(way.aask(model)))
    finally:
        await model.aclose()
    await nothing_left()
    return results


async def nothing_left() -> None:
    """Check that the running task is the only one of its loop."""
    # Generators of httpx that an error left behind are closed by the loop in its next turns.
    for _ in range(50):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"tasks are left: {left}")
