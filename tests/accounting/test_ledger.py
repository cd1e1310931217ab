"""A ledger counts every call exactly once, whatever becomes of it."""

import asyncio
import contextlib
import copy
import pickle
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from faked import Network, Pieces, status
from pydantic import BaseModel
from recorded import recording
from running import Run

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import (
    AsyncClient,
    CallRecord,
    ChatRequest,
    ContextTruncatedWarning,
    EmbedRequest,
    GenerateRequest,
    Message,
    ModelTotals,
    Price,
    RetryPolicy,
    UsageLedger,
)
from ollama_transport.wire.native import calls as native
from ollama_transport.wire.values.usage import Usage

HELLO = ChatRequest("m", [Message("user", "Hello")])
AT_ONCE = RetryPolicy(max_retries=2, first_wait_s=0)


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as running:
        yield running


@pytest.fixture
def ledger() -> UsageLedger:
    return UsageLedger()


def counted(ledger: UsageLedger) -> ModelTotals:
    return ledger.snapshot().total


def test_a_whole_answer_is_one_call(run: Run, ledger: UsageLedger) -> None:
    """The tokens are those that the server told."""
    run(run.client(transport=Network("chat/tiny-chat/hello-whole"), meters=[ledger]).chat(HELLO))
    (raw,) = recording("chat/tiny-chat/hello-whole").objects
    total = counted(ledger)
    assert (total.requests, total.failures, total.estimated) == (1, 0, 0)
    assert total.prompt_tokens == raw["prompt_eval_count"]
    assert total.completion_tokens == raw["eval_count"]
    assert total.generation_seconds == pytest.approx(raw["eval_duration"] / 1e9)


def test_a_stream_is_one_call(run: Run, ledger: UsageLedger) -> None:
    """It counts as the same answer does whole."""
    network = Network("chat/tiny-chat/hello-stream")
    run.lines(run.client(transport=network, meters=[ledger]).chat_stream(HELLO))
    last = recording("chat/tiny-chat/hello-stream").objects[-1]
    total = counted(ledger)
    assert (total.requests, total.cancelled) == (1, 0)
    assert total.total_tokens == last["prompt_eval_count"] + last["eval_count"]


@pytest.mark.parametrize("suffix", ["", "/v1"])
def test_every_kind_of_call_counts(
    run: Run, ledger: UsageLedger, server: EmbeddedOllama, suffix: str
) -> None:
    """Chats, completions and embeddings of either wire are one call each."""
    client = run.client(server.url + suffix, meters=[ledger])
    run(client.chat(ChatRequest("demo", [Message("user", "Hi")])))
    run(client.generate(GenerateRequest("demo", "Hi")))
    run(client.embed(EmbedRequest("demo-embed", ["a", "b"])))
    totals = ledger.snapshot().models
    assert (totals["demo"].requests, totals["demo-embed"].requests) == (2, 1)
    assert totals["demo"].completion_tokens > 0
    assert totals["demo-embed"].prompt_tokens > 0


def test_the_legacy_embedding_counts(run: Run, ledger: UsageLedger, server: EmbeddedOllama) -> None:
    """An old endpoint costs as well."""
    run(run.client(server.url, meters=[ledger]).embeddings("demo-embed", "a"))
    assert counted(ledger).requests == 1


def test_requests_without_tokens_are_not_counted_as_calls(
    run: Run, ledger: UsageLedger, server: EmbeddedOllama
) -> None:
    """Lists, descriptions, loading and unloading do not count."""
    client = run.client(server.url, meters=[ledger])
    run(client.list())
    run(client.show("demo"))
    run(client.load("demo"))
    run(client.unload("demo"))
    assert ledger.snapshot().models == {}


def test_a_call_that_is_tried_again_counts_once(run: Run, ledger: UsageLedger) -> None:
    """Two refusals and an answer are one call without a failure."""
    network = Network(status(503, "busy"), status(502), "chat/tiny-chat/hello-whole")
    run(run.client(transport=network, meters=[ledger], retry=AT_ONCE).chat(HELLO))
    assert len(network.requests) == 3
    assert (counted(ledger).requests, counted(ledger).failures) == (1, 0)


def test_a_prompt_that_had_to_be_cut_counts_once(run: Run, ledger: UsageLedger) -> None:
    """The refusal that tells of the cut is no call of its own."""
    network = Network("errors/overflow-refused-native", "chat/tiny-chat/hello-whole")
    client = run.client(transport=network, meters=[ledger])
    request = ChatRequest("m", HELLO.messages, on_context_overflow="warn")
    with pytest.warns(ContextTruncatedWarning):
        run(client.chat(request))
    assert len(network.requests) == 2
    assert (counted(ledger).requests, counted(ledger).failures) == (1, 0)


def test_a_refused_call_is_a_failure(run: Run, ledger: UsageLedger) -> None:
    """It is counted, without tokens."""
    client = run.client(transport=Network("errors/missing-model"), meters=[ledger])
    run.thrown(client.chat, HELLO)
    assert counted(ledger) == ModelTotals(1, 1, seconds=counted(ledger).seconds)


def test_a_stream_that_breaks_is_a_failure_with_what_came(run: Run, ledger: UsageLedger) -> None:
    """The pieces that came were paid for: they are estimated, and marked so."""
    chunks = recording("chat/tiny-chat/hello-stream").chunks[:3]
    broken = httpx.Response(200, stream=Pieces(chunks, httpx.ReadError("gone")))
    client = run.client(transport=Network(broken), meters=[ledger])
    lines, error = run.until_error(client.chat_stream(HELLO))
    assert error is not None
    total = counted(ledger)
    assert (total.requests, total.failures, total.estimated) == (1, 1, 1)
    assert total.completion_tokens == len(lines) > 0
    assert total.prompt_tokens > 0


def test_a_stream_that_is_left_is_cancelled(
    run: Run, ledger: UsageLedger, server: EmbeddedOllama
) -> None:
    """Closing a stream early is no failure."""
    client = run.client(server.url, meters=[ledger])
    run.take(client.chat_stream(ChatRequest("demo", [Message("user", "Hi")])), 2)
    total = counted(ledger)
    assert (total.requests, total.failures, total.cancelled, total.estimated) == (1, 0, 1, 1)


def test_a_stream_that_is_left_after_its_end_is_complete(run: Run, ledger: UsageLedger) -> None:
    """Who stops at the last line has read everything."""
    found = recording("chat/tiny-chat/hello-stream")
    client = run.client(transport=Network("chat/tiny-chat/hello-stream"), meters=[ledger])
    run.take(client.chat_stream(HELLO), len(found.objects))
    assert (counted(ledger).cancelled, counted(ledger).estimated) == (0, 0)


async def test_a_cancelled_task_is_not_a_failure(
    ledger: UsageLedger, server: EmbeddedOllama
) -> None:
    """A task that is cancelled while it waits counts once, as cancelled."""
    server.script("POST", "/api/chat", Reply.json({}, gate=Gate()))
    async with AsyncClient(server.url, meters=[ledger]) as client:
        task = asyncio.create_task(client.chat(HELLO))
        await asyncio.to_thread(server.wait_for_requests, 1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    total = counted(ledger)
    assert (total.requests, total.failures, total.cancelled) == (1, 0, 1)


class City(BaseModel):
    name: str


def test_one_ledger_serves_both_frameworks(
    run: Run, ledger: UsageLedger, server: EmbeddedOllama
) -> None:
    """Chats, streams, structured answers and embeddings of both add up, once each."""
    where: dict[str, Any] = {"base_url": server.url, "ledger": ledger}
    with ChatOllama(model="demo", **where) as chat, OllamaLLM(model="demo", **where) as text:
        chat.invoke("Hi")
        list(chat.stream("Hi"))
        chat.with_structured_output(City).invoke("Name a city")
        text.invoke("Hi")
    assert counted(ledger).requests == 4
    with Ollama("demo", **where) as llm:
        llm.complete("Hi")
        list(llm.stream_complete("Hi"))
        llm.as_structured_llm(City).complete("Name a city")
    assert counted(ledger).requests == 7
    with OllamaEmbeddings(model="demo-embed", **where) as first:
        first.embed_documents(["a", "b"])
    with OllamaEmbedding("demo-embed", **where) as second:
        second.get_text_embedding_batch(["a", "b"])
    assert ledger.snapshot().models["demo-embed"].requests == 2
    generating = ("/api/chat", "/api/generate", "/api/embed")
    assert counted(ledger).requests == sum(r.path in generating for r in server.requests)


def test_an_objects_own_total_agrees_with_the_ledger(
    ledger: UsageLedger, server: EmbeddedOllama
) -> None:
    """`usage_total` of an embedding object is what the ledger counted of it."""
    where: dict[str, Any] = {"base_url": server.url, "ledger": ledger}
    with OllamaEmbeddings(model="demo-embed", batch_size=1, **where) as first:
        first.embed_documents(["one text", "another"])
        assert first.usage_total.prompt_tokens == counted(ledger).prompt_tokens
    ledger.reset()
    with OllamaEmbedding("demo-embed", embed_batch_size=1, **where) as second:
        second.get_text_embedding_batch(["one text", "another"])
        assert second.usage_total.prompt_tokens == counted(ledger).prompt_tokens


def record(model: str = "m", usage: Usage | None = None, **more: Any) -> CallRecord:
    return CallRecord(model, "/api/chat", 2.0, usage, **more)


def add(ledger: UsageLedger, entry: CallRecord) -> None:
    ledger.end(native.chat(HELLO), entry)


def test_nothing_is_lost_between_threads(ledger: UsageLedger) -> None:
    """Totals are right when many threads count at once."""
    entry = record(usage=Usage(3, 4))
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(500):
            add(ledger, entry)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(ledger).requests == 4000
    assert counted(ledger).total_tokens == 28000


@pytest.mark.parametrize(("priced", "asked"), [("m", "m:latest"), ("m:latest", "m"), ("m", "m")])
def test_a_price_is_found_with_and_without_latest(priced: str, asked: str) -> None:
    """A model's default tag makes no difference to its price."""
    ledger = UsageLedger({priced: Price(prompt=1.0, completion=10.0)})
    add(ledger, record(asked, Usage(1_000_000, 500_000)))
    assert counted(ledger).cost == pytest.approx(6.0)


def test_speed_is_computed_from_the_reported_generation_time(ledger: UsageLedger) -> None:
    """Tokens a second are of the generation; a call that tells none counts with its whole time."""
    add(ledger, record("told", Usage(10, 30, completion_duration_s=0.5)))
    add(ledger, record("untold", Usage(10, 30)))
    totals = ledger.snapshot().models
    assert totals["told"].tokens_per_second == pytest.approx(60)
    assert totals["untold"].tokens_per_second == pytest.approx(15)
    assert ModelTotals().tokens_per_second is None


def test_a_snapshot_stays_as_it_is(ledger: UsageLedger) -> None:
    """What was read does not change when more is counted; a reset begins at 0."""
    add(ledger, record())
    before = ledger.snapshot()
    add(ledger, record())
    assert (before.total.requests, counted(ledger).requests) == (1, 2)
    assert ledger.reset().total.requests == 2
    assert counted(ledger).requests == 0


def test_a_call_that_was_forbidden_is_not_counted(ledger: UsageLedger) -> None:
    """Nothing was sent."""
    add(ledger, record(sent=False))
    assert counted(ledger).requests == 0


def test_pandas_gets_a_row_for_each_model(
    ledger: UsageLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are handed to pandas by the name of their model (a stand-in: it is optional)."""
    given: dict[str, Any] = {}

    def from_dict(rows: Any, orient: str) -> str:
        given.update(rows=rows, orient=orient)
        return "frame"

    frame = SimpleNamespace(DataFrame=SimpleNamespace(from_dict=from_dict))
    monkeypatch.setitem(sys.modules, "pandas", frame)  # type: ignore[arg-type] # a stand-in
    add(ledger, record("a", Usage(1, 2)))
    add(ledger, record("b"))
    assert ledger.to_pandas() == "frame"
    assert given["orient"] == "index"
    assert {name: row["requests"] for name, row in given["rows"].items()} == {"a": 1, "b": 1}
    assert given["rows"]["a"]["total_tokens"] == 3


def test_missing_pandas_names_what_to_install(
    ledger: UsageLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing package is named."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        ledger.to_pandas()


def test_copies_of_a_model_go_on_in_one_book(ledger: UsageLedger) -> None:
    """A deep copy is the same ledger, and a pickle takes its totals along."""
    add(ledger, record())
    assert copy.deepcopy(ledger) is ledger
    arrived = pickle.loads(pickle.dumps(ledger))
    add(arrived, record())
    assert (counted(ledger).requests, counted(arrived).requests) == (1, 2)
