"""One way to use both clients, so that a test is written once."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, Self

from ollama_transport import AsyncClient, Client, OllamaError


class Run:
    """Make clients of one kind, and wait for what they return; closes them at the end."""

    def __init__(
        self,
        *,
        asynchronous: bool,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self.is_async = asynchronous
        self._runner = asyncio.Runner(loop_factory=loop_factory)
        self._clients: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            self(client.aclose() if self.is_async else client.close())
        self._runner.close()

    def client(self, base_url: str | None = "http://127.0.0.1:1", **settings: Any) -> Any:
        """Return a client of this kind, closed when the test ends."""
        client = (AsyncClient if self.is_async else Client)(base_url, **settings)
        self._clients.append(client)
        return client

    def __call__(self, value: Any) -> Any:
        """Return a value, after waiting for it when it has to be awaited."""
        return self._runner.run(_wait(value)) if inspect.isawaitable(value) else value

    def next(self, stream: Any) -> Any:
        """Return the next line of a stream."""
        return self(anext(stream)) if self.is_async else next(stream)

    def lines(self, stream: Any) -> list[Any]:
        """Return all that a stream yields."""
        lines, error = self.until_error(stream)
        if error is not None:
            raise error
        return lines

    def until_error(self, stream: Any) -> tuple[list[Any], OllamaError | None]:
        """Return what a stream yields, and the error that ends it, if one does."""
        lines: list[Any] = []
        try:
            self(self._collect(stream, lines) if self.is_async else lines.extend(stream))
        except OllamaError as error:
            return lines, error
        return lines, None

    def take(self, stream: Any, count: int) -> list[Any]:
        """Return the first lines of a stream and close it."""
        if self.is_async:
            return list(self(_take_async(stream, count)))
        return _take(stream, count)

    async def _collect(self, stream: AsyncGenerator[Any], lines: list[Any]) -> None:
        async for line in stream:
            lines.append(line)

    def thrown(self, method: Callable[..., Any], *arguments: Any) -> OllamaError:
        """Return the error that a call ends with."""
        try:
            self(method(*arguments))
        except OllamaError as error:
            return error
        raise AssertionError("the call did not fail")


async def _wait(value: Awaitable[Any]) -> Any:
    return await value


def _take(stream: Generator[Any], count: int) -> list[Any]:
    with contextlib.closing(stream):
        return [next(stream) for _ in range(count)]


async def _take_async(stream: AsyncGenerator[Any], count: int) -> list[Any]:
    async with contextlib.aclosing(stream):
        return [await anext(stream) for _ in range(count)]
