"""A cut answer is asked for again if it is vectors or had not begun; a begun text is not."""

import random
from collections.abc import Callable, Iterator

import pytest
from fault_ways import RIGHT, WAYS, Way, results_of
from raw_server import Asked, End, RawServer, Step
from right_answers import (
    CHUNKED,
    chunk,
    framed,
    head,
    is_generation,
    kind_of,
    otherwise,
    right,
    sized,
)

from ollama_transport import StreamTruncatedError

EMBEDDED = [way for way in WAYS if way.form == "embedded"]
WHOLE = [way for way in WAYS if way.form == "whole" and way.is_openai]
# A whole chat on Ollama's wire is a stream that is joined.
STREAMED = [way for way in WAYS if way.form != "embedded" and way not in WHOLE]


def cut_short(asked: Asked) -> list[Step]:
    """Return an answer of a known length without its end."""
    answer = sized(right(asked).body, b"Content-Type: application/json")
    return [answer[:-30], End.CLOSE]


def after_the_head(asked: Asked) -> list[Step]:
    """Return a stream that ends where its first line would begin."""
    return [head(CHUNKED, kind_of(right(asked))), End.CLOSE]


def inside_the_first_line(asked: Asked) -> list[Step]:
    """Return a stream that ends within its first line."""
    first = right(asked).pieces[0]
    return [head(CHUNKED, kind_of(right(asked))), chunk(first[: len(first) // 2]), End.RESET]


def after_an_empty_line(asked: Asked) -> list[Step]:
    """Return a stream that ends after a line without text, as many servers send one first."""
    objects = right(asked).objects()[:1]
    if asked.path.startswith("/v1"):
        objects[0]["choices"][0]["delta"] = {"role": "assistant", "content": ""}
    else:
        objects[0]["message"]["content"] = ""
    first = right(asked).of(objects, ends=False).pieces[0]
    return [head(CHUNKED, kind_of(right(asked))), chunk(first), End.CLOSE]


def after_a_word(asked: Asked) -> list[Step]:
    """Return a stream that ends after its first line, which has text."""
    return [head(CHUNKED, kind_of(right(asked))), chunk(right(asked).pieces[0]), End.CLOSE]


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the shortest wait that the jitter allows."""
    monkeypatch.setattr(random, "uniform", lambda low, _: low)


BEFORE_IT_BEGINS = [after_the_head, inside_the_first_line, after_an_empty_line]


def cutting(
    times: int, cut: Callable[[Asked], list[Step]] = cut_short
) -> Callable[[Asked], list[Step]]:
    """Return what a server says that is killed while it answers, and then is there again."""
    left = [times]

    def play(asked: Asked) -> list[Step]:
        if not is_generation(asked):
            return otherwise(asked)
        if left[0] > 0:
            left[0] -= 1
            return cut(asked)
        return framed(right(asked))

    return play


def generations(server: RawServer) -> int:
    return sum(1 for asked in server.requests if is_generation(asked))


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[RawServer]:
    with RawServer(cutting(request.param)) as found:
        yield found


@pytest.mark.parametrize("server", [1, 2], indirect=True)
@pytest.mark.parametrize("way", EMBEDDED, ids=lambda way: str(way.id))
def test_vectors_are_asked_for_again(way: Way, server: RawServer) -> None:
    """They would be the same, and nobody has seen a part of them."""
    found = results_of(way, way.model(server.url, count_tokens=False, max_retries=2), 1)
    assert found == [(RIGHT["embedded"], None)]


@pytest.mark.parametrize("server", [9], indirect=True)
@pytest.mark.parametrize("way", EMBEDDED, ids=lambda way: str(way.id))
def test_vectors_that_are_always_cut_are_an_error(way: Way, server: RawServer) -> None:
    """After as many tries as any other failure has."""
    ((_, error),) = results_of(way, way.model(server.url, count_tokens=False, max_retries=1), 1)
    assert isinstance(error, StreamTruncatedError)
    assert generations(server) == 2


@pytest.mark.parametrize("server", [1], indirect=True)
@pytest.mark.parametrize("way", WHOLE, ids=lambda way: str(way.id))
def test_a_text_is_not_generated_twice(way: Way, server: RawServer) -> None:
    """The model may have worked on it for minutes."""
    ((_, error),) = results_of(way, way.model(server.url, count_tokens=False, max_retries=2), 1)
    assert isinstance(error, StreamTruncatedError)
    assert generations(server) == 1


@pytest.mark.parametrize("cut", BEFORE_IT_BEGINS, ids=lambda cut: str(cut.__name__))
@pytest.mark.parametrize("way", STREAMED, ids=lambda way: str(way.id))
def test_a_stream_that_has_not_begun_is_asked_for_again(
    way: Way, cut: Callable[[Asked], list[Step]]
) -> None:
    """Nobody has seen a part of it, however far its server had come."""
    with RawServer(cutting(2, cut)) as server:
        model = way.model(server.url, count_tokens=False, max_retries=2)
        assert results_of(way, model, 1) == [(RIGHT[way.form], None)]
        assert generations(server) == 3


def cut_each_time(way: Way, cut: Callable[[Asked], list[Step]]) -> tuple[StreamTruncatedError, int]:
    """Return the error of a call that may be repeated once, and how often it was sent."""
    with RawServer(cutting(9, cut)) as server:
        model = way.model(server.url, count_tokens=False, max_retries=1)
        ((_, error),) = results_of(way, model, 1)
        assert isinstance(error, StreamTruncatedError)
        return error, generations(server)


@pytest.mark.parametrize("way", STREAMED, ids=lambda way: str(way.id))
def test_a_stream_that_never_begins_is_an_error(way: Way) -> None:
    """After as many tries as any other failure has; the error says that nothing had come."""
    error, sent = cut_each_time(way, after_the_head)
    assert (error.has_begun, error.received, sent) == (False, (), 2)
    assert "before its first text" in str(error)


@pytest.mark.parametrize("way", STREAMED, ids=lambda way: str(way.id))
def test_a_stream_that_has_begun_is_not_asked_for_again(way: Way) -> None:
    """Its words are in the error."""
    error, sent = cut_each_time(way, after_a_word)
    assert (error.has_begun, bool(error.received), sent) == (True, True, 1)
