"""Wire reference 11, cases 42 to 49: where the failures of an engine land."""

import json
from collections.abc import Iterator

import httpx
import pytest

from ollama_ext.embedded import Answer, EmbeddedModel, EmbeddedOllama, ToolCall

HI = [{"role": "user", "content": "Hello"}]
HEAD = ["model", "created_at", "message", "done"]
INVALID = 'llama-server returned invalid tool call arguments for "f": unexpected end of JSON input'


@pytest.fixture(scope="module")
def failing() -> Iterator[httpx.Client]:
    """Models whose engine fails in every way of wire reference 7.4."""
    engines = {
        "bad-call-late": lambda prompt: Answer("some text", failure=INVALID),
        "bad-call-first": lambda prompt: Answer(failure="failed to parse JSON: EOF"),
        "swallowed": lambda prompt: Answer(""),
        "dies-first": lambda prompt: Answer(failure="boom"),
        "dies-late": lambda prompt: Answer("some text", failure="boom"),
        "ends-early": lambda prompt: Answer("some text", ends_early=True),
    }
    models = [EmbeddedModel(name, engine=engine) for name, engine in engines.items()]
    with (
        EmbeddedOllama(models) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("model", "text"),
    [
        pytest.param("bad-call-late", INVALID, id="case42"),
        pytest.param("dies-late", "boom", id="case46"),
    ],
)
def test_failure_in_mid_stream(failing, model, text):
    """After a first line the status stays 200 and the last line is the error alone."""
    response = failing.post("/api/chat", json={"model": model, "messages": HI})
    assert response.status_code == 200
    lines = [json.loads(line) for line in response.content.split(b"\n")[:-1]]
    assert lines[-1] == {"error": text}
    assert "".join(line["message"]["content"] for line in lines[:-1]) == "some text"
    assert not any(line["done"] for line in lines[:-1])


@pytest.mark.parametrize(
    ("model", "stream", "text"),
    [
        pytest.param("bad-call-first", True, "failed to parse JSON: EOF", id="case43"),
        pytest.param("dies-first", True, "boom", id="case45"),
        pytest.param("dies-late", False, "boom", id="case47"),
    ],
)
def test_failure_with_a_status(failing, model, stream, text):
    """A failure before the first line, or of a whole answer, has a real status."""
    response = failing.post("/api/chat", json={"model": model, "messages": HI, "stream": stream})
    assert (response.status_code, response.json()) == (500, {"error": text})
    assert response.headers["content-type"] == "application/json"


def test_case_44_a_swallowed_call(failing):
    """The generic tag parser swallows a broken call: no content, and done."""
    lines = failing.post("/api/chat", json={"model": "swallowed", "messages": HI}).text
    (line,) = [json.loads(part) for part in lines.split("\n")[:-1]]
    assert (line["message"]["content"], line["done_reason"]) == ("", "stop")


def test_case_48_a_stream_that_ends_early(failing):
    """An engine that stops early ends the stream without done:true and without an error."""
    text = failing.post("/api/chat", json={"model": "ends-early", "messages": HI}).text
    lines = [json.loads(part) for part in text.split("\n")[:-1]]
    assert [line["done"] for line in lines] == [False, False]


def test_case_49_a_whole_answer_that_ends_early(failing):
    """The whole form of it is 200 with done false and no metrics."""
    response = failing.post(
        "/api/chat", json={"model": "ends-early", "messages": HI, "stream": False}
    )
    assert response.status_code == 200
    assert list(response.json()) == HEAD
    assert response.json()["done"] is False


def test_tool_call_of_a_scripted_engine():
    """A user's own engine decides what is called; the server decides on ids and placement."""
    calls = [ToolCall("f", {"x": 1}), ToolCall("g", {})]
    model = EmbeddedModel(
        "own", ("completion", "tools"), engine=lambda prompt: Answer(tool_calls=calls)
    )
    with EmbeddedOllama([model]) as server:
        body = {"model": "own", "messages": HI, "stream": False}
        answer = httpx.post(f"{server.url}/api/chat", json=body, trust_env=False).json()
    found = [
        (c["function"]["name"], c["function"]["arguments"]) for c in answer["message"]["tool_calls"]
    ]
    assert found == [("f", {"x": 1}), ("g", {})]
