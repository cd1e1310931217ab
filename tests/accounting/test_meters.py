"""Who counts calls is told of each beginning and each end; `on_token` of each piece of text."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from faked import Network
from running import Run

from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import CallRecord, ChatRequest, EmbedRequest, GenerateRequest, Message

HELLO = ChatRequest("demo", [Message("user", "Hello")])


class Notes:
    """A meter that keeps what it is told, and may refuse."""

    def __init__(self, refuse: str = "") -> None:
        self.told: list[Any] = []
        self.refuse = refuse

    def begin(self, call: Any, /) -> None:
        self.told.append("begin")
        if self.refuse == "begin":
            raise RuntimeError("no")

    def end(self, call: Any, record: CallRecord, /) -> None:
        self.told.append(record)
        if self.refuse == "end":
            raise RuntimeError("no")


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as running:
        yield running


def test_a_meter_hears_of_both_ends(run: Run) -> None:
    """Once each, with the model, the path and the usage."""
    notes = Notes()
    run(run.client(transport=Network("chat/tiny-chat/hello-whole"), meters=[notes]).chat(HELLO))
    begin, record = notes.told
    assert begin == "begin"
    assert (record.model, record.path, record.error) == ("demo", "/api/chat", None)
    assert record.usage.total_tokens > 0
    assert record.sent


@pytest.mark.parametrize("place", [0, 1])
def test_a_meter_that_forbids_a_call_is_obeyed(run: Run, place: int) -> None:
    """Those who had begun learn that nothing was sent."""
    network, notes = Network("chat/tiny-chat/hello-whole"), Notes()
    meters = [notes, Notes("begin")] if place else [Notes("begin"), notes]
    client = run.client(transport=network, meters=meters)
    with pytest.raises(RuntimeError):
        run(client.chat(HELLO))
    assert network.requests == []
    assert [getattr(told, "sent", told) for told in notes.told] == (["begin", False] * place)


def test_a_failing_meter_does_not_stop_the_others(run: Run) -> None:
    """Each is told, whoever raises."""
    first, last = Notes(), Notes()
    meters = [first, Notes("end"), last]
    client = run.client(transport=Network("chat/tiny-chat/hello-whole"), meters=meters)
    with pytest.raises(RuntimeError):
        run(client.chat(HELLO))
    assert len(first.told) == len(last.told) == 2


@pytest.mark.parametrize("suffix", ["", "/v1"])
def test_on_token_gets_a_stream_piece_by_piece(
    run: Run, server: EmbeddedOllama, suffix: str
) -> None:
    """Text and thoughts come as they are written, told apart."""
    heard: list[tuple[str, bool]] = []
    client = run.client(
        server.url + suffix, on_token=lambda text, is_thinking: heard.append((text, is_thinking))
    )
    request = ChatRequest("demo", [Message("user", "Hello")], think=True)
    lines = run.lines(client.chat_stream(request))
    assert len(heard) > 2
    for is_thinking, said in ((False, "text"), (True, "thinking")):
        told = "".join(text for text, kind in heard if kind is is_thinking)
        assert told == "".join(getattr(line, said) for line in lines) != ""


def test_on_token_gets_a_whole_answer_at_once(run: Run, server: EmbeddedOllama) -> None:
    """A whole answer is one piece; the thoughts come first. Vectors are no text."""
    heard: list[tuple[str, bool]] = []
    client = run.client(server.url, on_token=lambda *piece: heard.append(piece))
    line = run(client.chat(ChatRequest("demo", [Message("user", "Hello")], think=True)))
    run(client.embed(EmbedRequest("demo-embed", ["a"])))
    assert heard == [(line.thinking, True), (line.text, False)]
    run(client.generate(GenerateRequest("demo", "Hi", think=False)))
    assert len(heard) == 3


def test_an_error_of_on_token_ends_the_call(run: Run, server: EmbeddedOllama) -> None:
    """The caller gets the exception, and the server is left."""

    def fail(_: str, __: bool) -> None:
        raise LookupError("enough")

    notes = Notes()
    client = run.client(server.url, on_token=fail, meters=[notes])
    with pytest.raises(LookupError, match="enough"):
        run.lines(client.chat_stream(HELLO))
    assert notes.told[-1].error == "LookupError"
    assert server.wait_until_idle()


def test_on_token_suits_plain_logging(
    run: Run, server: EmbeddedOllama, caplog: pytest.LogCaptureFixture
) -> None:
    """A logger's method is all it takes."""
    caplog.set_level(logging.INFO, "app")
    logger = logging.getLogger("app")
    client = run.client(server.url, on_token=lambda text, _: logger.info(text))
    lines = run.lines(client.chat_stream(ChatRequest("demo", HELLO.messages, think=False)))
    told = [entry.message for entry in caplog.records if entry.name == "app"]
    assert told == [line.text for line in lines if line.text]
