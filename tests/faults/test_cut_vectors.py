"""An answer that is cut in its middle: vectors are asked for again, and texts are not."""

from collections.abc import Callable, Iterator

import pytest
from fault_ways import RIGHT, WAYS, Way, results_of
from raw_server import Asked, End, RawServer, Step
from right_answers import framed, is_generation, otherwise, right, sized

from ollama_transport import StreamTruncatedError

EMBEDDED = [way for way in WAYS if way.form == "embedded"]
WHOLE = [way for way in WAYS if way.form == "whole" and way.is_openai]


def cutting(times: int) -> Callable[[Asked], list[Step]]:
    """Return what a server says that is killed while it answers, and then is there again."""
    left = [times]

    def play(asked: Asked) -> list[Step]:
        if not is_generation(asked):
            return otherwise(asked)
        if left[0] > 0:
            left[0] -= 1
            answer = sized(right(asked).body, b"Content-Type: application/json")
            return [answer[:-30], End.CLOSE]
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
