"""`Client` and `AsyncClient`: two thin shells over one core.

They differ only in async keywords and names; tests/client/test_parity.py keeps them equal.
"""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, closing
from functools import partial
from typing import Any, Self, TypeVar

from ollama_transport.client.keywords import Keywords
from ollama_transport.client.keywords_async import AsyncKeywords
from ollama_transport.client.sending import AsyncSender, Sender
from ollama_transport.client.started_streams import content_of
from ollama_transport.errors import OllamaError
from ollama_transport.net.content import aread_content, read_content
from ollama_transport.net.errors import reading
from ollama_transport.wire.calls.call import Call

T = TypeVar("T")
R = TypeVar("R")


class Client(Sender, Keywords):
    """A blocking client of one server; `AsyncClient` is the same for asyncio.

    ```python
    from ollama_transport import Client

    client = Client()  # the server of OLLAMA_HOST; or Client("http://127.0.0.1:11434")
    question = [{"role": "user", "content": "Why is the sky blue?"}]
    answer = client.chat(model="llama3.2", messages=question)
    print(answer.text, answer.usage.total_tokens)
    for line in client.chat(model="llama3.2", messages=question, stream=True):
        print(line.text, end="")
    print(client.generate(model="llama3.2", prompt="Name a river.").text)
    print(len(client.embed(model="nomic-embed-text", input=["a cat", "a dog"]).vectors))
    print([model.name for model in client.list().models])
    ```

    Tools are Python functions or JSON. Reasoning is separate from the text:

    ```python
    def weather(city: str) -> str:
        return f"Rain in {city}."

    question = [{"role": "user", "content": "What is the weather in Rome?"}]
    print(client.chat(model="qwen3:8b", messages=question, tools=[weather]).tool_calls)
    print(client.chat(model="qwen3:8b", messages=question, think=True).thinking)
    ```

    ``format`` constrains the answer to a schema. Images are bytes, base64 or paths:

    ```python
    import base64

    from pydantic import BaseModel

    class City(BaseModel):
        name: str

    question = [{"role": "user", "content": "Name a city."}]
    print(client.chat(model="llama3.2", messages=question, format=City).text)
    dot = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAA"
        "AABJRU5ErkJggg=="
    )
    question = [{"role": "user", "content": "What is this?", "images": [dot]}]
    print(client.chat(model="llava", messages=question).text)
    client.close()
    ```

    Each method also takes a request object, such as ``client.chat(ChatRequest(…))``; then
    ``chat_stream`` yields the lines.

    Creating one does no I/O: the first call reads the environment and opens connections. Clients
    with equal settings share their connections. Use it from any number of threads, in forked
    processes and through pickle (without its secrets, see `Settings`). Close it, or use it as a
    context manager; a closed client opens again when it is used.

    Every method raises: ConfigError, OllamaConnectionError, OllamaTimeoutError, ProtocolError,
    StatusError, StreamError and their subclasses (see ``ollama_transport.errors``).
    """

    def send(self, call: Call[T]) -> T:
        """Send a call and return its whole answer."""
        call = self._named(call)
        # Limits first: waiting for a slot is not part of the call's recorded time.
        with self.limits:
            with self.account(call) as account:
                answer: T = self._open(call, self._answer)
                if self.wants_count(call, answer):
                    answer = self._counted(call, answer, (answer,))
                return account.noted(answer)

    def stream(self, call: Call[T], *, in_runs: bool = False) -> Generator[T]:
        """Send a call and yield its lines as they come.

        With ``in_runs``, plain lines that came together may be one, a `TextRun`, unless a meter, a
        log or `on_token` receives each. Closing or dropping the iterator closes the connection at
        once, and the server stops.
        """
        call = self._named(call)
        self.new_reader(call)  # raises for a call that cannot be streamed, before anything is sent
        with self.limits:
            with self.account(call, streams=True) as account:
                joins = in_runs and account.is_unheard
                begun = self._open(call, partial(self._begin, joins=joins))
                reader = begun.reader
                with closing(begun.response):
                    with reading(call.method, self.url(begun.call), reader):
                        for lines in begun:
                            for line in lines:
                                # The first condition saves a call for every token.
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

    def _counted(self, call: Call[T], line: T, lines: Sequence[Any]) -> T:
        """Return the last line of an answer with the server's count of its tokens."""
        counting = call.counting(lines)
        # If counting fails, the answer keeps its estimated usage.
        try:
            counts = [self._ask(request) for request in counting.requests]
        except OllamaError as error:
            self.note_uncounted(error)
            return line
        counted: T = counting.put(line, counts)
        return counted

    def _ask(self, call: Call[T]) -> T:
        # Not `send`, which would need another slot of the limits and report it to the meters.
        response = self._send_once(call, content_of({} if call.body is None else call.body))
        with closing(response):
            with reading(call.method, self.url(call)):
                data = read_content(response, self.max_answer_bytes)
        return self.whole_answer(call, data, response.headers)


class AsyncClient(AsyncSender, AsyncKeywords):
    """A client of one server for asyncio; `Client` is the same, blocking.

    ```python
    import asyncio

    from ollama_transport import AsyncClient

    async def main() -> None:
        question = [{"role": "user", "content": "Why is the sky blue?"}]
        async with AsyncClient() as client:
            answer = await client.chat(model="llama3.2", messages=question)
            print(answer.text, answer.usage.total_tokens)
            async for line in await client.chat(model="llama3.2", messages=question, stream=True):
                print(line.text, end="")
            vectors = await asyncio.gather(
                client.embed(model="nomic-embed-text", input=["a cat"]),
                client.embed(model="nomic-embed-text", input=["a dog"]),
            )
            print(len(vectors))

    asyncio.run(main())
    ```

    Tools, ``format``, ``think`` and images are given as to `Client`. Cancelling a task closes its
    connection, and the server stops.

    Creating one does no I/O: the first call reads the environment and opens connections. Clients
    with equal settings share their connections, with one pool per event loop, which is closed with
    its loop: two ``asyncio.run`` calls on one client work. It can be pickled (without its secrets,
    see `Settings`). Close it, or use it as a context manager; a closed client opens again when it
    is used.

    Every method raises: ConfigError, OllamaConnectionError, OllamaTimeoutError, ProtocolError,
    StatusError, StreamError and their subclasses (see ``ollama_transport.errors``).
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

    async def stream(self, call: Call[T], *, in_runs: bool = False) -> AsyncGenerator[T]:
        """Send a call and yield its lines as they come.

        With ``in_runs``, plain lines that came together may be one, a `TextRun`, unless a meter, a
        log or `on_token` receives each. Closing or dropping the iterator closes the connection at
        once, and the server stops.
        """
        call = await self._named(call)
        self.new_reader(call)  # raises for a call that cannot be streamed, before anything is sent
        async with self.limits:
            with self.account(call, streams=True) as account:
                joins = in_runs and account.is_unheard
                begun = await self._open(call, partial(self._begin, joins=joins))
                reader = begun.reader
                async with aclosing(begun.response):
                    with reading(call.method, self.url(begun.call), reader):
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

    async def _counted(self, call: Call[T], line: T, lines: Sequence[Any]) -> T:
        """Return the last line of an answer with the server's count of its tokens."""
        counting = call.counting(lines)
        try:
            counts = [await self._ask(request) for request in counting.requests]
        except OllamaError as error:
            self.note_uncounted(error)
            return line
        counted: T = counting.put(line, counts)
        return counted

    async def _ask(self, call: Call[T]) -> T:
        response = await self._send_once(call, content_of({} if call.body is None else call.body))
        async with aclosing(response):
            with reading(call.method, self.url(call)):
                data = await aread_content(response, self.max_answer_bytes)
        return self.whole_answer(call, data, response.headers)
