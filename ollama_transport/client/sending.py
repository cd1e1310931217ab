"""Send calls: connections, retries, pulls, and the call to send after a refusal.

The two classes differ only in async keywords and names; a test compares them line by line.
"""

from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing
from typing import Any, TypeVar

import httpx
import tenacity

from ollama_transport.client.base import BaseClient
from ollama_transport.client.files import AsyncPieces, Pieces
from ollama_transport.client.started_streams import AsyncBegun, Begun, acontent_of, content_of
from ollama_transport.client.wires import PROBE, AsyncWires, Wires
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
from ollama_transport.wire.calls.call import Call

T = TypeVar("T")
R = TypeVar("R")


class Sender(BaseClient[httpx.Client], Wires):
    """Sends calls, blocking: the part of `Client` below `send` and `stream`."""

    def _answer(self, call: Call[T]) -> T:
        """Send a call once and return the whole answer, joined if it comes as a stream."""
        if self.joins(call):
            return self._gathered(call)
        response = self._send_once(call, content_of(call.whole_body()))
        with closing(response):
            with reading(call.method, self.url(call)):
                data = read_content(response, self.max_answer_bytes)
        return self.whole_answer(call, data, response.headers)

    def _gathered(self, call: Call[T]) -> T:
        begun = self._begin(call, joins=True)
        lines = list[T]()
        with closing(begun.response):
            with reading(call.method, self.url(call), begun.reader):
                for more in begun:
                    lines += more
                    # The answer is complete, and its connection must not serve another one.
                    if begun.reader.has_surplus:
                        self.give_up(begun.response)
                        break
                lines += begun.reader.finish()
        return call.joined(lines)

    def _begin(self, call: Call[T], *, joins: bool = False) -> Begun[T]:
        """Send a call once and return its stream, as soon as part of the answer has arrived.

        ``joins`` is True if only the joined answer matters.
        """
        reader = self.new_reader(call, joins=joins)
        response = self._send_once(call, content_of(call.stream_body()))
        begun = Begun(call, response, reader, iter_content(response, self.max_answer_bytes))
        try:
            with reading(call.method, self.url(call), reader, response.headers):
                begun.wait()
        # Also on cancellation and Ctrl-C: nothing else holds the response yet and could close it.
        except BaseException:
            response.close()
            raise
        return begun

    def _open(self, call: Call[Any], send: Callable[..., R]) -> R:
        """Send a call; if the server refuses it, send its alternative if there is one."""
        call = self.fitted(call)
        # The loop ends: each part is left out at most once, and `recover` is called once.
        while True:
            try:
                answer = self._present(call, send)
            except OllamaError as error:
                instead = self.instead(call, error) or self._natively(call, error)
                if instead is None:
                    self.advise(call, error)
                    raise
            else:
                if call.natively is None or (instead := self._natively(call, answer)) is None:
                    self.answered(call)
                    return answer
            call = self.fitted(instead)

    def _present(self, call: Call[Any], send: Callable[..., R]) -> R:
        """Send a call; if its model is missing and to be pulled, pull it and send again."""
        # Before the call: if another caller's pull ends while this call fails, that pull counts.
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
        # Without tenacity, which is needed only after a failure: see `FirstTry`.
        first = FirstTry()
        try:
            return send(call)
        except OllamaError as error:
            if not self.retry.tries_again(error, call.repeatable, of_numbers=call.is_numbers):
                raise
            first.fail(error)
        given = self.retry.tenacity_arguments(
            call.repeatable, first.elapsed_s, of_numbers=call.is_numbers
        )
        tries = tenacity.Retrying(**given)
        return tries(first.then(send), call)

    def _send_once(self, call: Call[Any], content: bytes | None) -> httpx.Response:
        # For each try: a server's limit counts requests, not calls. The probe is ours, not the
        # caller's.
        if call is not PROBE:
            self.limits.wait()
        http = self._http()
        with opening(call.method, self.url(call)):
            # Opened again for each try, since a file that was half read cannot be sent again.
            data = content if call.upload is None else Pieces(call.upload)
            # Not bound to a name: error trackers record local variables, and it contains the key.
            response = send(http, self.request(http, call, data))
            if response.is_success:
                return response
            with closing(response):
                # Only its start is read: an error page may be endless.
                failure = read_start(response)
        raise self.refusal(call, response, failure)

    def _http(self) -> httpx.Client:
        if self.http_client is not None:
            return self.http_client
        return self.pool().sync()


class AsyncSender(BaseClient[httpx.AsyncClient], AsyncWires):
    """Same as `Sender`, for asyncio."""

    async def _answer(self, call: Call[T]) -> T:
        """Send a call once and return the whole answer, joined if it comes as a stream."""
        if self.joins(call):
            return await self._gathered(call)
        response = await self._send_once(call, await acontent_of(call.whole_body()))
        async with aclosing(response):
            with reading(call.method, self.url(call)):
                data = await aread_content(response, self.max_answer_bytes)
        return self.whole_answer(call, data, response.headers)

    async def _gathered(self, call: Call[T]) -> T:
        begun = await self._begin(call, joins=True)
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

    async def _begin(self, call: Call[T], *, joins: bool = False) -> AsyncBegun[T]:
        """Send a call once and return its stream, as soon as part of the answer has arrived.

        ``joins`` is True if only the joined answer matters.
        """
        reader = self.new_reader(call, joins=joins)
        response = await self._send_once(call, await acontent_of(call.stream_body()))
        begun = AsyncBegun(call, response, reader, aiter_content(response, self.max_answer_bytes))
        try:
            with reading(call.method, self.url(call), reader, response.headers):
                await begun.wait()
        except BaseException:
            await response.aclose()
            raise
        return begun

    async def _open(self, call: Call[Any], send: Callable[..., Awaitable[R]]) -> R:
        """Send a call; if the server refuses it, send its alternative if there is one."""
        call = self.fitted(call)
        while True:
            try:
                answer = await self._present(call, send)
            except OllamaError as error:
                instead = self.instead(call, error) or await self._natively(call, error)
                if instead is None:
                    self.advise(call, error)
                    raise
            else:
                if call.natively is None or (instead := await self._natively(call, answer)) is None:
                    self.answered(call)
                    return answer
            call = self.fitted(instead)

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
            if not self.retry.tries_again(error, call.repeatable, of_numbers=call.is_numbers):
                raise
            first.fail(error)
        given = self.retry.tenacity_arguments(
            call.repeatable, first.elapsed_s, of_numbers=call.is_numbers
        )
        tries = tenacity.AsyncRetrying(**given)
        return await tries(first.then_async(send), call)

    async def _send_once(self, call: Call[Any], content: bytes | None) -> httpx.Response:
        if call is not PROBE:
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

    async def _http(self) -> httpx.AsyncClient:
        if self.http_client is not None:
            return self.http_client
        return await self.pool().for_loop()
