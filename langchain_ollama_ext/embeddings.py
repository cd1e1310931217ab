"""Vectors of texts by an Ollama server, for the vector stores and retrievers of LangChain."""

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.embeddings import Embeddings
from pydantic import ConfigDict, Field, PrivateAttr

from langchain_ollama_ext._errors import langchain_errors
from langchain_ollama_ext._obsolete import ObsoleteOptions
from langchain_ollama_ext._validation import validate_model
from ollama_transport import (
    AsyncClient,
    Client,
    EmbedRequest,
    SamplingOptions,
    ServerFields,
    Usage,
)
from ollama_transport import Embeddings as Vectors
from ollama_transport.accounting import UsageTotal
from ollama_transport.concurrency import map_tasks, map_threads
from ollama_transport.conversation import (
    Batch,
    EmbeddingFields,
    alocating,
    batches,
    check_text,
    check_texts,
    locating,
)
from ollama_transport.settings import resolve_prefixes, set_options


class OllamaEmbeddings(ServerFields, SamplingOptions, EmbeddingFields, ObsoleteOptions, Embeddings):
    """Turn texts into vectors, one for each text and in the order of the texts.

    ```python
    import asyncio

    from langchain_core.vectorstores import InMemoryVectorStore

    from langchain_ollama_ext import OllamaEmbeddings

    embeddings = OllamaEmbeddings(model="nomic-embed-text", prefixes="auto")
    print(len(embeddings.embed_documents(["a cat", "a dog"])))
    print(embeddings.embed_query("an animal")[:3])
    print(asyncio.run(embeddings.aembed_query("an animal"))[:3])
    print(embeddings.usage_total)
    store = InMemoryVectorStore.from_texts(["The cat sleeps.", "The ship sails."], embeddings)
    print(store.similarity_search("Which animal rests?", k=1))
    ```

    Vectors are lists of Python floats, of L2 norm 1 (wire reference 5.1), all of one length. An
    empty text has a vector too. Texts travel in batches of `batch_size`, at most
    `max_concurrency` of them (None: 4) at a time, in threads or in tasks of the running loop.

    Making one does no I/O, but for `validate_model_on_init`. It may be used from many threads and
    event loops at once, and travels through pickle (secrets stay behind, see `ServerFields`, and
    so does `usage_total`). Its connections are closed by `close`, `aclose`, a ``with`` block, or
    some seconds after it was collected.

    Every method that embeds raises:
        ConfigError: before anything is sent, for a wrong argument.
        ContextOverflowError: for a text that is too long, where `on_context_overflow` is "error"
            or `truncate` is False. Its message says which text of the list it was.
        OllamaConnectionError, OllamaTimeoutError, ProtocolError, ModelNotFoundError and the other
            kinds of StatusError: see the tree in ``ollama_transport``. Where the server refuses a
            batch of a longer list, or fails at it, the message says which texts were in it. No
            vectors are returned then.

    All of them are langchain-core's ModelError as well.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

    model: str | None = Field(
        default=None,
        description="Name of the embedding model, such as nomic-embed-text. None takes the first "
        "of the server's list that can embed, looked up at the first call.",
    )
    batch_size: int = Field(default=64, ge=1, description="Most texts in one request.")
    on_progress: Callable[[int, int], object] | None = Field(
        default=None,
        repr=False,
        exclude=True,
        description="Called as on_progress(done, total) after each batch of documents, with "
        "numbers of texts, in the thread or loop of the caller. Pickling needs one that pickles: "
        "a function of a module, no lambda.",
    )
    validate_model_on_init: bool = Field(
        default=False,
        description="True has the constructor ask the server, blocking, whether it has the model "
        "and the model can embed, and raise when not. False does no I/O.",
    )

    _meter: UsageTotal = PrivateAttr(default_factory=UsageTotal)

    def __init__(self, **data: Any) -> None:
        super().__init__(**data)
        if self.validate_model_on_init:
            validate_model(self, self.model, "embedding")

    @property
    def usage_total(self) -> Usage:
        """Return what every call so far has cost, over all threads; None where it is unknown.

        Durations add up the server's work, which calls side by side do in less time.
        """
        return self._meter.total

    def reset_usage(self) -> Usage:
        """Return what `usage_total` holds, and begin at nothing again."""
        return self._meter.reset()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts to be found; [] for none, without a request."""
        with langchain_errors():
            check_texts(texts)
            # The server would load the model for an empty list, and answer with no vectors.
            if not texts:
                return []
            client = self._ready_client()

            def embed(part: Sequence[str]) -> list[list[float]]:
                return self._vectors(client.embed(self._request(part)))

            def embed_batch(batch: Batch) -> list[list[float]]:
                with failures.of(batch):
                    return embed(batch.texts)

            with locating(embed) as failures:
                parts = map_threads(
                    embed_batch,
                    self._batches(texts),
                    self.requests_at_once,
                    _Progress(self.on_progress),
                )
            return [vector for part in parts for vector in part]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts to be found; [] for none, without a request."""
        with langchain_errors():
            check_texts(texts)
            if not texts:
                return []
            client = await self._aready_client()

            async def embed(part: Sequence[str]) -> list[list[float]]:
                return self._vectors(await client.embed(self._request(part)))

            async def embed_batch(batch: Batch) -> list[list[float]]:
                with failures.of(batch):
                    return await embed(batch.texts)

            async with alocating(embed) as failures:
                parts = await map_tasks(
                    embed_batch,
                    self._batches(texts),
                    self.requests_at_once,
                    _Progress(self.on_progress),
                )
            return [vector for part in parts for vector in part]

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text to search with."""
        with langchain_errors():
            # As a list of one: a bare "" has no vector on the wire, and [""] has (5.1).
            client = self._ready_client()
            request = self._request([self._query(text)])
            return self._vectors(client.embed(request))[0]

    async def aembed_query(self, text: str) -> list[float]:
        """Return the vector of a text to search with."""
        with langchain_errors():
            client = await self._aready_client()
            request = self._request([self._query(text)])
            return self._vectors(await client.embed(request))[0]

    def _batches(self, texts: Sequence[str]) -> list[Batch]:
        # Prefixes count towards the length of a text, so they are put on before anything is sent.
        _, prefix = self._prefixes()
        return batches([prefix + text for text in texts], self.batch_size)

    def _query(self, text: str) -> str:
        check_text("a query", text)
        prefix, _ = self._prefixes()
        return prefix + text

    def _prefixes(self) -> tuple[str, str]:
        return resolve_prefixes(
            self._name(),
            query_prefix=self.query_prefix,
            document_prefix=self.document_prefix,
            prefixes=self.prefixes,
        )

    def _request(self, texts: Sequence[str]) -> EmbedRequest:
        return EmbedRequest(
            model=self.model,
            input=texts,
            dimensions=self.dimensions,
            truncate=self.truncate,
            on_context_overflow=self.on_context_overflow,
            options=set_options(self),
            keep_alive=self.keep_alive,
            **self.request_fields(),
        )

    def _name(self) -> str:
        name = self.model if self.model is not None else self.chosen_model("embedding")
        return "" if name is None else name

    def _vectors(self, answer: Vectors) -> list[list[float]]:
        self._meter.add(answer.usage)
        return answer.vectors

    def _ready_client(self) -> Client:
        client = self.sync_client()
        client.resolve_model(self.model, "embedding")
        return client

    async def _aready_client(self) -> AsyncClient:
        client = self.async_client()
        await client.resolve_model(self.model, "embedding")
        return client


class _Progress:
    """Count the texts of one call that are done, and report them."""

    def __init__(self, report: Callable[[int, int], object] | None) -> None:
        self._report = report
        self._done = 0

    def __call__(self, batch: Batch) -> None:
        self._done += len(batch.texts)
        if self._report is not None:
            self._report(self._done, batch.total)
