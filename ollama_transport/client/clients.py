"""The only module that sends calls: `Client` and `AsyncClient`, two thin shells over one core.

They differ only in async keywords and names; tests/client/test_parity.py keeps them equal.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing, closing
from typing import Any, Self, TypeVar

import httpx
import tenacity

from ollama_transport.client.base import BaseClient
from ollama_transport.client.begun import AsyncBegun, Begun, content_of
from ollama_transport.client.keywords import Keywords
from ollama_transport.client.keywords_async import AsyncKeywords
from ollama_transport.client.pieces import AsyncPieces, Pieces
from ollama_transport.errors import ModelNotFoundError, OllamaError
from ollama_transport.net.content import (
    aiter_content,
    aread_content,
    aread_start,
    iter_content,
    read_content,
    read_start,
)
from ollama_transport.net.errors import opening, reading
from ollama_transport.net.redirects import asend, send
from ollama_transport.settings.retry import FirstTry
from ollama_transport.wire.calls import Call

T = TypeVar("T")
R = TypeVar("R")


class Client(BaseClient[httpx.Client], Keywords):
    """A blocking client of one server; `AsyncClient` is the same for asyncio.

    Creating one does no I/O: the first call reads the environment and opens connections. Clients
    with equal settings share their connections. Use it from any number of threads, in forked
    processes and through pickle (without its secrets, see `Settings`). Close it, or use it as a
    context manager; a closed client opens again when it is used.

    Every method raises: ConfigError, OllamaConnectionError, OllamaTimeoutError, ProtocolError,
    StatusError and its kinds, StreamError and its kinds (see ``ollama_transport.errors``).
    """

    def send(self, call: Call[T]) -> T:
        """Send a call and return its whole answer."""
        call = self._named(call)
        with self.limits:
            with self.account(call) as account:
                answer: T = self._open(call, self._answer)
                if self.wants_count(call, answer):
                    answer = self._counted(call, answer, (answer,))
                return account.noted(answer)

    def stream(self, call: Call[T]) -> Generator[T]:
        """Send a call and yield its lines as they come.

        Closing or dropping the iterator closes the connection at once, and the server stops.
        """
        call = self._named(call)
        self.new_reader(call)  # raises for a call that cannot be streamed, before anything is sent
        with self.limits:
            with self.account(call, streams=True) as account:
                begun = self._open(call, self._begin)
                reader = begun.reader
                with closing(begun.response):
                    with reading(call.method, self.url(call), reader):
                        for lines in begun:
                            for line in lines:
                                if call.count is not None and self.wants_count(call, line):
                                    line = self._counted(call, line, reader.received)
                                yield account.noted(line)
                            if reader.has_surplus:
                                self.give_up(begun.response)
                                break
                        for line in reader.finish():
                            if self.wants_count(call, line):
                                line = self._counted(call, line, reader.received)
                            yield account.noted(line)

    def close(self) -> None:
        """Close the connections, unless another client of equal settings is using them."""
        if (pool := self.leave_pool()) is not None:
            pool.release(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, call: Call[T]) -> T:
        """Send a call once and return the whole answer, joined if it comes as a stream."""
        if self.joins(call):
            return self._gathered(call)
        response = self._send_once(call, content_of(call.whole_body()))
        with closing(response):
            with reading(call.method, self.url(call)):
                data = read_content(response, self.max_answer_bytes)
        return self.whole_answer(call, data)

    def _gathered(self, call: Call[T]) -> T:
        begun = self._begin(call)
        lines = list[T]()
        with closing(begun.response):
            with reading(call.method, self.url(call), begun.reader):
                for more in begun:
                    lines += more
                    if begun.reader.has_surplus:
                        self.give_up(begun.response)
                        break
                lines += begun.reader.finish()
        return call.joined(lines)

    def _begin(self, call: Call[T]) -> Begun[T]:
        """Send a call once and return its stream, as soon as part of the answer has arrived."""
        reader = self.new_reader(call)
        response = self._send_once(call, content_of(call.stream_body()))
        begun = Begun(response, reader, iter_content(response, self.max_answer_bytes))
        try:
            with reading(call.method, self.url(call), reader):
                begun.wait()
        except BaseException:
            response.close()
            raise
        return begun

    def _open(self, call: Call[Any], send: Callable[..., R]) -> R:
        """Send a call, and where the server refuses it, the call to send instead."""
        call = self.fitted(call)
        while True:
            try:
                return self._present(call, send)
            except OllamaError as error:
                if (instead := self.instead(call, error)) is None:
                    raise
            call = instead

    def _present(self, call: Call[Any], send: Callable[..., R]) -> R:
        """Send a call; if its model is missing and to be pulled, pull it and send again."""
        turn = self.pull_turn(call)
        try:
            return self._try(call, send)
        except ModelNotFoundError:
            if turn is None:
                raise
            with turn as is_mine:
                if is_mine:
                    self._fetch(call)
        return self._try(call, send)

    def _fetch(self, missing: Call[Any]) -> None:
        # Not `pull_stream`: that would wait for a slot of the limits, which this call occupies.
        call = self.pull_call(missing)
        begun = self._try(call, self._begin)
        with closing(begun.response):
            with reading(call.method, self.url(call), begun.reader):
                for lines in begun:
                    self.tell_pull(lines)
                self.tell_pull(begun.reader.finish())

    def _try(self, call: Call[Any], send: Callable[..., R]) -> R:
        first = FirstTry()
        try:
            return send(call)
        except OllamaError as error:
            if not self.retry.tries_again(error, call.repeatable):
                raise
            first.fail(error)
        given = self.retry.tenacity_arguments(call.repeatable, first.elapsed_s)
        tries = tenacity.Retrying(**given)
        return tries(first.then(send), call)

    def _send_once(self, call: Call[Any], content: bytes | None) -> httpx.Response:
        self.limits.wait()
        http = self._http()
        with opening(call.method, self.url(call)):
            data = content if call.upload is None else Pieces(call.upload)
            # The request gets no variable: error trackers record those of each frame, with its key.
            response = send(http, self.request(http, call, data))
            if response.is_success:
                return response
            with closing(response):
                failure = read_start(response)
        raise self.refusal(call, response, failure)

    def _named(self, call: Call[T]) -> Call[T]:
        if call.model is not None or call.capability is None:
            return call
        return call.with_model(self.resolve_model(None, call.capability))

    def _counted(self, call: Call[T], line: T, lines: Sequence[Any]) -> T:
        """Return the last line of an answer with the server's count of its tokens."""
        counting = call.counting(lines)
        try:
            counts = [self._count(request) for request in counting.requests]
        except OllamaError as error:
            self.note_uncounted(error)
            return line
        counted: T = counting.put(line, counts)
        return counted

    def _count(self, call: Call[int]) -> int:
        response = self._send_once(call, content_of({} if call.body is None else call.body))
        with closing(response):
            with reading(call.method, self.url(call)):
                data = read_content(response, self.max_answer_bytes)
        return self.whole_answer(call, data)

    def _http(self) -> httpx.Client:
        if self.http_client is not None:
            return self.http_client
        return self.pool().sync()


class AsyncClient(BaseClient[httpx.AsyncClient], AsyncKeywords):
    """A client of one server for asyncio; `Client` is the same, blocking.

    Creating one does no I/O: the first call reads the environment and opens connections. Clients
    with equal settings share their connections, with one pool per event loop, which is closed with
    its loop: two ``asyncio.run`` calls on one client work. It can be pickled (without its secrets,
    see `Settings`). Close it, or use it as a context manager; a closed client opens again when it
    is used.

    Every method raises: ConfigError, OllamaConnectionError, OllamaTimeoutError, ProtocolError,
    StatusError and its kinds, StreamError and its kinds (see ``ollama_transport.errors``).
    """

    async def send(self, call: Call[T]) -> T:
        """Send a call and return its whole answer."""
        call = await self._named(call)
        async with self.limits:
            with self.account(call) as account:
                answer: T = await self._open(call, self._answer)
                if self.wants_count(call, answer):
                    answer = await self._counted(call, answer, (answer,))
                return account.noted(answer)

    async def stream(self, call: Call[T]) -> AsyncGenerator[T]:
        """Send a call and yield its lines as they come.

        Closing or dropping the iterator closes the connection at once, and the server stops.
        """
        call = await self._named(call)
        self.new_reader(call)  # raises for a call that cannot be streamed, before anything is sent
        async with self.limits:
            with self.account(call, streams=True) as account:
                begun = await self._open(call, self._begin)
                reader = begun.reader
                async with aclosing(begun.response):
                    with reading(call.method, self.url(call), reader):
                        async for lines in begun:
                            for line in lines:
                                if call.count is not None and self.wants_count(call, line):
                                    line = await self._counted(call, line, reader.received)
                                yield account.noted(line)
                            if reader.has_surplus:
                                self.give_up(begun.response)
                                break
                        for line in reader.finish():
                            if self.wants_count(call, line):
                                line = await self._counted(call, line, reader.received)
                            yield account.noted(line)

    async def aclose(self) -> None:
        """Close the connections, unless another client of equal settings is using them."""
        if (pool := self.leave_pool()) is not None:
            await pool.arelease(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _answer(self, call: Call[T]) -> T:
        """Send a call once and return the whole answer, joined if it comes as a stream."""
        if self.joins(call):
            return await self._gathered(call)
        response = await self._send_once(call, content_of(call.whole_body()))
        async with aclosing(response):
            with reading(call.method, self.url(call)):
                data = await aread_content(response, self.max_answer_bytes)
        return self.whole_answer(call, data)

    async def _gathered(self, call: Call[T]) -> T:
        begun = await self._begin(call)
        lines = list[T]()
        async with aclosing(begun.response):
            with reading(call.method, self.url(call), begun.reader):
                async for more in begun:
                    lines += more
                    if begun.reader.has_surplus:
                        self.give_up(begun.response)
                        break
                lines += begun.reader.finish()
        return call.joined(lines)

    async def _begin(self, call: Call[T]) -> AsyncBegun[T]:
        """Send a call once and return its stream, as soon as part of the answer has arrived."""
        reader = self.new_reader(call)
        response = await self._send_once(call, content_of(call.stream_body()))
        begun = AsyncBegun(response, reader, aiter_content(response, self.max_answer_bytes))
        try:
            with reading(call.method, self.url(call), reader):
                await begun.wait()
        except BaseException:
            await response.aclose()
            raise
        return begun

    async def _open(self, call: Call[Any], send: Callable[..., Awaitable[R]]) -> R:
        """Send a call, and where the server refuses it, the call to send instead."""
        call = self.fitted(call)
        while True:
            try:
                return await self._present(call, send)
            except OllamaError as error:
                if (instead := self.instead(call, error)) is None:
                    raise
            call = instead

    async def _present(self, call: Call[Any], send: Callable[..., Awaitable[R]]) -> R:
        """Send a call; if its model is missing and to be pulled, pull it and send again."""
        turn = self.pull_turn(call)
        try:
            return await self._try(call, send)
        except ModelNotFoundError:
            if turn is None:
                raise
            async with turn as is_mine:
                if is_mine:
                    await self._fetch(call)
        return await self._try(call, send)

    async def _fetch(self, missing: Call[Any]) -> None:
        # Not `pull_stream`: that would wait for a slot of the limits, which this call occupies.
        call = self.pull_call(missing)
        begun = await self._try(call, self._begin)
        async with aclosing(begun.response):
            with reading(call.method, self.url(call), begun.reader):
                async for lines in begun:
                    self.tell_pull(lines)
                self.tell_pull(begun.reader.finish())

    async def _try(self, call: Call[Any], send: Callable[..., Awaitable[R]]) -> R:
        first = FirstTry()
        try:
            return await send(call)
        except OllamaError as error:
            if not self.retry.tries_again(error, call.repeatable):
                raise
            first.fail(error)
        given = self.retry.tenacity_arguments(call.repeatable, first.elapsed_s)
        tries = tenacity.AsyncRetrying(**given)
        return await tries(first.then_async(send), call)

    async def _send_once(self, call: Call[Any], content: bytes | None) -> httpx.Response:
        await self.limits.await_start()
        http = await self._http()
        with opening(call.method, self.url(call)):
            data = content if call.upload is None else AsyncPieces(call.upload)
            response = await asend(http, self.request(http, call, data))
            if response.is_success:
                return response
            async with aclosing(response):
                failure = await aread_start(response)
        raise self.refusal(call, response, failure)

    async def _named(self, call: Call[T]) -> Call[T]:
        if call.model is not None or call.capability is None:
            return call
        return call.with_model(await self.resolve_model(None, call.capability))

    async def _counted(self, call: Call[T], line: T, lines: Sequence[Any]) -> T:
        """Return the last line of an answer with the server's count of its tokens."""
        counting = call.counting(lines)
        try:
            counts = [await self._count(request) for request in counting.requests]
        except OllamaError as error:
            self.note_uncounted(error)
            return line
        counted: T = counting.put(line, counts)
        return counted

    async def _count(self, call: Call[int]) -> int:
        response = await self._send_once(call, content_of({} if call.body is None else call.body))
        async with aclosing(response):
            with reading(call.method, self.url(call)):
                data = await aread_content(response, self.max_answer_bytes)
        return self.whole_answer(call, data)

    async def _http(self) -> httpx.AsyncClient:
        if self.http_client is not None:
            return self.http_client
        return await self.pool().for_loop()
