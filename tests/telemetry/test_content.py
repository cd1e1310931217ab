"""Messages are recorded when somebody asks for it, and never otherwise."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from otel_sdk import recording_calls
from running import Run

from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Reply
from ollama_transport import ChatRequest, EmbedRequest, GenerateRequest, Message, ToolCall
from ollama_transport.telemetry.content import said_to_model
from ollama_transport.wire.openai import calls as openai

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwAD"
    "hgGAWjR9awAAAABJRU5ErkJggg=="
)
CALL = ToolCall("weather", {"city": "Quito"}, id="call_1")
HISTORY = [
    Message("system", "Be brief"),
    Message("user", "What is this?", images=[PIXEL]),
    Message("assistant", thinking="I must look", tool_calls=(CALL,)),
    Message("tool", "sunny", tool_name="weather", tool_call_id="call_1"),
]
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
SUFFIXES = ["", "/v1"]


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedOllama]:
    abilities = ("completion", "tools", "thinking", "vision")
    models = [EmbeddedModel("demo", capabilities=abilities)]
    with EmbeddedOllama([*models, EmbeddedModel("vectors", capabilities=("embedding",))]) as one:
        yield one


def read(facts: dict[str, Any], name: str) -> Any:
    return json.loads(facts[f"gen_ai.{name}"])


def ask(run: Run, server: EmbeddedOllama, suffix: str = "") -> Any:
    reply = Reply.chat("It rains", thinking="Clouds", tool_calls=[("weather", {"city": "Rome"})])
    path = "/v1/chat/completions" if suffix else "/api/chat"
    server.reset()
    server.script("POST", path, reply)
    request = ChatRequest("demo", HISTORY, tools=[TOOL])
    return run.lines(run.client(server.url + suffix).chat_stream(request))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_requested_content_is_recorded(run: Run, server: EmbeddedOllama, suffix: str) -> None:
    """Messages, answer and tools are JSON in the form of the conventions, on either wire."""
    with recording_calls(capture_content=True) as recorded:
        ask(run, server, suffix)
    system, user, assistant, tool = read(recorded.facts, "input.messages")
    assert system == {"role": "system", "parts": [{"type": "text", "content": "Be brief"}]}
    assert user["parts"][0] == {"type": "text", "content": "What is this?"}
    assert [part["type"] for part in user["parts"]][1].startswith("image")
    assert assistant["parts"][-1]["name"] == "weather"
    assert tool["parts"][0]["response"] == "sunny"
    (answer,) = read(recorded.facts, "output.messages")
    assert [part["type"] for part in answer["parts"]] == ["reasoning", "text", "tool_call"]
    assert answer["parts"][1]["content"] == "It rains"
    assert answer["parts"][2]["arguments"] == {"city": "Rome"}
    assert answer["finish_reason"] == "stop"
    assert [tool["name"] for tool in read(recorded.facts, "tool.definitions")] == ["weather"]
    assert PIXEL not in str(recorded.facts)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("true", True),
        ("SPAN_ONLY", True),
        ("span_and_event", True),
        ("EVENT_ONLY", False),
        ("no_content", False),
        ("false", False),
        ("", False),
        (None, False),
    ],
)
def test_the_variable_of_the_conventions_decides(
    run: Run,
    server: EmbeddedOllama,
    monkeypatch: pytest.MonkeyPatch,
    told: str | None,
    expected: bool,
) -> None:
    """The variable that other instrumentations read says the same here."""
    monkeypatch.delenv(VARIABLE, raising=False)
    if told is not None:
        monkeypatch.setenv(VARIABLE, told)
    with recording_calls() as recorded:
        ask(run, server)
    assert ("gen_ai.input.messages" in recorded.facts) is expected
    assert ("It rains" in recorded.span.to_json()) is expected


def test_an_argument_goes_before_the_variable(
    run: Run, server: EmbeddedOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that forbids it is obeyed on every machine."""
    monkeypatch.setenv(VARIABLE, "true")
    with recording_calls(capture_content=False) as recorded:
        ask(run, server)
    assert "gen_ai.output.messages" not in recorded.facts


def test_prompts_are_messages_and_texts_to_embed_are_left_out(
    run: Run, server: EmbeddedOllama
) -> None:
    """A completion has a prompt and a system prompt; embeddings have no place for texts."""
    client = run.client(server.url)
    server.reset()
    with recording_calls(capture_content=True) as recorded:
        run(client.generate(GenerateRequest("demo", "Why?", system="Be kind", think=False)))
        run(client.embed(EmbedRequest("vectors", ["secret text"])))
    text, vectors = (dict(span.attributes or {}) for span in recorded.spans)
    assert read(text, "input.messages")[0]["parts"] == [{"type": "text", "content": "Why?"}]
    assert read(text, "system_instructions") == [{"type": "text", "content": "Be kind"}]
    assert read(text, "output.messages")[0]["parts"][0]["content"]
    assert "secret text" not in str(vectors)


def test_a_stream_that_is_left_has_what_came(run: Run, server: EmbeddedOllama) -> None:
    """The part of the answer that was read is recorded, with no reason to end."""
    server.reset()
    with recording_calls(capture_content=True) as recorded:
        request = ChatRequest("demo", [Message("user", "Hello")], think=False)
        (line,) = run.take(run.client(server.url).chat_stream(request), 1)
    (answer,) = read(recorded.facts, "output.messages")
    assert answer["parts"] == [{"type": "text", "content": line.text}]
    assert answer["finish_reason"] == "error"


def test_contents_of_many_kinds_are_named() -> None:
    """Parts that are no text are named; what they hold is left out."""
    call = openai.chat(ChatRequest("m", [Message("user", "See", images=[PIXEL])]))
    (message,) = json.loads(said_to_model(call)["gen_ai.input.messages"])
    assert message["parts"] == [
        {"type": "text", "content": "See"},
        {"type": "image_url", "content": "omitted"},
    ]
