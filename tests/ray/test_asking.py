"""The rows of a batch: each comes back with an answer, or with what went wrong."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("ray", reason='no Ray: pip install -e ".[test-ray]"')

from bulk import SOON, asker_of, plan_of

from ollama_ext.embedded import EmbeddedOllama, Reply
from ollama_ext.ray._asking import Failed, chat_rows, embed_rows

TEXTS = [f"passage {number}" for number in range(8)]
CLOSED = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def _running() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as running:
        yield running


@pytest.fixture
def server(_running: EmbeddedOllama) -> EmbeddedOllama:
    _running.reset()
    return _running


def embedded(rows: list[Any], *hosts: str, **how: Any) -> list[Any]:
    with asker_of(plan_of(hosts, **how), embed_rows) as asker:
        return asker.answers(rows)


def chatted(rows: list[Any], *hosts: str, **how: Any) -> list[Any]:
    with asker_of(plan_of(hosts, model="demo", rows_per_request=1, **how), chat_rows) as asker:
        return asker.answers(rows)


def failures(answers: list[Any]) -> dict[int, str]:
    return {n: one.error for n, one in enumerate(answers) if isinstance(one, Failed)}


def test_vectors_come_in_the_order_of_the_rows(server: EmbeddedOllama) -> None:
    """However many requests carry them, side by side."""
    one_by_one = embedded(TEXTS, server.url, rows_per_request=1)
    assert embedded(TEXTS, server.url, rows_per_request=3) == one_by_one
    assert len({tuple(vector) for vector in one_by_one}) == len(TEXTS)


def test_a_text_that_is_refused_costs_no_other_row(server: EmbeddedOllama) -> None:
    """The server refuses its whole batch; all other rows have vectors all the same."""
    rows = [*TEXTS[:5], "word " * 20_000, *TEXTS[5:]]
    answers = embedded(rows, server.url, rows_per_request=9, request={"truncate": False})
    assert list(failures(answers)) == [5]
    assert failures(answers)[5].startswith("ContextOverflowError: ")
    assert [*answers[:5], *answers[6:]] == embedded(TEXTS, server.url)


def test_a_null_is_marked_and_not_sent(server: EmbeddedOllama) -> None:
    """It has no vector; the others of its batch have."""
    answers = embedded([None, *TEXTS], server.url)
    assert list(failures(answers)) == [0]
    assert "null" in failures(answers)[0]
    assert embedded([None, None], server.url) == [answers[0]] * 2
    assert [request.json["input"] for request in server.requests] == [TEXTS]


def test_a_busy_server_is_asked_again(server: EmbeddedOllama) -> None:
    """As often as the plan says; then there is an answer."""
    server.script([Reply.error("too busy", 503)] * 2)
    assert failures(embedded(TEXTS, server.url, rows_per_request=8)) == {}
    assert len(server.requests) == 3


def test_a_dead_server_s_requests_go_to_the_next(server: EmbeddedOllama) -> None:
    """A repetition is not sent to the same server."""
    assert failures(embedded(TEXTS, CLOSED, server.url, rows_per_request=8)) == {}


def test_an_answer_that_breaks_off_is_asked_for_again(server: EmbeddedOllama) -> None:
    """Nobody has seen a part of it, so that a second one may differ."""
    server.script([Reply.cut(after=2)])
    (answer,) = chatted(["Hello"], server.url)
    assert isinstance(answer, str)
    assert answer
    assert len(server.requests) == 2


def test_what_no_repetition_helps_is_asked_once(server: EmbeddedOllama) -> None:
    """A missing model is the same error for every row of the request."""
    answers = embedded(TEXTS, server.url, rows_per_request=8, model="missing")
    assert len(failures(answers)) == len(TEXTS)
    assert all(error.startswith("ModelNotFoundError: ") for error in failures(answers).values())
    assert len(server.requests) == 1


def test_rows_are_marked_when_no_server_is_left() -> None:
    """The error says which server did not answer; nothing is raised."""
    answers = embedded(TEXTS, CLOSED, retry=SOON)
    assert len(failures(answers)) == len(TEXTS)
    assert all(
        error.startswith("OllamaConnectionError: ") and CLOSED in error
        for error in failures(answers).values()
    )


def test_too_few_vectors_are_an_error(server: EmbeddedOllama) -> None:
    """Rows never get another row's vector."""
    server.script([Reply.embed([[1.0, 0.0]])])
    answers = embedded(TEXTS[:2], server.url)
    assert [error.split(":")[0] for error in failures(answers).values()] == ["ProtocolError"] * 2


def test_a_row_is_a_text_or_a_conversation(server: EmbeddedOllama) -> None:
    """A text is what a user says; messages are sent as they are, without Arrow's nulls."""
    history = [
        {"role": "system", "content": "Be brief.", "thinking": None},
        {"role": "user", "content": "Hello", "thinking": None},
    ]
    answers = chatted(["Hello", history], server.url, per_server=1)
    assert failures(answers) == {}
    assert [request.json["messages"] for request in server.requests] == [
        [{"role": "user", "content": "Hello"}],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    ]


@pytest.mark.parametrize("row", [7, ["Hello"], [{"content": "Hello"}]])
def test_a_row_that_is_neither_is_marked(server: EmbeddedOllama, row: Any) -> None:
    """The others of its batch have answers."""
    answers = chatted([row, "Hello"], server.url)
    assert list(failures(answers)) == [0]
    assert failures(answers)[0].startswith("ConfigError: ")
