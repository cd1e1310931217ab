"""How one piece of work is done: the same lines for ours, for the peers and for the floors."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from benchmarks.cases import Case
from benchmarks.makers import langchain_asked, llama_index_asked


def lc_stream(model: Any, tokens: int) -> Case:
    """Read a LangChain stream."""
    asked = langchain_asked()
    return Case(lambda: sum(len(chunk.content) for chunk in model.stream(asked)), tokens)


def lc_astream(model: Any, tokens: int) -> Case:
    """Read a LangChain stream on an event loop."""
    return Case(partial(_lc_aread, model, langchain_asked()), tokens, is_async=True)


async def _lc_aread(model: Any, asked: list[Any]) -> int:
    length = 0
    async for chunk in model.astream(asked):
        length += len(chunk.content)
    return length


def li_stream(model: Any, tokens: int) -> Case:
    """Read a LlamaIndex stream."""
    asked = llama_index_asked()
    return Case(lambda: sum(len(part.delta or "") for part in model.stream_chat(asked)), tokens)


def li_astream(model: Any, tokens: int) -> Case:
    """Read a LlamaIndex stream on an event loop."""
    return Case(partial(_li_aread, model, llama_index_asked()), tokens, is_async=True)


async def _li_aread(model: Any, asked: list[Any]) -> int:
    length = 0
    async for part in await model.astream_chat(asked):
        length += len(part.delta or "")
    return length


def lc_call(model: Any, asked: list[Any] | None = None, units: int = 1, times: int = 1) -> Case:
    """Ask through LangChain, so many times."""
    asked = asked or langchain_asked()
    return _repeated(lambda: model.invoke(asked).content, units, times)


def lc_acall(model: Any, asked: list[Any] | None = None, units: int = 1, times: int = 1) -> Case:
    """Ask through LangChain on an event loop, so many times."""
    asked = asked or langchain_asked()

    async def ask() -> Any:
        return (await model.ainvoke(asked)).content

    return _arepeated(ask, units, times)


def li_call(model: Any, asked: list[Any] | None = None, units: int = 1, times: int = 1) -> Case:
    """Ask through LlamaIndex, so many times."""
    asked = asked or llama_index_asked()
    return _repeated(lambda: model.chat(asked).message.content, units, times)


def li_acall(model: Any, asked: list[Any] | None = None, units: int = 1, times: int = 1) -> Case:
    """Ask through LlamaIndex on an event loop, so many times."""
    asked = asked or llama_index_asked()

    async def ask() -> Any:
        return (await model.achat(asked)).message.content

    return _arepeated(ask, units, times)


def at_once(case: Case, many: int) -> Case:
    """Do the asynchronous work of a case many times at once, as each of many users would."""

    async def gathered() -> Any:
        return (await asyncio.gather(*[case.work() for _ in range(many)]))[-1]

    return Case(gathered, case.units * many, is_async=True)


def _repeated(ask: Callable[[], Any], units: int, times: int) -> Case:
    def work() -> Any:
        for _ in range(times):
            answer = ask()
        return answer

    return Case(work, units * times)


def _arepeated(ask: Callable[[], Awaitable[Any]], units: int, times: int) -> Case:
    async def work() -> Any:
        for _ in range(times):
            answer = await ask()
        return answer

    return Case(work, units * times, is_async=True)
