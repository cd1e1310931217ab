"""Vectors of texts by an Ollama server, for the vector stores and retrievers of LangChain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from langchain_core.embeddings import Embeddings
from pydantic import BeforeValidator, ConfigDict, Field, PrivateAttr

from langchain_ollama_ext._concurrency import fan_out, map_threads
from langchain_ollama_ext._errors import langchain_errors
from langchain_ollama_ext._obsolete import ObsoleteOptions
from ollama_transport import (
    AsyncClient,
    Client,
    ConfigError,
    ContextOverflowError,
    EmbedRequest,
    KeepAlive,
    OllamaError,
    OverflowPolicy,
    RequestRejectedError,
    SamplingOptions,
    ServerError,
    ServerFields,
    ShowAnswer,
    UnsupportedCapabilityError,
    Usage,
)
from ollama_transport import Embeddings as Vectors
from ollama_transport.accounting import UsageTotal
from ollama_transport.concurrency import map_tasks
from ollama_transport.settings import keep_alive as checked_keep_alive
from ollama_transport.settings import resolve_prefixes, set_options

_SUSPECTS = 4
"""So many texts of a refused batch, the longest first, are tried alone to name the one."""


class OllamaEmbeddings(ServerFields, SamplingOptions, ObsoleteOptions, Embeddings):
    """Turn texts into vectors, one for each text and in the order of the texts.

    Vectors are lists of Python floats, of L2 norm 1 (wire reference 5.1), all of one length. An
    empty text has a vector too. Texts travel in batches of `batch_size`, at most
    `max_concurrency` of them (None: 4) at a time, in threads or in tasks of the running loop.

    Making one does no I/O. It may be used from many threads and event loops at once, and travels
    through pickle (secrets stay behind, see `ServerFields`, and so does `usage_total`). Its
    connections are closed by `close`, `aclose`, a ``with`` block, or when it is collected.

    Every method that embeds raises:
        ConfigError: before anything is sent, for a wrong argument.
        ContextOverflowError: for a text that is too long, where `on_context_overflow` is "error"
            or `truncate` is False. Its message says which text of the list it was.
        OllamaConnectionError, OllamaTimeoutError, ProtocolError, ModelNotFoundError and the other
            kinds of StatusError: see the tree in ``ollama_transport``. Where the server refuses a
            batch of a longer list, or fails at it, the message says which texts were in it. No
            vectors are returned then.

    All of them are langchain-core's ModelError as well.

    >>> from langchain_ollama_ext import OllamaEmbeddings
    >>> embeddings = OllamaEmbeddings(model="nomic-embed-text", prefixes="auto")
    >>> vectors = embeddings.embed_documents(["a cat", "a dog"])  # doctest: +SKIP
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

    model: str | None = Field(
        default=None,
        description="Name of the embedding model, such as nomic-embed-text. None takes the first "
        "of the server's list that can embed, looked up at the first call.",
    )
    dimensions: int | None = Field(
        default=None,
        ge=1,
        description="Length to cut the vectors to; they are normalised again. None, and a number "
        "above the model's own, leave it as it is (wire reference 5.1).",
    )
    keep_alive: Annotated[KeepAlive | None, BeforeValidator(checked_keep_alive)] = Field(
        default=None,
        description='How long the model stays in memory: seconds, or "5m"; negative is for ever, '
        "0 unloads at once. None leaves it to the server (5 minutes).",
    )
    truncate: bool | None = Field(
        default=None,
        description="Whether the server may cut texts that are too long. None leaves that to "
        "`on_context_overflow`.",
    )
    on_context_overflow: OverflowPolicy = Field(
        default="warn",
        description='A text too long for the model: "warn" warns and has its batch cut by the '
        'server, "error" raises, "truncate" cuts in silence.',
    )
    batch_size: int = Field(default=64, ge=1, description="Most texts in one request.")
    query_prefix: str | None = Field(
        default=None, description='Put before a query; "" is none. None: see `prefixes`.'
    )
    document_prefix: str | None = Field(
        default=None, description='Put before each document; "" is none. None: see `prefixes`.'
    )
    prefixes: Literal["auto"] | None = Field(
        default=None,
        description='"auto" takes the prefixes that the model\'s makers publish, where none is '
        "given; None takes none.",
    )
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
        description="Ask the server before the first request whether it has the model and the "
        "model can embed; not in the constructor, which does no I/O.",
    )

    _meter: UsageTotal = PrivateAttr(default_factory=UsageTotal)
    _validated: bool = PrivateAttr(default=False)

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
            # The server would load the model for an empty list, and answer with no vectors.
            if not checked_texts(texts):
                return []
            client = self._ready_client()
            plan = self._plan(texts)
            parts = map_threads(
                lambda batch: self._embed(client, batch),
                plan.batches,
                fan_out(self.max_concurrency),
                plan.progress,
            )
            return [vector for part in parts for vector in part]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts to be found; [] for none, without a request."""
        with langchain_errors():
            if not checked_texts(texts):
                return []
            client = await self._aready_client()
            plan = self._plan(texts)
            parts = await map_tasks(
                lambda batch: self._aembed(client, batch),
                plan.batches,
                fan_out(self.max_concurrency),
                plan.progress,
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

    def _embed(self, client: Client, batch: "Batch") -> list[list[float]]:
        try:
            return self._vectors(client.embed(self._request(batch.texts)))
        except OllamaError as error:
            # Asked now: without the place a user would search thousands of texts by hand.
            locate(error, batch, self._refused_alone(client, batch, error))
            raise

    async def _aembed(self, client: AsyncClient, batch: "Batch") -> list[list[float]]:
        try:
            return self._vectors(await client.embed(self._request(batch.texts)))
        except OllamaError as error:
            locate(error, batch, await self._arefused_alone(client, batch, error))
            raise

    def _refused_alone(self, client: Client, batch: "Batch", error: OllamaError) -> int | None:
        # The longest text is nearly always the one, so this is mostly a single small request.
        for place in suspects(batch, error):
            try:
                client.embed(self._request([batch.texts[place]]))
            except ContextOverflowError:
                return place
        return None

    async def _arefused_alone(
        self, client: AsyncClient, batch: "Batch", error: OllamaError
    ) -> int | None:
        for place in suspects(batch, error):
            try:
                await client.embed(self._request([batch.texts[place]]))
            except ContextOverflowError:
                return place
        return None

    def _plan(self, texts: Sequence[str]) -> "Plan":
        # Prefixes count towards the length of a text, so they are put on before anything is sent.
        _, prefix = self._prefixes()
        return Plan(
            batches=batches([prefix + text for text in texts], self.batch_size),
            total=len(texts),
            on_progress=self.on_progress,
        )

    def _query(self, text: str) -> str:
        if not isinstance(text, str):
            raise ConfigError(f"a query is a text, not {type(text).__name__}.")
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
        # JSON of Go writes a whole number such as 0 without a point, which is an int here.
        return [list(map(float, vector)) for vector in answer.vectors]

    def _ready_client(self) -> Client:
        client = self.sync_client()
        name = client.resolve_model(self.model, "embedding")
        # /v1 does not tell what a model can, so only Ollama's own wire is asked.
        if self.validate_model_on_init and not self._validated and client.config.wire == "native":
            check_can_embed(name, client.show(name))
            self._validated = True
        return client

    async def _aready_client(self) -> AsyncClient:
        client = self.async_client()
        name = await client.resolve_model(self.model, "embedding")
        if self.validate_model_on_init and not self._validated and client.config.wire == "native":
            check_can_embed(name, await client.show(name))
            self._validated = True
        return client


@dataclass(frozen=True, slots=True)
class Batch:
    """Hold the texts of one request; ``start`` is the place of the first of ``total`` texts."""

    start: int
    texts: Sequence[str]
    total: int


class Plan:
    """Hold one call's batches, and count its texts that are done."""

    def __init__(
        self,
        batches: Sequence[Batch],
        total: int,
        on_progress: Callable[[int, int], object] | None,
    ) -> None:
        self.batches = batches
        self._total = total
        self._on_progress = on_progress
        self._done = 0

    def progress(self, batch: Batch) -> None:
        """Count a batch as done and tell who wants to know."""
        self._done += len(batch.texts)
        if self._on_progress is not None:
            self._on_progress(self._done, self._total)


def checked_texts(texts: Sequence[str]) -> Sequence[str]:
    """Return the texts.

    Raises:
        ConfigError: for a single text, and for what is no text, naming its place.
    """
    if isinstance(texts, str):
        raise ConfigError("embed_documents takes a list of texts; embed_query takes a single one.")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise ConfigError(f"texts[{place}] is no text but {type(text).__name__}.")
    return texts


def batches(texts: Sequence[str], size: int) -> list[Batch]:
    """Return texts in batches of at most ``size``, in their order."""
    return [
        Batch(start, texts[start : start + size], len(texts))
        for start in range(0, len(texts), size)
    ]


def suspects(batch: Batch, error: OllamaError) -> list[int]:
    """Return the places of the texts to try alone, the likeliest first; [] when that is needless.

    The server refuses a whole batch for one text and does not say which (wire reference 5.1).
    """
    if not isinstance(error, ContextOverflowError) or len(batch.texts) == 1:
        return []
    places = range(len(batch.texts))
    return sorted(places, key=lambda place: -len(batch.texts[place].encode()))[:_SUSPECTS]


def locate(error: OllamaError, batch: Batch, place: int | None) -> None:
    """Let an error about texts say which ones of the list it is about, where that is news."""
    where = _place(error, batch, place)
    # The error itself is changed: a new one would lose its class, its status and its body.
    if where:
        error.args = (f"{where} of {batch.total}: {error}",)


def _place(error: OllamaError, batch: Batch, place: int | None) -> str:
    if not isinstance(error, RequestRejectedError | ServerError):
        return ""
    # That is about the model, whichever texts were in the batch.
    if isinstance(error, UnsupportedCapabilityError) or batch.total == 1:
        return ""
    known = 0 if len(batch.texts) == 1 else place
    if known is not None:
        return f"texts[{batch.start + known}]"
    if len(batch.texts) == batch.total:
        return ""
    return f"in texts[{batch.start}] to texts[{batch.start + len(batch.texts) - 1}]"


def check_can_embed(model: str, answer: ShowAnswer) -> None:
    """Refuse a model that cannot embed; a server that tells no capabilities is believed.

    Raises:
        ConfigError: naming what the model can do instead.
    """
    if answer.capabilities is None or answer.can("embedding"):
        return
    raise ConfigError(
        f"the model {model!r} cannot embed (it can: {', '.join(answer.capabilities)}): choose an "
        "embedding model, such as nomic-embed-text."
    )
