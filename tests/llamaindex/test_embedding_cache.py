"""Caches, events and rate limits around `OllamaEmbedding`, as core's own tests ask for them."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from faked import Network
from llama_embeds import Embedder, Vectors, vector_of
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.callbacks.schema import EventPayload
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
)
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index_instrumentation import get_dispatcher
from pydantic import PrivateAttr
from running import Run
from versions import needs

import llamaindex_ollama_ext._embedding_events as events_module
from llamaindex_ollama_ext import OllamaEmbedding
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import ServerError


class Events(BaseEventHandler):
    """Keep the embedding events."""

    _seen: list[Any] = PrivateAttr(default_factory=list)

    def handle(self, event: Any, **kwargs: Any) -> None:
        if isinstance(event, EmbeddingStartEvent | EmbeddingEndEvent):
            self._seen.append(event)

    @property
    def ends(self) -> list[Any]:
        return [event for event in self._seen if isinstance(event, EmbeddingEndEvent)]

    @property
    def starts(self) -> int:
        return len(self._seen) - len(self.ends)


@pytest.fixture
def events() -> Iterator[Events]:
    handler, root = Events(), get_dispatcher()
    root.add_event_handler(handler)
    yield handler
    root.event_handlers.remove(handler)


@pytest.fixture
def network() -> Vectors:
    return Vectors(prompt_eval_count=7)


@pytest.fixture
def embedder(run: Run, network: Vectors) -> Iterator[Any]:
    made: list[OllamaEmbedding] = []

    def make(model: str = "m", transport: httpx.MockTransport = network, **more: Any) -> Embedder:
        kwargs = {"transport": transport}
        made.append(OllamaEmbedding(model, client_kwargs=kwargs, max_retries=0, **more))
        return Embedder(run, made[-1])

    yield make
    for model in made:
        run(model.aclose() if run.is_async else model.close())


@pytest.mark.parametrize("method", ["get_query_embedding", "get_text_embedding"])
def test_a_cached_vector_sends_no_request(embedder: Any, network: Vectors, method: str) -> None:
    """The second call for a text gives the same vector without a request."""
    embed = embedder(embeddings_cache=SimpleKVStore())
    assert getattr(embed, method)("hello") == getattr(embed, method)("hello")
    assert network.inputs == [["hello"]]


def test_only_new_texts_of_a_batch_are_embedded(embedder: Any, network: Vectors) -> None:
    """What is in the cache is left out of the request, and the order stays."""
    embed = embedder(embeddings_cache=SimpleKVStore())
    embed.get_text_embedding("b")
    assert embed.get_text_embedding_batch(["a", "b", "c"]) == [vector_of(t) for t in "abc"]
    assert embed.get_text_embedding_batch(["c", "a"]) == [vector_of(t) for t in "ca"]
    assert network.inputs == [["b"], ["a", "c"]]


def test_arrays_and_lists_share_the_cache_and_the_events(
    embedder: Any, network: Vectors, events: Events
) -> None:
    """What is kept and told of are lists of floats, be the result an array."""
    debug, store = LlamaDebugHandler(print_trace_on_end=False), SimpleKVStore()
    embed = embedder(embeddings_cache=store, callback_manager=CallbackManager([debug]))
    embed.get_text_embedding("b")
    vectors = [vector_of(text) for text in "abc"]
    assert embed.get_text_embedding_batch_array(["a", "b", "c"]).tolist() == vectors
    assert embed.get_text_embedding_batch(["c", "a"]) == [vector_of(t) for t in "ca"]
    assert network.inputs == [["b"], ["a", "c"]]
    assert json.loads(json.dumps(store.to_dict())) == store.to_dict()
    assert [end.embeddings for end in events.ends][1] == vectors
    ends = debug.get_event_pairs(CBEventType.EMBEDDING)
    payload = ends[1][1].payload
    assert payload is not None
    assert payload[EventPayload.EMBEDDINGS] == vectors


def test_query_and_text_never_share_an_entry(embedder: Any, network: Vectors) -> None:
    """D15: the same words as query and as text are two vectors, with instructions or without."""
    for instructions in ({}, {"query_instruction": "q:", "text_instruction": "t:"}):
        embed = embedder(embeddings_cache=SimpleKVStore(), **instructions)
        embed.get_query_embedding("same")
        embed.get_text_embedding("same")
    assert network.inputs == [["same"], ["same"], ["q: same"], ["t: same"]]


@pytest.mark.parametrize(
    "other",
    [
        {"model": "n"},
        {"dimensions": 1},
        {"text_instruction": "t:"},
        {"document_prefix": "d:"},
        {"num_ctx": 8},
        {"ollama_additional_kwargs": {"num_ctx": 8}},
        {"on_context_overflow": "error"},
        {"truncate": False},
        {"extra_body": {"dimensions": 8}},
    ],
)
def test_models_can_share_a_store(embedder: Any, network: Vectors, other: dict[str, Any]) -> None:
    """D15: what makes a vector another one makes its entry another one."""
    store = SimpleKVStore()
    embedder(embeddings_cache=store).get_text_embedding("same")
    embedder(embeddings_cache=store, **other).get_text_embedding("same")
    embedder(embeddings_cache=store).get_text_embedding("same")
    assert len(network.inputs) == 2


@pytest.mark.parametrize(
    "same",
    [{"truncate": True}, {"on_context_overflow": "truncate"}, {"keep_alive": 5}, {"timeout": 9}],
)
def test_settings_that_do_not_change_the_vector_share_a_cache_entry(
    embedder: Any, network: Vectors, same: dict[str, Any]
) -> None:
    """How a text that is too long is told of, and how long one waits, is no part of its vector."""
    store = SimpleKVStore()
    embedder(embeddings_cache=store).get_text_embedding("same")
    embedder(embeddings_cache=store, **same).get_text_embedding("same")
    assert len(network.inputs) == 1


def test_a_chosen_model_is_part_of_the_entry(run: Run) -> None:
    """A model that is chosen from the server's list is known before the cache is asked."""
    store = SimpleKVStore()
    with EmbeddedOllama() as server:
        for model in (None, "demo-embed:latest"):
            embed = Embedder(run, OllamaEmbedding(model, server.url, embeddings_cache=store))
            for method in ("get_query_embedding", "get_text_embedding"):
                getattr(embed, method)("same")
        asked = [request for request in server.requests if request.path == "/api/embed"]
    assert len(asked) == 2


def test_entries_lie_where_core_puts_them(embedder: Any) -> None:
    """Other readers of the store find vectors in core's collection and shape."""
    store = SimpleKVStore()
    embed = embedder(embeddings_cache=store)
    embed.get_query_embedding("a")
    embed.get_text_embedding_batch(["b", "c"])
    entries = list(store.get_all("embeddings").values())
    assert entries == [{"embedding": vector_of(text)} for text in "abc"]


class TwoWays(SimpleKVStore):
    """A store that remembers which of its two ways it was used in."""

    ways: set[str] = set()  # noqa: RUF012 - each test clears it

    def get(self, *args: Any, **kwargs: Any) -> Any:
        self.ways.add("sync")
        return super().get(*args, **kwargs)

    def put(self, *args: Any, **kwargs: Any) -> None:
        self.ways.add("sync")
        super().put(*args, **kwargs)

    async def aget(self, *args: Any, **kwargs: Any) -> Any:
        self.ways.add("async")
        return super().get(*args, **kwargs)

    async def aput(self, *args: Any, **kwargs: Any) -> None:
        self.ways.add("async")
        super().put(*args, **kwargs)


def test_a_store_is_used_as_the_caller_waits(embedder: Any, run: Run) -> None:
    """Async methods use the store's async methods: a store over a network must not block a loop."""
    store = TwoWays()
    store.ways.clear()
    embed = embedder(embeddings_cache=store)
    embed.get_query_embedding("a")
    embed.get_text_embedding("b")
    embed.get_text_embedding_batch(["c"])
    assert store.ways == {"async" if run.is_async else "sync"}


def test_entries_of_core_are_read(embedder: Any, network: Vectors) -> None:
    """Core's own models store a vector under a name of its own making."""
    store = SimpleKVStore()
    embed = embedder(embeddings_cache=store)
    embed.get_text_embedding("a")
    (key,) = store.get_all("embeddings")
    store.put(key, {"0f8e": [5.0]}, "embeddings")
    assert embed.get_text_embedding("a") == [5.0]


def test_an_empty_cache_entry_counts_as_missing(embedder: Any, network: Vectors) -> None:
    """What another program left without a vector is embedded anew."""
    store = SimpleKVStore()
    embed = embedder(embeddings_cache=store)
    embed.get_text_embedding("a")
    (key,) = store.get_all("embeddings")
    store.put(key, {}, "embeddings")
    assert embed.get_text_embedding("a") == vector_of("a")
    assert len(network.inputs) == 2


def test_a_cache_of_another_kind_is_refused() -> None:
    """Core's check of the store stands."""
    with pytest.raises((TypeError, ValueError), match="BaseKVStore"):
        OllamaEmbedding("m", embeddings_cache={})


class Limiter:
    """A rate limiter that counts."""

    def __init__(self) -> None:
        self.acquired = 0

    def acquire(self) -> None:
        self.acquired += 1

    async def async_acquire(self) -> None:
        self.acquired += 1


@needs("llama-index-core", "0.14.16", "models have no rate_limiter")
def test_the_rate_limiter_is_asked_once_a_request(embedder: Any, network: Vectors) -> None:
    """Each request costs one place; what the cache knows costs none."""
    limiter = Limiter()
    embed = embedder(rate_limiter=limiter, embed_batch_size=2, embeddings_cache=SimpleKVStore())
    for _ in range(2):
        embed.get_query_embedding("a")
        embed.get_text_embedding("a")
        embed.get_text_embedding_batch(["b", "c", "d"])
    assert limiter.acquired == len(network.inputs) == 4


def test_each_batch_is_reported_once(embedder: Any, events: Events) -> None:
    """One start and one end event a batch, to callbacks and to instrumentation, texts in order."""
    debug = LlamaDebugHandler(print_trace_on_end=False)
    embed = embedder(callback_manager=CallbackManager([debug]), embed_batch_size=2)
    embed.get_query_embedding("q")
    embed.get_text_embedding_batch(["a", "b", "c"])
    assert (events.starts, len(events.ends)) == (3, 3)
    assert [event.chunks for event in events.ends] == [["q"], ["a", "b"], ["c"]]
    assert [event.embeddings[0] for event in events.ends] == [vector_of(t) for t in "qac"]
    pairs = debug.get_event_pairs(CBEventType.EMBEDDING)
    assert [pair[1].payload[EventPayload.CHUNKS] for pair in pairs] == [["q"], ["a", "b"], ["c"]]
    vectors = [pair[1].payload[EventPayload.EMBEDDINGS] for pair in pairs]
    assert vectors == [[vector_of(text) for text in texts] for texts in ("q", "ab", "c")]
    shown = pairs[0][0].payload[EventPayload.SERIALIZED]
    assert shown["model_name"] == "m"


def test_a_chosen_model_is_named_in_events(run: Run, events: Events) -> None:
    """Traces show which model of the server's list was taken, once that is known."""
    with EmbeddedOllama() as server:
        embed = Embedder(run, OllamaEmbedding(base_url=server.url))
        for text in "ab":
            embed.get_text_embedding(text)
        run(embed.model.aclose() if run.is_async else embed.model.close())
    starts = [event for event in events._seen if isinstance(event, EmbeddingStartEvent)]
    assert [event.model_dict["model_name"] for event in starts] == [None, "demo-embed:latest"]


def test_a_failure_ends_the_callback_event(embedder: Any, events: Events) -> None:
    """Callbacks see a failed embedding end, with its exception."""
    debug = LlamaDebugHandler(print_trace_on_end=False)
    failing = Network(httpx.Response(500, json={"error": "boom"}))
    embed = embedder(transport=failing, callback_manager=CallbackManager([debug]))
    with pytest.raises(ServerError):
        embed.get_text_embedding_batch(["a"])
    ((_, end),) = debug.get_event_pairs(CBEventType.EMBEDDING)
    assert isinstance(end.payload[EventPayload.EXCEPTION], ServerError)
    assert events.ends == []


class CountedEndEvent(EmbeddingEndEvent):
    """The end event as newer versions of core have it."""

    token_count: int | None = None


def test_tokens_are_reported_where_core_reads_them(
    embedder: Any, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D15: with a core that has a place for it, each event has the server's count."""
    monkeypatch.setattr(events_module, "EmbeddingEndEvent", CountedEndEvent)
    monkeypatch.setattr(events_module, "_TAKES_TOKENS", True)
    embed = embedder(embed_batch_size=1, embeddings_cache=SimpleKVStore())
    embed.get_query_embedding("a")
    embed.get_text_embedding_batch(["a", "b"])
    embed.get_text_embedding("a")
    assert [event.token_count for event in events.ends] == [7, 7, 7, None]


class Twice(OllamaEmbedding):
    """Embed each batch by two requests."""

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return [self.get_general_text_embedding(text) for text in texts]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return [await self.aget_general_text_embedding(text) for text in texts]


def test_exactly_the_tokens_of_all_requests_are_reported(
    run: Run, network: Vectors, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event counts every request made for it, and none that comes after it."""
    monkeypatch.setattr(events_module, "EmbeddingEndEvent", CountedEndEvent)
    monkeypatch.setattr(events_module, "_TAKES_TOKENS", True)
    embed = Embedder(run, Twice("m", client_kwargs={"transport": network}))
    embed.get_text_embedding_batch(["a", "b"])
    embed.get_general_text_embedding("c")
    assert [event.token_count for event in events.ends] == [14]
    run(embed.model.aclose() if run.is_async else embed.model.close())
