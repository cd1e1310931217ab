"""What cannot be beaten: the frameworks fed from memory, and httpx with nothing above it."""

import base64
import json
from array import array
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx

from benchmarks.cases import Case
from benchmarks.replies import TOKENS, text_of

GENERATION_INFO = {"model": "m", "done": True, "done_reason": "stop", "eval_count": 2000}


def langchain_memory(tokens: int, constructed: bool = False) -> Any:
    """Return a LangChain model whose chunks are there already, or are only constructed."""
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    # The two ways have to be one kind of value, so lambdas.
    chunks: Callable[[], Any] = lambda: _langchain_chunks(tokens)  # noqa: E731
    if not constructed:
        ready = list(_langchain_chunks(tokens))
        # See above.
        chunks = lambda: ready  # noqa: E731

    class Memory(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "memory"

        def _stream(self, *_: Any, **__: Any) -> Iterator[Any]:
            yield from chunks()

        async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
            for chunk in chunks():
                yield chunk

        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            message = AIMessage(content=text_of(tokens))
            generation = ChatGeneration(message=message, generation_info=dict(GENERATION_INFO))
            return ChatResult(generations=[generation])

        async def _agenerate(self, *_: Any, **__: Any) -> ChatResult:
            return self._generate()

    return Memory()


def _langchain_chunks(tokens: int) -> Iterator[Any]:
    from langchain_core.messages import AIMessageChunk
    from langchain_core.outputs import ChatGenerationChunk

    for at in range(tokens):
        yield ChatGenerationChunk(message=AIMessageChunk(content=TOKENS[at % len(TOKENS)]))
    last = AIMessageChunk(
        content="",
        usage_metadata={"input_tokens": 26, "output_tokens": tokens, "total_tokens": tokens + 26},
        chunk_position="last",
    )
    yield ChatGenerationChunk(message=last, generation_info=dict(GENERATION_INFO))


def llama_index_memory(tokens: int, constructed: bool = False) -> Any:
    """Return a LlamaIndex model whose responses are there already, or are only constructed."""
    from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata
    from llama_index.core.llms.callbacks import llm_chat_callback
    from llama_index.core.llms.custom import CustomLLM

    # As in `langchain_memory`.
    parts: Callable[[], Any] = lambda: _llama_index_parts(tokens)  # noqa: E731
    if not constructed:
        ready = list(_llama_index_parts(tokens))
        # See above.
        parts = lambda: ready  # noqa: E731

    def whole() -> ChatResponse:
        return ChatResponse(message=ChatMessage(role="assistant", content=text_of(tokens)))

    class Memory(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(model_name="m", is_chat_model=True)

        # Core requires the two completions; no row asks for one.
        def complete(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError  # see above

        def stream_complete(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError  # see above

        @llm_chat_callback()
        def chat(self, messages: Any, **_: Any) -> ChatResponse:  # noqa: ARG002 - the decorator asks for the name
            return whole()

        @llm_chat_callback()
        async def achat(self, messages: Any, **_: Any) -> ChatResponse:  # noqa: ARG002 - the decorator asks for the name
            return whole()

        @llm_chat_callback()
        def stream_chat(self, messages: Any, **_: Any) -> Any:  # noqa: ARG002 - the decorator asks for the name
            return (part for part in parts())

        @llm_chat_callback()
        async def astream_chat(self, messages: Any, **_: Any) -> Any:  # noqa: ARG002 - the decorator asks for the name
            return _asynchronous(parts())

    return Memory()


async def _asynchronous(parts: Any) -> AsyncIterator[Any]:
    for part in parts:
        yield part


def _llama_index_parts(tokens: int) -> Iterator[Any]:
    from llama_index.core.base.llms.types import ChatMessage, ChatResponse, TextBlock

    text = ""
    for at in range(tokens):
        delta = TOKENS[at % len(TOKENS)]
        text += delta
        message = ChatMessage(role="assistant", blocks=[TextBlock(text=text)])
        yield ChatResponse(message=message, delta=delta)


class RawHttpx:
    """httpx alone, as a program without a framework would use it."""

    def __init__(self, url: str, model: str, path: str = "/api/chat") -> None:
        self._url = url + path
        self._body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        self._client = httpx.Client(timeout=60)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._async_client = httpx.AsyncClient(timeout=60, limits=limits)

    def stream(self, tokens: int) -> Case:
        """Read the lines of a stream."""
        return Case(lambda: sum(map(_length, self._lines())), tokens)

    def astream(self, tokens: int) -> Case:
        """Read the lines of a stream on an event loop."""

        async def read() -> int:
            return sum([_length(line) async for line in self._alines()])

        return Case(read, tokens, is_async=True)

    def first(self) -> Case:
        """Wait for the first line of a stream."""
        return Case(lambda: _started(self._lines()), after=exhaust)

    def afirst(self) -> Case:
        """Wait for the first line of a stream on an event loop."""
        return Case(lambda: _astarted(self._alines()), is_async=True, after=aexhaust)

    def call(self, times: int) -> Case:
        """Ask and read the whole answer, so many times."""
        body = {**self._body, "stream": False}

        def work() -> str:
            for _ in range(times):
                answer = self._client.post(self._url, json=body).json()
            return str(answer["message"]["content"])

        return Case(work, times)

    def acall(self, times: int) -> Case:
        """Ask and read the whole answer on an event loop, so many times."""
        body = {**self._body, "stream": False}

        async def work() -> str:
            for _ in range(times):
                answer = (await self._async_client.post(self._url, json=body)).json()
            return str(answer["message"]["content"])

        return Case(work, times, is_async=True)

    def embed(self, texts: list[str], loads: Callable[[bytes], Any]) -> Case:
        """Send all texts at once and parse the vectors."""
        body = {"model": self._body["model"], "input": texts}

        def work() -> tuple[int, int]:
            vectors = loads(self._client.post(self._url, json=body).content)["embeddings"]
            return len(vectors), len(vectors[-1])

        return Case(work, len(texts))

    def embed_base64(self, texts: list[str], loads: Callable[[bytes], Any]) -> Case:
        """Send all texts at once to an OpenAI-compatible server and read arrays."""
        body = {"model": self._body["model"], "input": texts, "encoding_format": "base64"}

        def work() -> tuple[int, int]:
            data = loads(self._client.post(self._url, json=body).content)["data"]
            vectors = [array("f", base64.b64decode(item["embedding"])) for item in data]
            return len(vectors), len(vectors[-1])

        return Case(work, len(texts))

    def _lines(self) -> Iterator[Any]:
        with self._client.stream("POST", self._url, json=self._body) as response:
            for line in response.iter_lines():
                yield json.loads(line)

    async def _alines(self) -> AsyncIterator[Any]:
        async with self._async_client.stream("POST", self._url, json=self._body) as response:
            async for line in response.aiter_lines():
                yield json.loads(line)


def _length(line: dict[str, Any]) -> int:
    return len(line["message"]["content"])


def _started(stream: Iterator[Any]) -> Iterator[Any]:
    next(stream)
    return stream


async def _astarted(stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
    await anext(stream)
    return stream


def exhaust(stream: Iterator[Any]) -> None:
    """Read a stream to its end, so that its connection serves the next."""
    for _ in stream:
        pass


async def aexhaust(stream: AsyncIterator[Any]) -> None:
    """Read a stream to its end on an event loop."""
    async for _ in stream:
        pass


def first(open_stream: Callable[[], Iterator[Any]]) -> Case:
    """Wait for the first part of a stream."""
    return Case(lambda: _started(open_stream()), after=exhaust)


def afirst(open_stream: Callable[[], Any]) -> Case:
    """Wait for the first part of a stream on an event loop."""

    async def work() -> AsyncIterator[Any]:
        stream = open_stream()
        return await _astarted(stream if hasattr(stream, "__anext__") else await stream)

    return Case(work, is_async=True, after=aexhaust)
