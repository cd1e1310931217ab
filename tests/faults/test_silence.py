"""Long answers, proxies that give up, models that are being loaded: in each way to an answer."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from fault_ways import RIGHT, WAYS, Way, results_of
from raw_server import Asked, End, Play, RawServer, Step
from right_answers import (
    CHUNKED,
    LAST_CHUNK,
    chunk,
    head,
    is_generation,
    kind_of,
    otherwise,
    right,
    sized,
)

import ollama_transport.error_texts as error_texts
import ollama_transport.errors as errors

WHOLE = [way for way in WAYS if way.form == "whole"]
NATIVE = [way for way in WHOLE if not way.is_openai]
JSON = b"Content-Type: application/json"
LOADING = b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}'
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
whole_ways = pytest.mark.parametrize("way", WHOLE, ids=lambda way: way.id)
native_ways = pytest.mark.parametrize("way", NATIVE, ids=lambda way: way.id)


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(otherwise, is_scripted=is_generation) as found:
        yield found


def generations(server: RawServer) -> list[Asked]:
    return [asked for asked in server.requests if is_generation(asked)]


def refused(status: bytes, body: bytes, *fields: bytes, after_s: float = 0.0) -> Play:
    """Return a play that refuses after some silence."""

    def play(_: Asked) -> Iterator[Step]:
        time.sleep(after_s)  # the proxy's patience
        yield sized(body, *fields, status=status)

    return play


def slowly(asked: Asked) -> Iterator[Step]:
    """Send the right answer, whose pieces take longer together than one silence may be."""
    answer = right(asked)
    yield head(CHUNKED, kind_of(answer))
    for piece in answer.pieces:
        time.sleep(0.25)
        yield chunk(piece)
    yield LAST_CHUNK


@native_ways
def test_the_read_timeout_of_a_whole_answer_is_between_its_tokens(
    way: Way, server: RawServer
) -> None:
    """An answer of many pieces may take longer than the timeout, which is a silence."""
    server.play(slowly)
    (result,) = results_of(way, way.model(server.url, timeout=(5.0, 1.5)), 1)
    assert result == (RIGHT["whole"], None)


@whole_ways
@pytest.mark.parametrize("told", [None, True, False])
def test_whole_answers_stream_underneath(way: Way, server: RawServer, told: bool | None) -> None:
    """Whole answers stream on the native wire unless told otherwise, on /v1 when told."""
    results = results_of(way, way.model(server.url, wire_streaming=told), 1)
    assert results == [(RIGHT["whole"], None)]
    streams = (not way.is_openai) if told is None else told
    assert [asked.json["stream"] for asked in generations(server)] == [streams]


@native_ways
def test_a_whole_answer_that_is_cut_keeps_what_came(way: Way, server: RawServer) -> None:
    """What the model wrote before the cut is in the error, line by line."""

    def cut(asked: Asked) -> list[Step]:
        answer = right(asked)
        return [head(CHUNKED, kind_of(answer)), chunk(answer.pieces[0]), End.CLOSE]

    server.play(cut)
    ((_, error),) = results_of(way, way.model(server.url), 1)
    assert isinstance(error, errors.StreamTruncatedError)
    assert "".join(line.text for line in error.received) == "Hello"


@pytest.mark.parametrize("way", [way for way in NATIVE if way.is_async], ids=lambda way: way.id)
async def test_a_cancelled_whole_answer_leaves_the_server_at_once(
    way: Way, server: RawServer
) -> None:
    """The connection is closed while the model is at work, so that it stops."""

    def stalls(asked: Asked) -> list[Step]:
        answer = right(asked)
        return [head(CHUNKED, kind_of(answer)), chunk(answer.pieces[0]), End.STALL]

    server.play(stalls)
    model = way.model(server.url)
    task = asyncio.create_task(way.aask(model))
    await asyncio.to_thread(server.wait_until, lambda: bool(generations(server)))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(server.wait_until_left)
    await model.aclose()


@ways
@pytest.mark.parametrize("status", [b"504 Gateway Timeout", b"524 A Timeout Occurred"])
def test_a_proxy_that_gave_up_after_long_silence_is_not_asked_again(
    way: Way, server: RawServer, status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model would write its answer three times; the error names the way out."""
    monkeypatch.setattr(error_texts, "LONG_SILENCE_S", 0.1)
    server.play(refused(status, b"<html><title>Time-out</title></html>", after_s=0.15))
    ((_, error),) = results_of(way, way.model(server.url, max_retries=2), 1)
    assert isinstance(error, errors.ServerBusyError)
    assert error.waited_s is not None
    assert error.waited_s >= 0.1
    assert getattr(error, "is_retryable", False) is False
    assert len(generations(server)) == 1
    assert ("streaming=True" in str(error)) == (way.is_openai and way.form != "embedded")


@ways
@pytest.mark.parametrize("status", [b"502 Bad Gateway", b"503 Service Unavailable"])
def test_a_bad_gateway_after_long_silence_is_not_asked_again(
    way: Way, server: RawServer, status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some proxies answer so when they gave up waiting; the error says what to do."""
    monkeypatch.setattr(error_texts, "LATE_SILENCE_S", 0.1)
    server.play(refused(status, b"<html><title>Application error</title></html>", after_s=0.15))
    ((_, error),) = results_of(way, way.model(server.url, max_retries=2), 1)
    assert isinstance(error, errors.ServerBusyError)
    assert error.is_long_silence
    assert getattr(error, "is_retryable", False) is False
    assert len(generations(server)) == 1
    assert "gave up waiting" in str(error)


@ways
@pytest.mark.parametrize(
    ("body", "fields"),
    [(b"", [b"Retry-After: 0"]), (LOADING, [JSON, b"Retry-After: 0"])],
    ids=["names a time", "loads"],
)
def test_a_late_503_of_a_server_that_did_not_take_the_call_is_asked_again(
    way: Way, server: RawServer, body: bytes, fields: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited in a queue, or for the model."""
    monkeypatch.setattr(error_texts, "LATE_SILENCE_S", 0.1)
    server.play(refused(b"503 Service Unavailable", body, *fields, after_s=0.15))
    (result,) = results_of(way, way.model(server.url, max_retries=1), 1)
    assert result == (RIGHT[way.form], None)


@ways
@pytest.mark.parametrize("status", [b"504 x", b"520 x", b"521 x", b"522 x", b"523 x", b"524 x"])
def test_a_proxy_that_gives_up_at_once_is_asked_again(
    way: Way, server: RawServer, status: bytes
) -> None:
    """Nobody was at work on the answer; Cloudflare's statuses are proxies' as well."""
    server.play(refused(status, b"error code: 5xx"))
    (result,) = results_of(way, way.model(server.url, max_retries=1), 1)
    assert result == (RIGHT[way.form], None)


@ways
def test_a_model_that_is_being_loaded_is_waited_for(way: Way, server: RawServer) -> None:
    """More answers than tries are allowed say that it loads; then it answers."""
    server.play(*[refused(b"503 Service Unavailable", LOADING, JSON, b"Retry-After: 0")] * 5)
    (result,) = results_of(way, way.model(server.url, max_retries=1), 1)
    assert result == (RIGHT[way.form], None)
    assert len(generations(server)) == 6


@pytest.mark.parametrize("way", [way for way in WAYS if not way.is_async], ids=lambda way: way.id)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (b"400 Bad Request", b'{"error":"Model is loading. Please wait."}'),
        (b"429 Too Many Requests", b'{"error":"Model m is currently loading"}'),
        (b"500 Internal Server Error", b'{"error":{"message":"Loading model"}}'),
    ],
)
def test_loading_is_waited_for_whatever_the_status(
    way: Way, server: RawServer, status: bytes, body: bytes
) -> None:
    """Some servers have no 503 for it."""
    server.play(*[refused(status, body, JSON, b"Retry-After: 0")] * 3)
    (result,) = results_of(way, way.model(server.url, max_retries=1), 1)
    assert result == (RIGHT[way.form], None)


@ways
def test_loading_is_waited_for_within_a_limit(way: Way, server: RawServer) -> None:
    """The limit is named; without tries nothing is waited for."""
    play = refused(b"503 Service Unavailable", LOADING, JSON, b"Retry-After: 7")
    server.play(*[play] * 3)
    for settings in ({"max_retries": 2, "loading_max_wait_s": 5}, {"max_retries": 0}):
        ((_, error),) = results_of(way, way.model(server.url, **settings), 1)
        assert isinstance(error, errors.ServerBusyError)
        assert error.is_loading
        assert "loading_max_wait_s" in str(error)
    assert len(generations(server)) == 2


SPENT = b"x-ratelimit-remaining-requests: 0"


@pytest.mark.parametrize("way", [way for way in WAYS if way.is_openai], ids=lambda way: way.id)
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'{"error":{"message":"slow down"}}', [SPENT, b"x-ratelimit-reset-requests: 40ms"]),
        (b'{"error":{"message":"slow down"}}', [b"retry-after-ms: 40"]),
        (b'{"error":{"message":"Please try again in 0.04s."}}', []),
    ],
)
def test_a_limit_is_waited_for_as_the_server_says(
    way: Way, server: RawServer, body: bytes, fields: list[bytes]
) -> None:
    """In headers of its own, or in words; a pause of ours would be too long for these tests."""
    server.play(*[refused(b"429 Too Many Requests", body, JSON, *fields)] * 2)
    (result,) = results_of(way, way.model(server.url, max_retries=2), 1)
    assert result == (RIGHT[way.form], None)
    assert len(generations(server)) == 3


@pytest.mark.parametrize("way", [way for way in WAYS if way.is_openai], ids=lambda way: way.id)
def test_a_quota_that_is_used_up_is_asked_for_once(way: Way, server: RawServer) -> None:
    """No pause of ours renews it."""
    body = b'{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}'
    server.play(*[refused(b"429 Too Many Requests", body, JSON)] * 3)
    ((_, error),) = results_of(way, way.model(server.url, max_retries=2), 1)
    assert isinstance(error, errors.ServerBusyError)
    assert "not retried" in str(error)
    assert getattr(error, "is_retryable", False) is False
    assert len(generations(server)) == 1
