"""`OllamaEmbedding`: the embedding model for LlamaIndex's indexes and pipelines."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Self, TypeVar, Unpack

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.callbacks.base import CallbackManager
from pydantic import Field, PrivateAttr, field_validator, model_validator

from llamaindex_ollama_ext._array_methods import ArrayMethods, V
from llamaindex_ollama_ext._core import await_for_rate, wait_for_rate
from llamaindex_ollama_ext._core_fields import core_fields_described
from llamaindex_ollama_ext._embedding_events import count_for_event, progress, reported
from llamaindex_ollama_ext._options import EmbeddingOptions, undumped
from llamaindex_ollama_ext._vector_cache import VectorCache, filled, formatted, missing
from ollama_transport import (
    ConfigError,
    EmbeddingArray,
    Embeddings,
    EmbedRequest,
    KeepAlive,
    SamplingOptions,
    ServerFields,
    Usage,
)
from ollama_transport.accounting import UsageTotal
from ollama_transport.client import REQUESTS_AT_ONCE
from ollama_transport.concurrency import map_tasks
from ollama_transport.conversation import (
    Batch,
    alocating,
    batches,
    check_text,
    checked_texts,
    locating,
    placing,
)
from ollama_transport.settings import check_options, resolve_prefixes, set_options, without_obsolete

A = TypeVar("A", Embeddings, EmbeddingArray)
Kind = Literal["query", "text"]


@core_fields_described
class OllamaEmbedding(ServerFields, SamplingOptions, ArrayMethods, BaseEmbedding):
    """An embedding model of an Ollama server, or of an OpenAI-compatible one (wire reference 5.1).

    ```python
    import asyncio

    from llamaindex_ollama_ext import OllamaEmbedding

    embed_model = OllamaEmbedding("nomic-embed-text", prefixes="auto")
    print(embed_model.get_query_embedding("How high is it?")[:3])
    print(len(embed_model.get_text_embedding_batch(["It is high.", "It is far."])))
    print(asyncio.run(embed_model.aget_query_embedding("How far is it?"))[:3])
    print(embed_model.usage_total)
    ```

    Vectors have L2 norm 1 and are in the order of their texts; their number is checked. One object
    serves any number of threads, event loops and processes; its only state is the running total in
    `usage_total`. `close`, `aclose` or a ``with`` block closes its connections, and so does garbage
    collection.

    Every method that embeds raises: ConfigError, OllamaConnectionError, OllamaTimeoutError,
    ProtocolError (also for a wrong number of vectors), and StatusError and its subclasses, among
    them ModelNotFoundError, UnsupportedCapabilityError for a model that cannot embed, and
    ContextOverflowError with ``on_context_overflow="error"``.

    Raises:
        ConfigError: for a wrong or unknown argument.
    """

    model_name: str | None = Field(  # type: ignore[assignment] # wider than core's, which is never read here
        default=None,
        description="The model's name at the server. None means the first in the server's list "
        "that can embed, looked up at the first call.",
    )
    ollama_additional_kwargs: dict[str, Any] = Field(
        default_factory=dict, description="Further options of the model; they override the fields."
    )
    query_instruction: str | None = Field(
        default=None, description="Put before a query, with one space between; both are stripped."
    )
    text_instruction: str | None = Field(
        default=None, description="Put before a text, with one space between; both are stripped."
    )
    num_workers: int | None = Field(
        default=None,
        ge=1,
        description="Concurrent requests of one asynchronous batch, if max_concurrency is not set; "
        f"None means {REQUESTS_AT_ONCE}. max_concurrency limits all calls together.",
    )

    _usage_sum: UsageTotal = PrivateAttr(default_factory=UsageTotal)

    def __init__(
        self,
        model_name: str | None = None,
        base_url: str | None = None,
        embed_batch_size: int | None = None,
        ollama_additional_kwargs: dict[str, Any] | None = None,
        query_instruction: str | None = None,
        text_instruction: str | None = None,
        callback_manager: CallbackManager | None = None,
        client_kwargs: dict[str, Any] | None = None,
        keep_alive: KeepAlive | None = None,
        **kwargs: Unpack[EmbeddingOptions],
    ) -> None:
        given = {
            "model_name": model_name,
            "base_url": base_url,
            "embed_batch_size": embed_batch_size,
            "ollama_additional_kwargs": ollama_additional_kwargs,
            "query_instruction": query_instruction,
            "text_instruction": text_instruction,
            "callback_manager": callback_manager,
            "client_kwargs": client_kwargs,
            "keep_alive": keep_alive,
        }
        # None is the peer's way to leave a default; core's fields would refuse it.
        set_ones = {name: value for name, value in given.items() if value is not None}
        super().__init__(**set_ones, **undumped(kwargs))

    @classmethod
    def class_name(cls) -> str:
        """Return the peer's name, by which dumps and `load_embed_model` know this class."""
        return "OllamaEmbedding"

    @field_validator("ollama_additional_kwargs")
    @classmethod
    def _check_options(cls, value: dict[str, Any]) -> dict[str, Any]:
        return check_options(without_obsolete(value))

    @model_validator(mode="after")
    def _check_one_of_each(self) -> Self:
        pairs = (("query_instruction", "query_prefix"), ("text_instruction", "document_prefix"))
        for instruction, prefix in pairs:
            if getattr(self, instruction) and getattr(self, prefix) is not None:
                raise ConfigError(f"{instruction} and {prefix} are both set: give only one.")
        return self

    def _at_once(self) -> int:
        limits = (self.max_concurrency, self.num_workers, REQUESTS_AT_ONCE)
        return next(limit for limit in limits if limit is not None)

    def to_payload(self) -> dict[str, Any]:
        """Return what traces show of the model, without secrets."""
        # No super(): LlamaIndex has this hook only since 0.14.23.
        return {
            "class_name": self.class_name(),
            "model_name": self._resolved_name() or self.model_name,
            "embed_batch_size": self.embed_batch_size,
            **self._set_options(),
        }

    @property
    def usage_total(self) -> Usage:
        """Return the usage of all calls of this object so far; None where it is unknown."""
        return self._usage_sum.total

    def reset_usage(self) -> Usage:
        """Return `usage_total`, and reset it to nothing."""
        return self._usage_sum.reset()

    def get_query_embedding(self, query: str) -> Embedding:
        """Return the vector of a query, from the cache if it is stored there."""
        check_text("a query", query)
        with reported(self.callback_manager, self.to_payload(), [query]) as report:
            # Before the keys: the cache key and the prefixes depend on the model's name.
            self.sync_client().resolve_model(self.model_name, "embedding")
            key = self._vector_key("query", query)
            found = self._kept_vectors().find([key])[0]
            if found is None:
                # Texts found in the cache cost no request, and need no permit.
                wait_for_rate(self)
                found = self._get_query_embedding(query)
                self._kept_vectors().keep([key], [found])
            report.vectors = [found]
        return found

    async def aget_query_embedding(self, query: str) -> Embedding:
        """Return the vector of a query, from the cache if it is stored there."""
        check_text("a query", query)
        with reported(self.callback_manager, self.to_payload(), [query]) as report:
            await self.async_client().resolve_model(self.model_name, "embedding")
            key = self._vector_key("query", query)
            found = (await self._kept_vectors().afind([key]))[0]
            if found is None:
                await await_for_rate(self)
                found = await self._aget_query_embedding(query)
                await self._kept_vectors().akeep([key], [found])
            report.vectors = [found]
        return found

    def get_text_embedding(self, text: str) -> Embedding:
        """Return the vector of a text, from the cache if it is stored there."""
        check_text("a document", text)
        # Through the hook for a single text, which subclasses may override.
        return self._text_batch([text], lambda texts: [self._get_text_embedding(texts[0])])[0]

    async def aget_text_embedding(self, text: str) -> Embedding:
        """Return the vector of a text, from the cache if it is stored there."""
        check_text("a document", text)

        async def embed(texts: list[str]) -> list[Embedding]:
            return [await self._aget_text_embedding(texts[0])]

        return (await self._atext_batch([text], embed))[0]

    def get_text_embedding_batch(
        self,
        texts: list[str],
        show_progress: bool = False,
        **kwargs: Any,  # noqa: ARG002 - core's pipelines pass all arguments that they were run with
    ) -> list[Embedding]:
        """Return the vectors of texts, in their order; `embed_batch_size` texts per request."""
        return self._batched(texts, self._get_text_embeddings, show=show_progress)

    async def aget_text_embedding_batch(
        self,
        texts: list[str],
        show_progress: bool = False,
        **kwargs: Any,  # noqa: ARG002 - as above
    ) -> list[Embedding]:
        """Return the vectors of texts, in their order; `embed_batch_size` texts per request.

        At most `num_workers` requests run concurrently, and no others are queued, so that a query
        in between does not have to wait. The first failure is raised at once and stops the others.
        """
        return await self._abatched(texts, self._aget_text_embeddings, show=show_progress)

    def get_general_text_embedding(self, texts: str) -> Embedding:
        """Return the vector of an unchanged text: no instruction, no prefix, no cache."""
        # Not by the method for lists: a subclass may override that one to call this.
        return OllamaEmbedding.get_general_text_embeddings(self, [texts])[0]

    async def aget_general_text_embedding(self, prompt: str) -> Embedding:
        """Return the vector of an unchanged text: no instruction, no prefix, no cache."""
        return (await OllamaEmbedding.aget_general_text_embeddings(self, [prompt]))[0]

    def get_general_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        """Return the vectors of unchanged texts, by one request; [] for an empty list."""
        asked = self._embed_request(checked_texts(texts))
        return self._counted(self.sync_client().embed(asked)).vectors

    async def aget_general_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        """Return the vectors of unchanged texts, by one request; [] for an empty list."""
        request = self._embed_request(checked_texts(texts))
        return self._counted(await self.async_client().embed(request)).vectors

    def _get_query_embedding(self, query: str) -> Embedding:
        return self.get_general_text_embedding(self._format_query(query))

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return await self.aget_general_text_embedding(self._format_query(query))

    def _get_text_embedding(self, text: str) -> Embedding:
        return self.get_general_text_embedding(self._format_text(text))

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return await self.aget_general_text_embedding(self._format_text(text))

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self.get_general_text_embeddings([self._format_text(text) for text in texts])

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await self.aget_general_text_embeddings([self._format_text(text) for text in texts])

    def _format_query(self, query: str) -> str:
        return formatted(query, self.query_instruction, self._prefixes()[0])

    def _format_text(self, text: str) -> str:
        return formatted(text, self.text_instruction, self._prefixes()[1])

    def _prefixes(self) -> tuple[str, str]:
        return resolve_prefixes(
            self._resolved_name(),
            query_prefix=self.query_prefix,
            document_prefix=self.document_prefix,
            prefixes=self.prefixes,
        )

    def _batched(
        self, texts: list[str], embed: Callable[[list[str]], list[V]], *, show: bool
    ) -> list[V | Embedding]:
        texts = checked_texts(texts)
        vectors: list[V | Embedding] = []
        with progress(texts, show=show) as done:
            for batch in batches(texts, self.embed_batch_size):
                with locating(self._get_text_embeddings) as failures, failures.of(batch):
                    part = self._text_batch(list(batch.texts), embed)
                vectors += part
                done(batch.texts)
        return vectors

    async def _abatched(
        self, texts: list[str], embed: Callable[[list[str]], Awaitable[list[V]]], *, show: bool
    ) -> list[V | Embedding]:
        texts = checked_texts(texts)
        with progress(texts, show=show) as done:
            async with alocating(self._aget_text_embeddings) as failures:

                async def embed_batch(batch: Batch) -> list[V | Embedding]:
                    with failures.of(batch):
                        return await self._atext_batch(list(batch.texts), embed)

                parts = await map_tasks(
                    embed_batch,
                    batches(texts, self.embed_batch_size),
                    self._at_once(),
                    lambda batch: done(batch.texts),
                )
        return [vector for part in parts for vector in part]

    def _array(self, texts: list[str]) -> EmbeddingArray:
        request = self._embed_request([self._format_text(text) for text in texts])
        return self._counted(self.sync_client().embed_array(request))

    async def _aarray(self, texts: list[str]) -> EmbeddingArray:
        request = self._embed_request([self._format_text(text) for text in texts])
        return self._counted(await self.async_client().embed_array(request))

    def _text_batch(
        self, texts: list[str], embed: Callable[[list[str]], list[V]]
    ) -> list[V | Embedding]:
        with reported(self.callback_manager, self.to_payload(), texts) as report:
            self.sync_client().resolve_model(self.model_name, "embedding")
            keys = [self._vector_key("text", text) for text in texts]
            found = self._kept_vectors().find(keys)
            fresh: list[V] = []
            if gaps := missing(found):
                wait_for_rate(self)
                # Errors name positions among all texts, not among those that were missing.
                with placing(gaps):
                    fresh = embed([texts[place] for place in gaps])
                self._kept_vectors().keep([keys[place] for place in gaps], fresh)
            report.vectors = vectors = filled(found, fresh)
        return vectors

    async def _atext_batch(
        self, texts: list[str], embed: Callable[[list[str]], Awaitable[list[V]]]
    ) -> list[V | Embedding]:
        with reported(self.callback_manager, self.to_payload(), texts) as report:
            await self.async_client().resolve_model(self.model_name, "embedding")
            keys = [self._vector_key("text", text) for text in texts]
            found = await self._kept_vectors().afind(keys)
            fresh: list[V] = []
            if gaps := missing(found):
                await await_for_rate(self)
                with placing(gaps):
                    fresh = await embed([texts[place] for place in gaps])
                await self._kept_vectors().akeep([keys[place] for place in gaps], fresh)
            report.vectors = vectors = filled(found, fresh)
        return vectors

    def _vector_key(self, kind: Kind, text: str) -> str:
        """Return the cache key of a vector: everything that determines it."""
        sent = self._format_query(text) if kind == "query" else self._format_text(text)
        # A text that was cut has another vector, so the key includes whether it may be cut.
        whole = (
            (self.on_context_overflow == "error") if self.truncate is None else not self.truncate
        )
        by = [kind, self._resolved_name(), self.dimensions, whole, self._set_options()]
        by += self.extra_body, sent
        return json.dumps(by, ensure_ascii=False, sort_keys=True, default=repr)

    def _set_options(self) -> dict[str, Any]:
        return {**set_options(self), **self.ollama_additional_kwargs}

    def _resolved_name(self) -> str:
        name = self.model_name if self.model_name is not None else self.chosen_model("embedding")
        return "" if name is None else name

    def _kept_vectors(self) -> VectorCache:
        return VectorCache(self.embeddings_cache)

    def _embed_request(self, texts: Sequence[str]) -> EmbedRequest:
        return EmbedRequest(
            model=self.model_name,
            input=texts,
            dimensions=self.dimensions,
            truncate=self.truncate,
            on_context_overflow=self.on_context_overflow,
            options=self._set_options(),
            keep_alive=self.keep_alive,
            **self.request_fields(),
        )

    def _counted(self, answer: A) -> A:
        # Core's events have no count in older versions, so it is also kept here.
        self._usage_sum.add(answer.usage)
        count_for_event(answer.usage)
        return answer
