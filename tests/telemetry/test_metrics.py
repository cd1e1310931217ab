"""The metrics of the GenAI semantic conventions: durations, tokens, time to the first chunk."""

from collections.abc import Iterator
from typing import Any

import pytest
from otel_sdk import Recorded, recording_calls
from running import Run

from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Reply
from ollama_transport import ChatRequest, Message, ModelNotFoundError

HELLO = ChatRequest("demo", [Message("user", "Hello")])
DURATION = "gen_ai.client.operation.duration"
TOKENS = "gen_ai.client.token.usage"
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama([EmbeddedModel("demo")]) as running:
        yield running


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with recording_calls() as found:
        yield found


def test_a_stream_counts_in_all_three(run: Run, server: EmbeddedOllama, recorded: Recorded) -> None:
    """Each point has the operation, the provider, both models and the address."""
    lines = run.lines(run.client(server.url).chat_stream(HELLO))
    points = recorded.points()
    assert set(points) == {DURATION, TOKENS, FIRST_CHUNK}
    shared = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "ollama",
        "gen_ai.request.model": "demo",
        "gen_ai.response.model": "demo",
        "server.address": "127.0.0.1",
        "server.port": server.port,
    }
    (duration,) = points[DURATION]
    assert dict(duration.attributes) == shared
    assert (duration.count, duration.sum > 0) == (1, True)
    counted = {point.attributes["gen_ai.token.type"]: point.sum for point in points[TOKENS]}
    usage = lines[-1].usage
    assert counted == {"input": usage.prompt_tokens, "output": usage.completion_tokens}
    (first,) = points[FIRST_CHUNK]
    assert dict(first.attributes) == shared
    assert first.sum <= duration.sum


def test_the_boundaries_are_those_of_the_conventions(
    run: Run, server: EmbeddedOllama, recorded: Recorded
) -> None:
    """Percentiles of seconds and of tokens can be told apart."""
    run.lines(run.client(server.url).chat_stream(HELLO))
    points = recorded.points()
    assert points[DURATION][0].explicit_bounds[:4] == pytest.approx((0.01, 0.02, 0.04, 0.08))
    assert points[DURATION][0].explicit_bounds[-1] == pytest.approx(81.92)
    assert points[TOKENS][0].explicit_bounds[-1] == 67108864
    assert points[FIRST_CHUNK][0].explicit_bounds[-1] == 10


def test_a_whole_answer_has_no_first_chunk(
    run: Run, server: EmbeddedOllama, recorded: Recorded
) -> None:
    """The conventions want that of streams alone."""
    run(run.client(server.url).chat(HELLO))
    assert set(recorded.points()) == {DURATION, TOKENS}


def test_a_failure_is_counted_by_its_class(
    run: Run, server: EmbeddedOllama, recorded: Recorded
) -> None:
    """Its duration has the class of the error, and there are no tokens."""
    with pytest.raises(ModelNotFoundError):
        run(run.client(server.url).chat(ChatRequest("missing", HELLO.messages)))
    points = recorded.points()
    assert set(points) == {DURATION}
    assert points[DURATION][0].attributes["error.type"] == "ModelNotFoundError"


def test_estimated_tokens_are_not_recorded(
    run: Run, server: EmbeddedOllama, recorded: Recorded
) -> None:
    """The conventions forbid counts that no server told."""
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": "Hi"}}
    answer = {"choices": [choice | {"finish_reason": "stop"}]}
    server.script("POST", "/v1/chat/completions", Reply.json(answer))
    run(run.client(server.url + "/v1", count_tokens=False).chat(HELLO))
    assert set(recorded.points()) == {DURATION}
    assert recorded.facts["ollama_ext.usage.estimated"] is True
