"""The embedding model: OllamaEmbeddings, for LangChain's vector stores and retrievers."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.embeddings import Embeddings
from pydantic import ConfigDict, Field, PrivateAttr

from langchain_ollama_ext._errors import langchain_errors
from langchain_ollama_ext._obsolete import ObsoleteOptions
from langchain_ollama_ext._validation import validate_model
from ollama_transport import (
    AsyncClient,
    Client,
    EmbeddingArray,
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
    checked_texts,
    joined_array,
    locating,
)
from ollama_transport.settings import resolve_prefixes, set_options

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    FloatArray = NDArray[numpy.float32]

A = TypeVar("A", Vectors, EmbeddingArray)


class OllamaEmbeddings(ServerFields, SamplingOptions, EmbeddingFields, ObsoleteOptions, Embeddings):
    """An embedding model of an Ollama server, or of an OpenAI-compatible one.

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

    It returns one vector for each text, in order: lists of Python floats, of L2 norm 1 (wire
    reference 5.1), all of one length. An empty text has a vector too. Texts are sent in batches of
    `batch_size`, at most `max_concurrency` batches (None: 4) at a time, in threads or in tasks of
    the running loop.

    Creating one does no I/O, except with `validate_model_on_init`. Use it from any number of
    threads and event loops, and through pickle (without its secrets, see `ServerFields`, and
    without `usage_total`). Its connections are closed by `close`, `aclose`, a ``with`` block, or
    some seconds after it was garbage-collected.

    Every method that embeds raises:
        ConfigError: before anything is sent, for a wrong argument.
        ContextOverflowError: for a text that is too long, if `on_context_overflow` is "error" or
            `truncate` is False. Its message names the position of the text in the list.
        OllamaConnectionError, OllamaTimeoutError, ProtocolError, ModelNotFoundError and other
            subclasses of StatusError: see the tree in ``ollama_transport``. If the server refuses a
            batch of a longer list, or fails, the message names the texts of the batch. No vectors
            are returned then.

    All of them are also langchain-core's ModelError.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

    model: str | None = Field(
        default=None,
        description="Name of the embedding model, such as nomic-embed-text. None means the first "
        "in the server's list that can embed, looked up at the first call.",
    )
    batch_size: int = Field(default=64, ge=1, description="Number of texts in one request.")
    on_progress: Callable[[int, int], object] | None = Field(
        default=None,
        repr=False,
        exclude=True,
        description="Called as on_progress(done, total) after each batch of documents, with "
        "numbers of texts, in the thread or loop of the caller. Pickling the model needs a "
        "function of a module, not a lambda.",
    )
    validate_model_on_init: bool = Field(
        default=False,
        description="True makes the constructor send a blocking request and raise if the server "
        "does not have the model, or it cannot embed. False does no I/O.",
    )

    _usage_sum: UsageTotal = PrivateAttr(default_factory=UsageTotal)

    if not TYPE_CHECKING:  # type checkers make the parameters out of the fields

        def __init__(self, **data: Any) -> None:
            super().__init__(**data)
            if self.validate_model_on_init:
                validate_model(self, self.model, "embedding")

    @property
    def usage_total(self) -> Usage:
        """Return the usage of all calls so far, over all threads; None where it is unknown.

        Durations are added up, so concurrent calls took less time than their total.
        """
        return self._usage_sum.total

    def reset_usage(self) -> Usage:
        """Return `usage_total`, and reset it to nothing."""
        return self._usage_sum.reset()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of documents; [] for an empty list, without a request."""
        with langchain_errors():
            texts = checked_texts(texts)
            # The server would load the model for an empty list, and answer with no vectors.
            if not texts:
                return []
            parts = self._parts(texts, self._ready_client().embed)
            return [vector for part in parts for vector in part.vectors]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of documents; [] for an empty list, without a request."""
        with langchain_errors():
            texts = checked_texts(texts)
            if not texts:
                return []
            parts = await self._aparts(texts, (await self._aready_client()).embed)
            return [vector for part in parts for vector in part.vectors]

    def embed_documents_array(self, texts: list[str]) -> "FloatArray":
        """Return the vectors of documents as one numpy array, as FAISS and other stores take it.

        It has 32-bit floats and the shape (number of texts, length of a vector); (0, `dimensions`
        or 0) for an empty list, without a request. Batches, order, checks and errors are those of
        `embed_documents`.

        Raises:
            ImportError: when numpy is not installed (``pip install 'ollama-ext[arrays]'``).
        """
        with langchain_errors():
            texts = checked_texts(texts)
            parts = self._parts(texts, self._ready_client().embed_array) if texts else []
            return joined_array([part.vectors for part in parts], self.dimensions)

    async def aembed_documents_array(self, texts: list[str]) -> "FloatArray":
        """Same as `embed_documents_array`, awaited."""
        with langchain_errors():
            texts = checked_texts(texts)
            ready = self._aready_client
            parts = await self._aparts(texts, (await ready()).embed_array) if texts else []
            return joined_array([part.vectors for part in parts], self.dimensions)

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a query."""
        with langchain_errors():
            # As a list of one: the server returns a vector for [""], but none for "" (5.1).
            client = self._ready_client()
            request = self._embed_request([self._prefixed_query(text)])
            return self._metered(client.embed(request)).vectors[0]

    async def aembed_query(self, text: str) -> list[float]:
        """Return the vector of a query."""
        with langchain_errors():
            client = await self._aready_client()
            request = self._embed_request([self._prefixed_query(text)])
            return self._metered(await client.embed(request)).vectors[0]

    def embed_query_array(self, text: str) -> "FloatArray":
        """Return the vector of a query as a numpy array of 32-bit floats, of one dimension.

        Raises:
            ImportError: when numpy is not installed (``pip install 'ollama-ext[arrays]'``).
        """
        with langchain_errors():
            client = self._ready_client()
            request = self._embed_request([self._prefixed_query(text)])
            vector: FloatArray = self._metered(client.embed_array(request)).vectors[0]
            return vector

    async def aembed_query_array(self, text: str) -> "FloatArray":
        """Same as `embed_query_array`, awaited."""
        with langchain_errors():
            client = await self._aready_client()
            request = self._embed_request([self._prefixed_query(text)])
            vector: FloatArray = self._metered(await client.embed_array(request)).vectors[0]
            return vector

    def _parts(self, texts: list[str], ask: Callable[[EmbedRequest], A]) -> list[A]:
        def embed(part: Sequence[str]) -> A:
            return self._metered(ask(self._embed_request(part)))

        with locating(embed) as failures:

            def embed_batch(batch: Batch) -> A:
                with failures.of(batch):
                    return embed(batch.texts)

            return map_threads(
                embed_batch,
                self._batches(texts),
                self.requests_at_once,
                _Progress(self.on_progress),
            )

    async def _aparts(
        self, texts: list[str], ask: Callable[[EmbedRequest], Awaitable[A]]
    ) -> list[A]:
        async def embed(part: Sequence[str]) -> A:
            return self._metered(await ask(self._embed_request(part)))

        async with alocating(embed) as failures:

            async def embed_batch(batch: Batch) -> A:
                with failures.of(batch):
                    return await embed(batch.texts)

            return await map_tasks(
                embed_batch,
                self._batches(texts),
                self.requests_at_once,
                _Progress(self.on_progress),
            )

    def _batches(self, texts: Sequence[str]) -> list[Batch]:
        # Added before the texts are split into batches, so that errors count them in the length.
        _, prefix = self._prefixes()
        return batches([prefix + text for text in texts], self.batch_size)

    def _prefixed_query(self, text: str) -> str:
        check_text("a query", text)
        prefix, _ = self._prefixes()
        return prefix + text

    def _prefixes(self) -> tuple[str, str]:
        return resolve_prefixes(
            self._resolved_name(),
            query_prefix=self.query_prefix,
            document_prefix=self.document_prefix,
            prefixes=self.prefixes,
        )

    def _embed_request(self, texts: Sequence[str]) -> EmbedRequest:
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

    def _resolved_name(self) -> str:
        name = self.model if self.model is not None else self.chosen_model("embedding")
        return "" if name is None else name

    def _metered(self, answer: A) -> A:
        self._usage_sum.add(answer.usage)
        return answer

    def _ready_client(self) -> Client:
        client = self.sync_client()
        # Before the prefixes, which depend on the model's name.
        client.resolve_model(self.model, "embedding")
        return client

    async def _aready_client(self) -> AsyncClient:
        client = self.async_client()
        await client.resolve_model(self.model, "embedding")
        return client


class _Progress:
    """Counts the finished texts of one call, and reports them."""

    def __init__(self, report: Callable[[int, int], object] | None) -> None:
        self._report = report
        self._done = 0

    def __call__(self, batch: Batch) -> None:
        self._done += len(batch.texts)
        if self._report is not None:
            self._report(self._done, batch.total)
