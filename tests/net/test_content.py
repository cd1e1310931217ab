"""Answers are decoded and read within bounds, on both clients and both wires."""

import functools
import json
import resource
import zlib
from collections.abc import Iterator

import httpx
import pytest
from llama_index.core.llms import ChatMessage
from raw_server import Asked, End, RawServer, Step
from right_answers import CHUNKED, chunk, head, kind_of, otherwise, right, sized
from running import Run

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from ollama_transport import (
    ChatRequest,
    ConfigError,
    EmptyAnswerError,
    Message,
    OllamaTimeoutError,
    ProtocolError,
    ServerError,
)
from ollama_transport.settings.bounds import MAX_ERROR_BYTES

REQUEST = ChatRequest(model="m", messages=[Message("user", "hi")])
LIMIT = 1024 * 1024


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(otherwise) as found:
        yield found


@pytest.fixture(params=["native", "openai"])
def suffix(request: pytest.FixtureRequest) -> str:
    return "/v1" if request.param == "openai" else ""


def whole_and_streamed(run: Run, url: str, **settings: object) -> list[BaseException | None]:
    """Return the errors of a chat, whole and streamed."""
    client = run.client(url, max_retries=0, **settings)
    streamed = run.until_error(client.chat_stream(REQUEST))[1]
    return [run.thrown(client.chat, REQUEST), streamed]


@functools.cache
def _bomb() -> bytes:
    """Return the bomb, made without ever holding what is in it."""
    squeezed = zlib.compressobj(9, wbits=31)
    pieces = [squeezed.compress(b" " * 1_000_000) for _ in range(300)]
    return b"".join([*pieces, squeezed.flush()])


def bomb(_: Asked) -> list[Step]:
    """Answer with 300 KB of gzip that are 300 MB of blanks."""
    return [sized(_bomb(), b"Content-Type: application/json", b"Content-Encoding: gzip")]


def test_a_small_body_does_not_fill_the_memory(run: Run, server: RawServer, suffix: str) -> None:
    """A bomb of gzip ends at the limit, having cost little more than that."""
    server.play(bomb, bomb)
    _bomb()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for error in whole_and_streamed(run, server.url + suffix, max_answer_bytes=LIMIT):
        assert isinstance(error, ProtocolError)
        assert f"max_answer_bytes={LIMIT}" in str(error)
        assert server.url in error.url
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 100_000


def endless(asked: Asked) -> Iterator[Step]:
    """Send an answer that has no end, slowly growing."""
    yield head(CHUNKED, kind_of(right(asked)))
    line = b" " * 65_535 + b"\n"
    for _ in range(10_000):
        yield chunk(line)


def test_an_endless_answer_ends_at_the_limit(run: Run, server: RawServer, suffix: str) -> None:
    """Whole and streamed alike."""
    server.play(endless, endless)
    for error in whole_and_streamed(run, server.url + suffix, max_answer_bytes=LIMIT):
        assert isinstance(error, ProtocolError)
        assert f"max_answer_bytes={LIMIT}" in str(error)


def endless_error(_: Asked) -> Iterator[Step]:
    yield head(CHUNKED, status=b"500 Internal Server Error")
    yield from (chunk(b"x" * 65_536) for _ in range(10_000))


def test_of_an_error_only_the_start_is_read(run: Run, server: RawServer, suffix: str) -> None:
    """An error whose body never ends is the error of its status."""
    server.play(endless_error, endless_error)
    for error in whole_and_streamed(run, server.url + suffix):
        assert isinstance(error, ServerError)
        assert len(error.body) == MAX_ERROR_BYTES


def long_line(asked: Asked) -> list[Step]:
    """Answer with one line of 70 MB."""
    answer = right(asked)
    objects = answer.objects() if answer.is_stream else [answer.object]
    part = objects[0]["choices"][0] if answer.is_openai else objects[0]
    part["delta" if answer.is_openai and answer.is_stream else "message"]["content"] = LONG
    return [sized(answer.of(objects).body, kind_of(answer))]


LONG = "x" * 70_000_000


def test_stream_takes_what_send_takes(run: Run, server: RawServer, suffix: str) -> None:
    """A line of 70 MB is read by both."""
    server.play(long_line, long_line)
    # Without a word, an Ollama behind /v1 is spoken to on its own wire.
    client = run.client(server.url + suffix, api="openai" if suffix else "auto")
    assert len(run(client.chat(REQUEST)).text) >= len(LONG)
    lines = run.lines(client.chat_stream(REQUEST))
    assert len("".join(line.text for line in lines)) >= len(LONG)


def test_the_limit_is_a_setting_of_models(server: RawServer) -> None:
    """Both adapters hand it on, and refuse what is no number of bytes."""
    chat = ChatOllama(model="m", base_url=server.url, max_answer_bytes=10)
    with pytest.raises(ProtocolError, match="max_answer_bytes=10"):
        chat.invoke("hi")
    llm = Ollama(model="m", base_url=server.url, max_answer_bytes=10)
    with pytest.raises(ProtocolError, match="max_answer_bytes=10"):
        llm.chat([ChatMessage("hi")])


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "10"])
def test_a_limit_that_is_none_is_refused(run: Run, value: object) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError, match="max_answer_bytes"):
        run.client(max_answer_bytes=value)


def test_an_empty_success_has_one_class(run: Run, server: RawServer, suffix: str) -> None:
    """Whole or streamed, with a length of 0 or without chunks."""
    for nothing in (sized(b"", b"Content-Type: application/json"), head(CHUNKED) + b"0\r\n\r\n"):
        # Each is tried three times.
        server.play(*[lambda _, data=nothing: [data]] * 6)
        for error in whole_and_streamed(run, server.url + suffix):
            assert type(error) is EmptyAnswerError
            assert "the answer is empty" in str(error)


def half(asked: Asked) -> list[Step]:
    answer = right(asked)
    pieces = [chunk(piece) for piece in answer.pieces[:3]]
    return [head(CHUNKED, kind_of(answer)), *pieces, End.STALL]


def test_a_timeout_in_a_stream_has_what_came(run: Run, server: RawServer, suffix: str) -> None:
    """As a cut does: the lines are in the error."""
    server.play(half)
    client = run.client(server.url + suffix, timeout=(5, 0.5), max_retries=0)
    lines, error = run.until_error(client.chat_stream(REQUEST))
    assert isinstance(error, OllamaTimeoutError)
    assert error.received == tuple(lines)
    assert lines


def test_an_answer_that_was_read_already_is_taken(run: Run) -> None:
    """A transport in a test gives its answer whole; it is counted as well."""
    body = {"model": "m", "message": {"role": "assistant", "content": "hi"}, "done": True}
    answers = httpx.MockTransport(lambda _: httpx.Response(200, content=json.dumps(body).encode()))
    assert run(run.client(transport=answers).chat(REQUEST)).text == "hi"
    error = run.thrown(run.client(transport=answers, max_answer_bytes=5).chat, REQUEST)
    assert isinstance(error, ProtocolError)
