"""The methods that take a request or keywords, for asyncio.

``client.chat(ChatRequest(…))`` and ``client.chat(model=…, messages=[…], stream=True)`` are the same
method: programs for ollama-python call it the second way. Answers are read by attribute or by key.
"""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Literal, Unpack, overload

from ollama_transport.client.endpoints import AsyncEndpoints
from ollama_transport.client.files import AsyncFiles
from ollama_transport.client.keyword_requests import (
    ChatKeywords,
    CreateKeywords,
    EmbedKeywords,
    GenerateKeywords,
    MessageLike,
    chat_request,
    create_request,
    embed_request,
    generate_request,
    paths_of,
)
from ollama_transport.client.signatures import spell_out
from ollama_transport.wire.native import calls as native
from ollama_transport.wire.values.answers import ChatLine, Embeddings, GenerateLine, Progress
from ollama_transport.wire.values.requests import (
    ChatRequest,
    CreateRequest,
    EmbedRequest,
    GenerateRequest,
)
from ollama_transport.wire.values.vectors import EmbeddingArray, joined_array


class AsyncKeywords(AsyncFiles, AsyncEndpoints):
    """Methods that take request objects or keywords, for asyncio.

    Those that take files (``images=[Path("photo.png")]``) raise OSError if one cannot be read.
    """

    # `stream` decides the type of the answer: hence overloads for False, True and a variable.
    @overload
    async def chat(
        self,
        model: ChatRequest | str | None = None,
        messages: Sequence[MessageLike] | None = None,
        *,
        stream: Literal[False] = False,
        **more: Unpack[ChatKeywords],
    ) -> ChatLine: ...
    @overload
    async def chat(
        self,
        model: ChatRequest | str | None = None,
        messages: Sequence[MessageLike] | None = None,
        *,
        stream: Literal[True],
        **more: Unpack[ChatKeywords],
    ) -> AsyncGenerator[ChatLine]: ...
    @overload
    async def chat(
        self,
        model: ChatRequest | str | None = None,
        messages: Sequence[MessageLike] | None = None,
        *,
        stream: bool,
        **more: Unpack[ChatKeywords],
    ) -> ChatLine | AsyncGenerator[ChatLine]: ...
    async def chat(
        self,
        model: ChatRequest | str | None = None,
        messages: Sequence[MessageLike] | None = None,
        *,
        stream: bool = False,
        **more: Unpack[ChatKeywords],
    ) -> ChatLine | AsyncGenerator[ChatLine]:
        """Return the next message of a chat, whole; with ``stream`` yield it piece by piece.

        Give a `ChatRequest`, or its fields as keywords: messages are dicts or `Message`, ``tools``
        are functions, pydantic classes or dicts, ``format`` is "json", a JSON schema or a pydantic
        class. The last line of a stream has ``done``.
        """
        files = await self._files(paths_of(messages))
        request = chat_request(model, messages, more, files)
        if stream:
            return self.chat_stream(request)
        return await self.send(await self.made(lambda dialect: dialect.chat(request)))

    @overload
    async def generate(
        self,
        model: GenerateRequest | str | None = None,
        prompt: str | None = None,
        suffix: str | None = None,
        *,
        stream: Literal[False] = False,
        **more: Unpack[GenerateKeywords],
    ) -> GenerateLine: ...
    @overload
    async def generate(
        self,
        model: GenerateRequest | str | None = None,
        prompt: str | None = None,
        suffix: str | None = None,
        *,
        stream: Literal[True],
        **more: Unpack[GenerateKeywords],
    ) -> AsyncGenerator[GenerateLine]: ...
    @overload
    async def generate(
        self,
        model: GenerateRequest | str | None = None,
        prompt: str | None = None,
        suffix: str | None = None,
        *,
        stream: bool,
        **more: Unpack[GenerateKeywords],
    ) -> GenerateLine | AsyncGenerator[GenerateLine]: ...
    async def generate(
        self,
        model: GenerateRequest | str | None = None,
        prompt: str | None = None,
        suffix: str | None = None,
        *,
        stream: bool = False,
        **more: Unpack[GenerateKeywords],
    ) -> GenerateLine | AsyncGenerator[GenerateLine]:
        """Return the completion of a prompt, whole; with ``stream`` yield it piece by piece.

        Give a `GenerateRequest`, or its fields as keywords; ``format`` as in `chat`. The last line
        of a stream has ``done``.
        """
        files = await self._files(paths_of(images=more.get("images")))
        request = generate_request(model, prompt, suffix, more, files)
        if stream:
            return self.generate_stream(request)
        return await self.send(await self.made(lambda dialect: dialect.generate(request)))

    async def embed(
        self,
        model: EmbedRequest | str | None = None,
        input: str | Sequence[str] = (),
        **more: Unpack[EmbedKeywords],
    ) -> Embeddings:
        """Return the vectors of texts, in their order; without texts nothing is sent.

        Give an `EmbedRequest`, or its fields as keywords; ``input`` is one text or more.
        """
        request = embed_request(model, input, more)
        if not request.input:
            return Embeddings([], model="" if request.model is None else request.model)
        return await self.send(await self.made(lambda dialect: dialect.embed(request)))

    async def embed_array(
        self,
        model: EmbedRequest | str | None = None,
        input: str | Sequence[str] = (),
        **more: Unpack[EmbedKeywords],
    ) -> EmbeddingArray:
        """Return the vectors of texts as one numpy array; otherwise as `embed`.

        The array has 32-bit floats and the shape (number of texts, length of a vector); without
        texts it has no rows, and as many columns as ``dimensions`` says. It costs half of what
        lists cost where pysimdjson is installed, and less with base64 (on ``/v1``).

        Raises:
            ImportError: when numpy is not installed.
        """
        request = embed_request(model, input, more)
        if not request.input:
            empty = joined_array([], request.dimensions)
            return EmbeddingArray(empty, model="" if request.model is None else request.model)
        return await self.send(await self.made(lambda dialect: dialect.embed_array(request)))

    @overload
    async def pull(
        self, model: str, *, insecure: bool = False, stream: Literal[False] = False
    ) -> Progress: ...
    @overload
    async def pull(
        self, model: str, *, insecure: bool = False, stream: Literal[True]
    ) -> AsyncGenerator[Progress]: ...
    @overload
    async def pull(
        self, model: str, *, insecure: bool = False, stream: bool
    ) -> Progress | AsyncGenerator[Progress]: ...
    async def pull(
        self, model: str, *, insecure: bool = False, stream: bool = False
    ) -> Progress | AsyncGenerator[Progress]:
        """Download a model from its registry and return when done; call again to resume.

        With ``stream`` yield the progress. ``insecure`` allows a registry without TLS.
        """
        call = native.pull(model, insecure=insecure)
        if stream:
            return self.stream(call)
        return await self.send(call)

    @overload
    async def push(
        self, model: str, *, insecure: bool = False, stream: Literal[False] = False
    ) -> Progress: ...
    @overload
    async def push(
        self, model: str, *, insecure: bool = False, stream: Literal[True]
    ) -> AsyncGenerator[Progress]: ...
    @overload
    async def push(
        self, model: str, *, insecure: bool = False, stream: bool
    ) -> Progress | AsyncGenerator[Progress]: ...
    async def push(
        self, model: str, *, insecure: bool = False, stream: bool = False
    ) -> Progress | AsyncGenerator[Progress]:
        """Upload a model to its registry and return when done.

        With ``stream`` yield the progress. ``insecure`` allows a registry without TLS.
        """
        call = native.push(model, insecure=insecure)
        if stream:
            return self.stream(call)
        return await self.send(call)

    @overload
    async def create(
        self,
        model: CreateRequest | str,
        quantize: str | None = None,
        from_: str | None = None,
        *,
        stream: Literal[False] = False,
        **more: Unpack[CreateKeywords],
    ) -> Progress: ...
    @overload
    async def create(
        self,
        model: CreateRequest | str,
        quantize: str | None = None,
        from_: str | None = None,
        *,
        stream: Literal[True],
        **more: Unpack[CreateKeywords],
    ) -> AsyncGenerator[Progress]: ...
    @overload
    async def create(
        self,
        model: CreateRequest | str,
        quantize: str | None = None,
        from_: str | None = None,
        *,
        stream: bool,
        **more: Unpack[CreateKeywords],
    ) -> Progress | AsyncGenerator[Progress]: ...
    async def create(
        self,
        model: CreateRequest | str,
        quantize: str | None = None,
        from_: str | None = None,
        *,
        stream: bool = False,
        **more: Unpack[CreateKeywords],
    ) -> Progress | AsyncGenerator[Progress]:
        """Create a model from another or from uploaded files; with ``stream`` yield the progress.

        Give a `CreateRequest`, or its fields as keywords; ``modelfile`` is the text of a Modelfile.
        Files that a Modelfile names are never opened.
        """
        files = await self._files(paths_of(more.get("messages")))
        request = create_request(model, quantize, from_, more, files)
        if stream:
            return self.create_stream(request)
        return await self.send(native.create(request))

    async def create_blob(self, path: Path | str) -> str:
        """Send a file to the server: `upload` under ollama-python's name."""
        return await self.upload(path)


spell_out(AsyncKeywords.chat, AsyncKeywords.generate, AsyncKeywords.embed, AsyncKeywords.create)
