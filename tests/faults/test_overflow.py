"""A prompt that does not fit is one error on every server, with the counts that it tells."""

from collections.abc import Iterator

import pytest
from fault_ways import WAYS, Way, results_of
from overflow_texts import REFUSALS, TEXT_TOO_LONG, Refusal
from raw_server import RawServer
from right_answers import is_generation, otherwise, sized

from ollama_transport.errors import ContextOverflowError, OllamaError, RequestRejectedError
from ollama_transport.wire.errors.mapping import status_error

CHATS = [way for way in WAYS if way.form != "embedded" and way.is_openai]
EMBEDDED = [way for way in WAYS if way.form == "embedded" and way.is_openai]


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(otherwise, is_scripted=is_generation) as found:
        yield found


def refused(server: RawServer, way: Way, refusal: Refusal) -> BaseException | None:
    status = b"%d Refused" % refusal.status
    body = sized(refusal.data, b"Content-Type: application/json", status=status)
    server.play(*[lambda _: [body]] * 8)  # a batch of texts is searched for the one
    ((_, error),) = results_of(way, way.model(server.url), 1)
    return error


@pytest.mark.parametrize("way", CHATS, ids=lambda way: way.id)
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.server)
def test_every_servers_words_are_an_overflow(way: Way, server: RawServer, refusal: Refusal) -> None:
    """Summarisation and callers go by the class and the counts, whatever the words are."""
    error = refused(server, way, refusal)
    assert isinstance(error, ContextOverflowError)
    assert (error.prompt_tokens, error.context_length) == (refusal.prompt, refusal.length)
    if way.framework == "langchain":
        from langchain_core.exceptions import ContextOverflowError as CoreError

        assert isinstance(error, CoreError)


@pytest.mark.parametrize("way", EMBEDDED, ids=lambda way: way.id)
def test_a_text_that_is_too_long_is_an_overflow(way: Way, server: RawServer) -> None:
    """Text Embeddings Inference answers 413, which is no limit of a proxy then."""
    error = refused(server, way, TEXT_TOO_LONG)
    assert isinstance(error, ContextOverflowError)
    assert (error.prompt_tokens, error.context_length) == (534, 512)
    assert "proxy" not in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens must be at least 1, got 0.",
        "Unknown field: context_size",
        "The model `m` is too large for this machine",
        "tool_choice must not be longer than one",
    ],
)
def test_other_refusals_are_not_overflows(text: str) -> None:
    """A request that is wrong otherwise is not cut and sent again."""
    error: OllamaError = status_error(
        method="POST",
        url="http://h/v1/chat/completions",
        status=400,
        headers={},
        body=text.encode(),
    )
    assert type(error) is RequestRejectedError
