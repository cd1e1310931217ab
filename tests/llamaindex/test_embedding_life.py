"""One `OllamaEmbedding` in many loops, threads and processes; how much it asks at once; copies."""

import asyncio
import copy
import json
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from llama_embeds import Embedder, Vectors, vector_of
from running import Run

from llamaindex_ollama_ext import OllamaEmbedding
from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import ConfigError, OllamaTimeoutError, ServerError

TEXTS = [f"text {place}" for place in range(40)]


class Crowd(httpx.MockTransport):
    """A server that answers once nobody else comes, the last ones first, and counts the crowd."""

    def __init__(self, failing: str | None = None) -> None:
        super().__init__(self._serve)
        self.now = self.most = self.requests = 0
        self.begun = asyncio.Event()
        self.failing = failing

    async def _serve(self, request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["input"]
        self.now += 1
        self.requests += 1
        self.begun.set()
        self.most = max(self.most, self.now)
        # Each turn of the loop lets every other request come forward; earlier texts wait longer.
        for _ in range(200 - 2 * int(texts[0].split()[1])):
            await asyncio.sleep(0)
        self.now -= 1
        if self.failing in texts:
            return httpx.Response(500, json={"error": "boom"})
        return httpx.Response(200, json={"embeddings": [vector_of(text) for text in texts]})


@pytest.fixture
def model_on() -> Iterator[Any]:
    made: list[OllamaEmbedding] = []

    def make(transport: httpx.AsyncBaseTransport, **settings: Any) -> OllamaEmbedding:
        settings = {"max_retries": 0, "embed_batch_size": 2, **settings}
        made.append(OllamaEmbedding("m", client_kwargs={"transport": transport}, **settings))
        return made[-1]

    yield make
    for model in made:
        model.close()


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({}, 4),
        ({"num_workers": 1}, 1),
        ({"num_workers": 7}, 7),
        ({"max_concurrency": 2}, 2),
        ({"max_concurrency": 3, "num_workers": 9}, 3),
    ],
)
async def test_a_batch_asks_a_bounded_number_at_once(
    model_on: Any, settings: dict[str, int], most: int
) -> None:
    """D15: 20 requests never are under way together, where the peer sends all; order is kept."""
    crowd = Crowd()
    vectors = await model_on(crowd, **settings).aget_text_embedding_batch(TEXTS)
    assert vectors == [vector_of(text) for text in TEXTS]
    assert (crowd.most, crowd.requests) == (most, 20)


async def test_several_batches_share_the_bound(model_on: Any) -> None:
    """D15: two indexes that embed at the same time ask no more than one, where a bound is set."""
    crowd = Crowd()
    model = model_on(crowd, max_concurrency=4)
    await asyncio.gather(*(model.aget_text_embedding_batch(TEXTS) for _ in range(3)))
    assert crowd.most == 4


@pytest.mark.parametrize("settings", [{}, {"num_workers": 2}, {"max_concurrency": 2}])
async def test_a_blocking_call_does_not_wait_for_its_own_loop(
    server: EmbeddedOllama, settings: dict[str, int]
) -> None:
    """D3: core's retrievers block in async code; a batch under way there must not stop them."""
    gate = Gate()
    held = Reply.json({"embeddings": [[1.0]]}, gate=gate)
    server.script("POST", "/api/embed", *[held] * 4)
    async with OllamaEmbedding("demo-embed", server.url, embed_batch_size=1, **settings) as model:
        batch = asyncio.create_task(model.aget_text_embedding_batch(TEXTS[:4]))
        under_way = model._at_once()
        assert await asyncio.to_thread(server.wait_for_requests, min(4, under_way))
        server.reset()
        assert len(model.get_query_embedding("now")) == 256
        gate.set()
        assert len(await batch) == 4


async def test_the_first_failure_stops_the_rest(model_on: Any) -> None:
    """A failure is raised, and requests that were not sent yet never are."""
    crowd = Crowd(failing="text 5")
    with pytest.raises(ServerError, match="boom"):
        await model_on(crowd).aget_text_embedding_batch(TEXTS)
    assert crowd.requests < 12
    assert crowd.now <= 4


class Held(httpx.MockTransport):
    """A server that holds all requests until it is let go; one text fails at once."""

    def __init__(self, failing: str | None = None) -> None:
        super().__init__(self._serve)
        self.failing = failing
        self.order: list[str] = []
        self.now = 0
        self.go, self.full = asyncio.Event(), asyncio.Event()

    async def _serve(self, request: httpx.Request) -> httpx.Response:
        (text,) = json.loads(request.content)["input"]
        self.order.append(text)
        if text == self.failing:
            return httpx.Response(500, json={"error": "boom"})
        self.now += 1
        if self.now == 4:
            self.full.set()
        try:
            await self.go.wait()
        finally:
            self.now -= 1
        return httpx.Response(200, json={"embeddings": [vector_of(text)]})


async def test_a_failure_does_not_wait_for_slower_batches(model_on: Any) -> None:
    """D15: an error comes at once, though the batch before it never answers; nothing goes on."""
    held = Held(failing="text 1")
    model = model_on(held, embed_batch_size=1)
    with pytest.raises(ServerError, match="boom"):
        await asyncio.wait_for(model.aget_text_embedding_batch(TEXTS), 30)
    assert len(held.order) <= 4
    assert held.now == 0


async def test_a_query_comes_in_between(model_on: Any) -> None:
    """Whoever asks while thousands of texts are embedded waits for a place, not for all of them."""
    held = Held()
    model = model_on(held, embed_batch_size=1)
    ingest = asyncio.create_task(model.aget_text_embedding_batch(TEXTS))
    await held.full.wait()
    query = asyncio.create_task(model.aget_query_embedding("query"))
    for _ in range(100):
        await asyncio.sleep(0)
    held.go.set()
    await asyncio.gather(ingest, query)
    assert held.order.index("query") <= 8


async def test_a_cancelled_batch_stops(model_on: Any) -> None:
    """Cancelling the caller cancels what is under way."""
    crowd = Crowd()
    task = asyncio.create_task(model_on(crowd).aget_text_embedding_batch(TEXTS))
    await crowd.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    sent = crowd.requests
    await asyncio.sleep(0)
    assert crowd.requests == sent


async def test_async_methods_leave_the_loop_free(model_on: Any) -> None:
    """Every async method waits without blocking: the answer comes from the same loop."""
    come = asyncio.Event()

    async def serve(request: httpx.Request) -> httpx.Response:
        await come.wait()
        texts = json.loads(request.content)["input"]
        return httpx.Response(200, json={"embeddings": [vector_of(text) for text in texts]})

    model = model_on(httpx.MockTransport(serve))
    calls = [
        model.aget_query_embedding("a"),
        model.aget_text_embedding("a"),
        model.aget_general_text_embedding("a"),
        model._aget_text_embeddings(["a"]),
    ]
    waiting = asyncio.gather(*calls)
    await asyncio.sleep(0)
    come.set()
    assert await waiting == [vector_of("a")] * 3 + [[vector_of("a")]]


@pytest.mark.parametrize("method", ["get_query_embedding", "get_text_embedding"])
def test_a_silent_server_is_not_waited_for_for_ever(
    server: EmbeddedOllama, run: Run, method: str
) -> None:
    """D2: embeddings have a timeout, and the error says what to raise; the peer hangs."""
    server.script("POST", "/api/embed", Reply.json({}, gate=Gate()))
    model = OllamaEmbedding("demo-embed", server.url, timeout=0.2)
    with pytest.raises(OllamaTimeoutError, match="raise the timeout"):
        getattr(Embedder(run, model), method)("x")
    run(model.aclose() if run.is_async else model.close())
    assert OllamaEmbedding("m").server_settings().timeouts.read_s == 300
    assert OllamaEmbedding("m", timeout=None).server_settings().timeouts.read_s is None


def test_a_busy_server_is_asked_again(server: EmbeddedOllama, run: Run) -> None:
    """D13: 503 passes; the vectors come with the second try."""
    busy = Reply.error(503, "server busy", headers={"retry-after": "0"})
    server.script("POST", "/api/embed", busy)
    model = OllamaEmbedding("demo-embed", server.url)
    assert len(Embedder(run, model).get_text_embedding_batch(["a", "b"])) == 2
    run(model.aclose() if run.is_async else model.close())


def test_progress_is_shown_on_request(model_on: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A bar of texts, not of requests, runs to its end in both ways of calling."""
    model = model_on(Vectors())
    model.get_text_embedding_batch(TEXTS, show_progress=True)
    asyncio.run(model.aget_text_embedding_batch(TEXTS, show_progress=True))
    # A slow machine sees a bar drawn again at its end.
    bars = capsys.readouterr().err.strip("\n").split("\n")
    assert ["40/40 " in bar.rpartition("\r")[2] for bar in bars] == [True, True]


def test_one_model_in_many_loops(server: EmbeddedOllama) -> None:
    """D3: asyncio.run after asyncio.run works on one object, where the peer's loop was closed."""
    with OllamaEmbedding("demo-embed", server.url) as model:
        vectors = [asyncio.run(model.aget_query_embedding("same")) for _ in range(3)]
        assert vectors[0] == vectors[1] == vectors[2] == model.get_query_embedding("same")


def test_one_model_in_many_threads(server: EmbeddedOllama) -> None:
    """D3: threads share one object, some of them with loops of their own."""
    with OllamaEmbedding("demo-embed", server.url) as model:
        expected = {text: model.get_text_embedding(text) for text in TEXTS[:8]}
        together = threading.Barrier(8)

        def embed(text: str) -> list[float]:
            together.wait()
            if int(text[-1]) % 2:
                return asyncio.run(model.aget_text_embedding(text))
            return model.get_text_embedding(text)

        with ThreadPoolExecutor(8) as pool:
            assert dict(zip(expected, pool.map(embed, expected), strict=True)) == expected


def full_model(url: str | None = None) -> OllamaEmbedding:
    return OllamaEmbedding(
        "demo-embed",
        url,
        embed_batch_size=3,
        dimensions=32,
        query_instruction="q:",
        document_prefix="d: ",
        truncate=True,
        keep_alive="5m",
        num_ctx=512,
        on_context_overflow="error",
        client_kwargs={"headers": {"X-Tenant": "7"}, "timeout": 12.5, "verify": True},
    )


def round_trips(model: OllamaEmbedding) -> list[OllamaEmbedding]:
    return [
        OllamaEmbedding.from_dict(model.to_dict()),
        OllamaEmbedding.from_json(model.to_json()),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        model.model_copy(),
    ]


@pytest.mark.parametrize("way", range(5), ids=["dict", "json", "pickle", "deepcopy", "copy"])
def test_copies_ask_as_the_model_asks(server: EmbeddedOllama, way: int) -> None:
    """D15: headers, timeout and all settings survive, also after the model was used."""
    with full_model(server.url) as model:
        vector = model.get_query_embedding("hello")
        with round_trips(model)[way] as other:
            assert other.to_dict() == model.to_dict()
            assert other.get_query_embedding("hello") == vector
        first, second = server.requests
        assert first.headers["x-tenant"] == second.headers["x-tenant"] == "7"
        assert first.body == second.body
        assert other.server_settings() == model.server_settings()
        assert other.server_settings().timeouts.read_s == 12.5


@pytest.mark.parametrize(
    "secret",
    [
        {"base_url": "http://user:hunter2@localhost:1"},
        {"client_kwargs": {"headers": {"Authorization": "Bearer hunter2"}}},
        {"api_key": "hunter2"},
    ],
    ids=["url", "header", "key"],
)
def test_secrets_stay_behind(secret: dict[str, Any]) -> None:
    """D16: neither dump, repr, payload nor pickle shows a key; a pickle that lost one says so."""
    model = OllamaEmbedding("m", **secret)
    shown = [model.to_json(), repr(model), str(model.to_payload()), str(model.to_dict())]
    assert not [text for text in shown if "hunter2" in text]
    data = pickle.dumps(model)
    assert b"hunter2" not in data
    with pytest.raises(ConfigError, match="OLLAMA_API_KEY"):
        pickle.loads(data).get_query_embedding("x")


def test_making_one_does_nothing() -> None:
    """A model of a server that is not there is made, dumped and copied without asking it."""
    model = OllamaEmbedding("m", "http://127.0.0.1:1")
    assert copy.deepcopy(model).to_payload() == model.to_payload()


def test_dumps_contain_no_runtime_state(model_on: Any) -> None:
    """Using a model does not change its dump, by which pipelines know what they embedded."""
    model = model_on(Vectors(prompt_eval_count=3))
    before = model.to_json()
    model.get_text_embedding("a")
    assert model.to_json() == before
