"""Replies in plain values fit the endpoint, the wire and the stream flag of what they answer."""

from collections.abc import Iterator

import pytest
from running import Run

from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import (
    ChatRequest,
    EmbedRequest,
    GenerateRequest,
    Message,
    ServerError,
    StreamTruncatedError,
)

ASK = ChatRequest("any", [Message("user", "How is the weather?")])
PROMPT = GenerateRequest("any", "How is the weather?")


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as server:
        yield server


@pytest.fixture(params=["", "/v1"], ids=["native", "openai"])
def wire(request: pytest.FixtureRequest) -> str:
    suffix: str = request.param
    return suffix


def test_a_text_answers_chat_and_completion_whole_and_streamed(
    server: EmbeddedOllama, run: Run, wire: str
) -> None:
    """One list of replies serves every kind of request, on both wires, of any model."""
    server.script([Reply.chat("It is fine.")] * 4)
    client = run.client(server.url + wire)
    assert run(client.chat(ASK)).text == "It is fine."
    assert run(client.generate(PROMPT)).text == "It is fine."
    lines = run.lines(client.chat_stream(ASK))
    assert "".join(line.text for line in lines) == "It is fine."
    assert [line.text for line in lines if line.text] == ["It", " is", " fine."]
    assert lines[-1].done_reason == "stop"
    assert "".join(line.text for line in run.lines(client.generate_stream(PROMPT))) == "It is fine."


def test_tool_calls(server: EmbeddedOllama, run: Run, wire: str) -> None:
    """`tool_calls=[(name, arguments)]`, whole and streamed."""
    reply = Reply.chat(tool_calls=[("weather", {"city": "Rome"}), ("time", {})])
    server.script([reply, reply])
    client = run.client(server.url + wire)
    whole = run(client.chat(ASK)).tool_calls
    streamed = [call for line in run.lines(client.chat_stream(ASK)) for call in line.tool_calls]
    for calls in (whole, streamed):
        assert [(call.name, call.arguments) for call in calls] == [
            ("weather", {"city": "Rome"}),
            ("time", {}),
        ]
        assert len({call.id for call in calls}) == 2


def test_thinking(server: EmbeddedOllama, run: Run, wire: str) -> None:
    """The reasoning comes before the text."""
    server.script([Reply.thinking("Let me see.", "Fine.")] * 2)
    client = run.client(server.url + wire)
    answer = run(client.chat(ASK))
    assert (answer.thinking, answer.text) == ("Let me see.", "Fine.")
    lines = run.lines(client.chat_stream(ASK))
    assert "".join(line.thinking for line in lines) == "Let me see."
    assert "".join(line.text for line in lines) == "Fine."


def test_vectors(server: EmbeddedOllama, run: Run, wire: str) -> None:
    """`Reply.embed` answers the endpoints of vectors."""
    server.script([Reply.embed([[0.5, 1], [0, 0.25]])])
    client = run.client(server.url + wire)
    assert run(client.embed(EmbedRequest("any", ["a", "b"]))).vectors == [[0.5, 1.0], [0.0, 0.25]]


def test_an_error_is_written_as_its_wire_writes_it(
    server: EmbeddedOllama, run: Run, wire: str
) -> None:
    """Text and status in either order; the client's error has the server's text."""
    server.script([Reply.error("model requires more system memory", 500)])
    server.script([Reply.error(500, "model requires more system memory")])
    client = run.client(server.url + wire)
    for method in (client.chat, client.chat):
        error = run.thrown(method, ASK)
        assert isinstance(error, ServerError)
        assert error.error == "model requires more system memory"


def test_a_stream_is_cut_after_some_lines(server: EmbeddedOllama, run: Run, wire: str) -> None:
    """What came before the cut is kept by the error; a whole answer that is cut never came."""
    server.script([Reply.cut(after=2)] * 2)
    client = run.client(server.url + wire, max_retries=0)
    lines, error = run.until_error(client.chat_stream(ASK))
    assert isinstance(error, StreamTruncatedError)
    assert [line.text for line in lines] == ["Once", " upon"]
    assert isinstance(run.thrown(client.chat, ASK), StreamTruncatedError)


def test_a_reply_of_another_kind_fails_loudly(server: EmbeddedOllama, run: Run) -> None:
    """The order of a list is the order of the requests: what does not fit is a failure."""
    server.script([Reply.embed([[1.0]])])
    error = run.thrown(run.client(server.url, max_retries=0).chat, ASK)
    assert isinstance(error, ServerError)
    assert "vectors" in error.error
    assert "/api/chat" in error.error


def test_other_requests_leave_the_list_alone(server: EmbeddedOllama, run: Run) -> None:
    """Lists of models and their facts come from the server; a path's own script goes first."""
    server.script([Reply.chat("listed")], repeat=True)
    server.script("POST", "/api/chat", Reply.chat("of the path"))
    client = run.client(server.url)
    assert run(client.list())
    assert run(client.chat(ASK)).text == "of the path"
    assert [run(client.chat(ASK)).text for _ in range(2)] == ["listed", "listed"]


def test_a_reply_is_refined_as_any_other(server: EmbeddedOllama, run: Run) -> None:
    """Headers and gates are added, and the field `cut` is what it was."""
    gate = Gate()
    server.script([Reply.chat("Slow answer.", gate=gate, hold_at=1).but(headers={"x-one": "1"})])
    stream = run.client(server.url).chat_stream(ASK)
    assert run.next(stream).text == "Slow"
    gate.set()
    assert "".join(line.text for line in run.lines(stream)) == " answer."
    assert Reply.chat("Fine.").cut is None
    assert Reply.json({}, cut="reset").cut == "reset"
    assert Reply.cut(after=1).cut == "close"
