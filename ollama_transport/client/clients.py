"""The only module that moves bytes: `Client` and `AsyncClient`, two thin shells over one core.

They stand one above the other and differ in async words alone; a test holds them equal.
"""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, closing
from typing import Any, Self, TypeVar

import httpx
import tenacity

from ollama_transport.client.base import BaseClient
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
from ollama_transport.wire.body import encode_body
from ollama_transport.wire.calls import Call

T = TypeVar("T")


class Client(BaseClient[httpx.Client], Keywords):
    """Talk to one server, blocking; `AsyncClient` is the same for asyncio.

    Made without any I/O: the environment is read and connections are opened by the first call.
    Clients with equal settings share their connections. Use it from any number of threads, in
    forked processes and through pickle (secrets stay behind, see `Settings`). Close it, or use it
    as a context manager; a closed client opens again when it is used.

    Every method raises: ConfigError, OllamaConnectionError, OllamaTimeoutError, ProtocolError,
    StatusError and its kinds, StreamError and its kinds (see ``ollama_transport.errors``).
    """

    def send(self, call: Call[T]) -> T:
        """Send a call and return its whole answer."""
        call = self._named(call)
        with self.limits:
            with self.account(call) as account:
                streams = self.joins(call)
                response = self._open(call, stream=streams)
                with closing(response):
                    answer = self._answer(call, response, streams)
                if self.wants_count(call, answer):
                    answer = self._counted(call, answer, (answer,))
                return account.noted(answer)

    def stream(self, call: Call[T]) -> Generator[T]:
        """Send a call and yield its lines as they come.

        Closing the iterator, or dropping it, closes the connection at once and the server stops.
        """
        call = self._named(call)
        reader = self.new_reader(call)
        with self.limits:
            with self.account(call) as account:
                response = self._open(call, stream=True)
                with closing(response):
                    with reading(call.method, self.url(call), reader):
                        for data in iter_content(response, self.max_answer_bytes):
                            for line in reader.feed(data):
                                if call.count is not None and self.wants_count(call, line):
                                    line = self._counted(call, line, reader.received)
                                yield account.noted(line)
                            if reader.has_surplus:
                                self.give_up(response)
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

    def _answer(self, call: Call[T], response: httpx.Response, streams: bool) -> T:
        """Return the whole answer, which comes as a stream or at once."""
        if not streams:
            with reading(call.method, self.url(call)):
                data = read_content(response, self.max_answer_bytes)
            return self.whole_answer(call, data)
        reader, lines = self.new_reader(call), list[T]()
        with reading(call.method, self.url(call), reader):
            for data in iter_content(response, self.max_answer_bytes):
                lines += reader.feed(data)
                if reader.has_surplus:
                    self.give_up(response)
                    break
            lines += reader.finish()
        return call.joined(lines)

    def _open(self, call: Call[Any], *, stream: bool) -> httpx.Response:
        call = self.fitted(call)
        while True:
            try:
                return self._present(call, stream)
            except OllamaError as error:
                if (instead := self.instead(call, error)) is None:
                    raise
            call = instead

    def _present(self, call: Call[Any], stream: bool) -> httpx.Response:
        """Send a call, after pulling its model where that is missing and wanted."""
        turn = self.pull_turn(call)
        try:
            return self._try(call, stream)
        except ModelNotFoundError:
            if turn is None:
                raise
            with turn as is_mine:
                if is_mine:
                    self._fetch(call)
        return self._try(call, stream)

    def _fetch(self, missing: Call[Any]) -> None:
        # Not `pull_stream`: that would wait for a place, which the missing call has already.
        call = self.pull_call(missing)
        reader = self.new_reader(call)
        response = self._try(call, stream=True)
        with closing(response):
            with reading(call.method, self.url(call), reader):
                for data in iter_content(response, self.max_answer_bytes):
                    self.tell_pull(reader.feed(data))
                self.tell_pull(reader.finish())

    def _try(self, call: Call[Any], stream: bool) -> httpx.Response:
        body = call.stream_body() if stream else call.whole_body()
        content = None if body is None else encode_body(body)
        first = FirstTry()
        try:
            return self._send_once(call, content)
        except OllamaError as error:
            if not self.retry.tries_again(error, call.repeatable):
                raise
            first.fail(error)
        tries = tenacity.Retrying(**self.retry.tenacity_arguments(call.repeatable, first.elapsed_s))
        return tries(self._try_again, first, call, content)

    def _try_again(self, first: FirstTry, call: Call[Any], content: bytes | None) -> httpx.Response:
        first.raise_once()
        return self._send_once(call, content)

    def _send_once(self, call: Call[Any], content: bytes | None) -> httpx.Response:
        self.limits.wait()
        http = self._http()
        with opening(call.method, self.url(call)):
            data = content if call.upload is None else Pieces(call.upload)
            # In no variable: error trackers write down those of each frame.
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
        """Return the last line of an answer with the server's own count of its tokens."""
        counting = call.counting(lines)
        try:
            counts = [self._count(request) for request in counting.requests]
        except OllamaError as error:
            self.note_uncounted(error)
            return line
        counted: T = counting.put(line, counts)
        return counted

    def _count(self, call: Call[int]) -> int:
        response = self._send_once(call, encode_body({} if call.body is None else call.body))
        with closing(response):
            with reading(call.method, self.url(call)):
                data = read_content(response, self.max_answer_bytes)
        return self.whole_answer(call, data)

    def _http(self) -> httpx.Client:
        if self.http_client is not None:
            return self.http_client
        return self.pool().sync()


class AsyncClient(BaseClient[httpx.AsyncClient], AsyncKeywords):
    """Talk to one server from asyncio; `Client` is the same, blocking.

    Made without any I/O: the environment is read and connections are opened by the first call.
    Clients with equal settings share their connections, one pool for each event loop, which is
    closed with its loop: two ``asyncio.run`` calls on one client work. It travels through pickle
    (secrets stay behind, see `Settings`). Close it, or use it as a context manager; a closed
    client opens again when it is used.

    Every method raises: ConfigError, OllamaConnectionError, OllamaTimeoutError, ProtocolError,
    StatusError and its kinds, StreamError and its kinds (see ``ollama_transport.errors``).
    """

    async def send(self, call: Call[T]) -> T:
        """Send a call and return its whole answer."""
        call = await self._named(call)
        async with self.limits:
            with self.account(call) as account:
                streams = self.joins(call)
                response = await self._open(call, stream=streams)
                async with aclosing(response):
                    answer = await self._answer(call, response, streams)
                if self.wants_count(call, answer):
                    answer = await self._counted(call, answer, (answer,))
                return account.noted(answer)

    async def stream(self, call: Call[T]) -> AsyncGenerator[T]:
        """Send a call and yield its lines as they come.

        Closing the iterator, or dropping it, closes the connection at once and the server stops.
        """
        call = await self._named(call)
        reader = self.new_reader(call)
        async with self.limits:
            with self.account(call) as account:
                response = await self._open(call, stream=True)
                async with aclosing(response):
                    with reading(call.method, self.url(call), reader):
                        async for data in aiter_content(response, self.max_answer_bytes):
                            for line in reader.feed(data):
                                if call.count is not None and self.wants_count(call, line):
                                    line = await self._counted(call, line, reader.received)
                                yield account.noted(line)
                            if reader.has_surplus:
                                self.give_up(response)
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

    async def _answer(self, call: Call[T], response: httpx.Response, streams: bool) -> T:
        """Return the whole answer, which comes as a stream or at once."""
        if not streams:
            with reading(call.method, self.url(call)):
                data = await aread_content(response, self.max_answer_bytes)
            return self.whole_answer(call, data)
        reader, lines = self.new_reader(call), list[T]()
        with reading(call.method, self.url(call), reader):
            async for data in aiter_content(response, self.max_answer_bytes):
                lines += reader.feed(data)
                if reader.has_surplus:
                    self.give_up(response)
                    break
            lines += reader.finish()
        return call.joined(lines)

    async def _open(self, call: Call[Any], *, stream: bool) -> httpx.Response:
        call = self.fitted(call)
        while True:
            try:
                return await self._present(call, stream)
            except OllamaError as error:
                if (instead := self.instead(call, error)) is None:
                    raise
            call = instead

    async def _present(self, call: Call[Any], stream: bool) -> httpx.Response:
        """Send a call, after pulling its model where that is missing and wanted."""
        turn = self.pull_turn(call)
        try:
            return await self._try(call, stream)
        except ModelNotFoundError:
            if turn is None:
                raise
            async with turn as is_mine:
                if is_mine:
                    await self._fetch(call)
        return await self._try(call, stream)

    async def _fetch(self, missing: Call[Any]) -> None:
        # Not `pull_stream`: that would wait for a place, which the missing call has already.
        call = self.pull_call(missing)
        reader = self.new_reader(call)
        response = await self._try(call, stream=True)
        async with aclosing(response):
            with reading(call.method, self.url(call), reader):
                async for data in aiter_content(response, self.max_answer_bytes):
                    self.tell_pull(reader.feed(data))
                self.tell_pull(reader.finish())

    async def _try(self, call: Call[Any], stream: bool) -> httpx.Response:
        body = call.stream_body() if stream else call.whole_body()
        content = None if body is None else encode_body(body)
        first = FirstTry()
        try:
            return await self._send_once(call, content)
        except OllamaError as error:
            if not self.retry.tries_again(error, call.repeatable):
                raise
            first.fail(error)
        tries = tenacity.AsyncRetrying(
            **self.retry.tenacity_arguments(call.repeatable, first.elapsed_s)
        )
        return await tries(self._try_again, first, call, content)

    async def _try_again(
        self, first: FirstTry, call: Call[Any], content: bytes | None
    ) -> httpx.Response:
        first.raise_once()
        return await self._send_once(call, content)

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
        """Return the last line of an answer with the server's own count of its tokens."""
        counting = call.counting(lines)
        try:
            counts = [await self._count(request) for request in counting.requests]
        except OllamaError as error:
            self.note_uncounted(error)
            return line
        counted: T = counting.put(line, counts)
        return counted

    async def _count(self, call: Call[int]) -> int:
        response = await self._send_once(call, encode_body({} if call.body is None else call.body))
        async with aclosing(response):
            with reading(call.method, self.url(call)):
                data = await aread_content(response, self.max_answer_bytes)
        return self.whole_answer(call, data)

    async def _http(self) -> httpx.AsyncClient:
        if self.http_client is not None:
            return self.http_client
        return await self.pool().for_loop()
