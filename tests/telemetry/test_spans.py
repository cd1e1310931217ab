"""One span for each call, by the GenAI semantic conventions, however the call ends."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from otel_sdk import Recorded, recording_calls
from running import Run

from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Gate, Reply
from ollama_transport import (
    AsyncClient,
    Budget,
    BudgetExceededError,
    ChatRequest,
    EmbedRequest,
    GenerateRequest,
    Message,
    ModelNotFoundError,
    OllamaError,
    StreamError,
)

OPTIONS = {"temperature": 0.5, "top_p": 0.9, "top_k": 20, "seed": 7, "num_predict": 64}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
NAMES = {"": "ollama", "/v1": "openai"}


def chat(text: str = "Hello", **how: Any) -> ChatRequest:
    return ChatRequest("demo", [Message("user", text)], **how)


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedOllama]:
    abilities = ("completion", "tools", "thinking")
    models = [
        EmbeddedModel("demo", capabilities=abilities),
        EmbeddedModel("demo-embed", capabilities=("embedding",)),
    ]
    with EmbeddedOllama(models) as server:
        yield server


@pytest.fixture
def server(running: EmbeddedOllama) -> EmbeddedOllama:
    running.reset()
    return running


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with recording_calls() as found:
        yield found


@pytest.fixture(params=["", "/v1"], ids=["native", "openai"])
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ids(span: ReadableSpan) -> str:
    held = span.context
    assert held is not None
    return f"00-{held.trace_id:032x}-{held.span_id:016x}"


def test_a_whole_answer(run: Run, server: EmbeddedOllama, recorded: Recorded, suffix: str) -> None:
    """Operation, provider, models, address, options, tokens and the reason it ended."""
    request = chat(options={**OPTIONS, "stop": ["\n\n"]} | ({"top_k": 20} if not suffix else {}))
    line = run(run.client(server.url + suffix).chat(request))
    span, facts = recorded.span, recorded.facts
    assert (span.name, span.kind) == ("chat demo", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.UNSET
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": NAMES[suffix],
        "gen_ai.request.model": "demo",
        "gen_ai.response.model": "demo",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 20,
        "gen_ai.request.seed": 7,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.stop_sequences": ("\n\n",),
        "gen_ai.usage.input_tokens": line.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": line.usage.completion_tokens,
        "server.address": "127.0.0.1",
        "server.port": server.port,
    }
    assert {name: facts[name] for name in expected} == expected
    assert facts.get("gen_ai.response.id") == line.raw.get("id")
    assert (facts.get("ollama.total_duration") is None) == bool(suffix)
    assert "gen_ai.request.stream" not in facts
    assert "gen_ai.response.time_to_first_chunk" not in facts


def test_a_stream(run: Run, server: EmbeddedOllama, recorded: Recorded, suffix: str) -> None:
    """A stream is one span, from the first request to the last line."""
    lines = run.lines(run.client(server.url + suffix).chat_stream(chat(think=True)))
    facts = recorded.facts
    assert facts["gen_ai.request.stream"] is True
    assert facts["gen_ai.usage.output_tokens"] == lines[-1].usage.completion_tokens
    assert facts["gen_ai.response.finish_reasons"] == ("stop",)
    assert facts["gen_ai.response.time_to_first_chunk"] > 0
    assert not any("messages" in name for name in facts)


def test_completions_and_embeddings(
    run: Run, server: EmbeddedOllama, recorded: Recorded, suffix: str
) -> None:
    """The other two operations have their names; vectors have no output tokens."""
    client = run.client(server.url + suffix)
    run(client.generate(GenerateRequest("demo", "Hi")))
    run(client.embed(EmbedRequest("demo-embed", ["a", "b"])))
    text, vectors = recorded.spans
    assert text.name == "text_completion demo"
    assert vectors.name == "embeddings demo-embed"
    found = dict(vectors.attributes or {})
    assert found["gen_ai.usage.input_tokens"] > 0
    assert "gen_ai.usage.output_tokens" not in found


def test_the_counts_of_cached_and_reasoning_tokens(
    run: Run, server: EmbeddedOllama, recorded: Recorded
) -> None:
    """What a server tells of its cache and of its thoughts is recorded."""
    usage = {
        "prompt_tokens": 40,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 32},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}}
    choice["finish_reason"] = "length"
    answer = {"id": "chatcmpl-7", "model": "demo-0613", "choices": [choice], "usage": usage}
    server.script("POST", "/v1/chat/completions", Reply.json(answer))
    run(run.client(server.url + "/v1").chat(chat()))
    facts = recorded.facts
    assert facts["gen_ai.usage.cache_read.input_tokens"] == 32
    assert facts["gen_ai.usage.reasoning.output_tokens"] == 5
    assert facts["gen_ai.response.id"] == "chatcmpl-7"
    assert facts["gen_ai.response.model"] == "demo-0613"
    assert facts["gen_ai.response.finish_reasons"] == ("length",)


def test_called_tools_are_named(
    run: Run, server: EmbeddedOllama, recorded: Recorded, suffix: str
) -> None:
    """Their names are recorded, and not what they are called with."""
    server.script("POST", *_chat_reply(suffix, tool_calls=[("weather", {"city": "Quito"})]))
    run.lines(run.client(server.url + suffix).chat_stream(chat(tools=[WEATHER])))
    assert recorded.facts["ollama_ext.response.tool_calls"] == ("weather",)
    assert "Quito" not in str(recorded.facts)


def _chat_reply(suffix: str, **how: Any) -> tuple[Any, ...]:
    return ("/v1/chat/completions" if suffix else "/api/chat", Reply.chat(**how))


@pytest.mark.parametrize("streams", [False, True])
def test_a_failure(run: Run, server: EmbeddedOllama, recorded: Recorded, streams: bool) -> None:
    """The span has the class of the error and the status, and not its words."""
    client = run.client(server.url)
    request = ChatRequest("missing", [Message("user", "Hello")])
    with pytest.raises(ModelNotFoundError):
        run.lines(client.chat_stream(request)) if streams else run(client.chat(request))
    assert recorded.facts["error.type"] == "ModelNotFoundError"
    assert recorded.facts["http.response.status_code"] == 404
    assert recorded.span.status.status_code is StatusCode.ERROR
    assert not recorded.span.status.description


def test_a_stream_that_breaks(run: Run, server: EmbeddedOllama, recorded: Recorded) -> None:
    """What had come is told beside the error."""
    server.script("POST", "/api/chat", Reply.cut(after=2))
    lines, error = run.until_error(run.client(server.url).chat_stream(chat()))
    assert lines
    assert isinstance(error, OllamaError)
    assert recorded.facts["error.type"] == type(error).__name__
    assert recorded.facts["gen_ai.response.time_to_first_chunk"] > 0
    assert recorded.facts["ollama_ext.usage.estimated"] is True


def test_a_stream_that_is_left(run: Run, server: EmbeddedOllama, recorded: Recorded) -> None:
    """Closing it early is no error, and ends the span."""
    run.take(run.client(server.url).chat_stream(chat()), 1)
    assert recorded.facts["ollama_ext.cancelled"] is True
    assert "error.type" not in recorded.facts
    assert recorded.span.status.status_code is StatusCode.UNSET


async def test_a_task_that_is_cancelled(server: EmbeddedOllama, recorded: Recorded) -> None:
    """A call that is cancelled before its answer ends its span as well."""
    gate = Gate()
    server.script("POST", "/api/chat", Reply.chat("late", gate=gate))
    client = AsyncClient(server.url)
    task = asyncio.create_task(client.chat(chat()))
    await asyncio.to_thread(server.wait_for_requests, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await client.aclose()
    assert recorded.facts["ollama_ext.cancelled"] is True
    assert "error.type" not in recorded.facts


def test_retries_are_parts_of_one_span(
    run: Run, server: EmbeddedOllama, recorded: Recorded
) -> None:
    """One call is one span, which counts how often it was sent again."""
    server.script("POST", "/api/chat", Reply.error("busy", 503), Reply.chat("Hello"))
    run(run.client(server.url, max_retries=2).chat(chat()))
    assert recorded.facts["ollama_ext.request.resend_count"] == 1
    assert "error.type" not in recorded.facts


def test_counting_tokens_is_not_a_retry(
    run: Run, server: EmbeddedOllama, recorded: Recorded
) -> None:
    """Requests beside the call's own are not counted as tries."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi"},
        "finish_reason": "stop",
    }
    server.script("POST", "/v1/chat/completions", Reply.json({"choices": [choice]}))
    server.script("POST", "/tokenize", Reply.json({"count": 3}), repeat=True)
    run(run.client(server.url + "/v1").chat(chat()))
    assert "/tokenize" in [request.path for request in server.requests]
    assert "ollama_ext.request.resend_count" not in recorded.facts


def test_a_forbidden_call_has_no_span(run: Run, server: EmbeddedOllama, recorded: Recorded) -> None:
    """What a budget forbids was never sent."""
    client = run.client(server.url, meters=[Budget(max_requests=0)])
    with pytest.raises(BudgetExceededError):
        run(client.chat(chat()))
    assert recorded.spans == []
    assert context.get_current() == {}


def test_calls_about_models_have_no_span(
    run: Run, server: EmbeddedOllama, recorded: Recorded
) -> None:
    """The conventions are about answers of models."""
    run(run.client(server.url).list())
    assert recorded.spans == []


def test_the_trace_goes_out(
    run: Run, server: EmbeddedOllama, recorded: Recorded, suffix: str
) -> None:
    """Each request names the span of its call as its parent, which hangs below the caller's."""
    # Without a word, an Ollama behind /v1 is asked who it is, by a request outside the calls.
    client = run.client(server.url + suffix, api="openai" if suffix else "auto")
    with recorded.tracer.start_as_current_span("outer") as outer:
        run(client.chat(chat()))
        run.lines(client.chat_stream(chat()))
    calls = recorded.spans[:2]
    sent = [request.headers["traceparent"][:-3] for request in server.requests if request.body]
    assert sent == [ids(span) for span in calls]
    assert {span.parent and span.parent.span_id for span in calls} == {outer.context.span_id}


def test_a_trace_of_the_callers_own_stays(
    run: Run, server: EmbeddedOllama, recorded: Recorded
) -> None:
    """A header that the caller set goes out as it is."""
    run(run.client(server.url, headers={"traceparent": "mine"}).chat(chat()))
    assert server.requests[-1].headers["traceparent"] == "mine"


def test_spans_of_a_stream_s_reader_are_not_its_children(
    run: Run, server: EmbeddedOllama, recorded: Recorded
) -> None:
    """Between two lines the caller is in its own context, and in it again afterwards."""
    stream = run.client(server.url).chat_stream(chat())
    run.next(stream)
    assert context.get_current() == {}
    with recorded.tracer.start_as_current_span("reader"):
        pass
    run(stream.aclose() if run.is_async else stream.close())
    reader, call = sorted(recorded.spans, key=lambda span: span.name == "chat demo")
    assert (reader.parent, call.parent) == (None, None)


def test_stream_errors_are_raised_as_ever(
    run: Run, server: EmbeddedOllama, recorded: Recorded
) -> None:
    """Recording changes nothing of what the caller gets."""
    server.script("POST", "/api/chat", Reply.lines([{"error": "out of memory"}]))
    with pytest.raises(StreamError, match="out of memory"):
        run.lines(run.client(server.url, max_retries=0).chat_stream(chat()))
    assert "out of memory" not in str(recorded.span.to_json())
