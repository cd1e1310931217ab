"""Usage that a server of the second wire does not tell is counted there, or estimated."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from faked import Network, status
from running import Run

from langchain_ollama_ext import ChatOllama
from ollama_transport import ChatRequest, EmbedRequest, GenerateRequest, Message, Usage, UsageLedger

URL = "http://127.0.0.1:1/v1"
TOOL = {
    "type": "function",
    "function": {"name": "t", "parameters": {"type": "object", "properties": {}}},
}
HELLO = ChatRequest("m", [Message("user", "Hello, world")])
ANSWER = {"message": {"role": "assistant", "content": "Good day"}, "finish_reason": "stop"}
TOLD = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"content":"Good "}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"day"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


def whole(**more: Any) -> httpx.Response:
    return httpx.Response(200, json={"choices": [ANSWER], **more})


def streamed() -> httpx.Response:
    return httpx.Response(200, content=EVENTS, headers={"content-type": "text/event-stream"})


def vllm(count: int) -> httpx.Response:
    return httpx.Response(200, json={"count": count, "max_model_len": 99, "tokens": [1] * count})


def llama_cpp(count: int) -> httpx.Response:
    return httpx.Response(200, json={"tokens": [7] * count})


def body(network: Network, index: int) -> Any:
    return json.loads(network.requests[index].content)


@pytest.fixture(params=["whole", "streamed"])
def ask(request: pytest.FixtureRequest, run: Run) -> Callable[[Any], Any]:
    """Return what asks a client for an answer, and returns its last line."""

    def last_line(client: Any) -> Any:
        if request.param == "whole":
            return run(client.chat(HELLO))
        return run.lines(client.chat_stream(HELLO))[-1]

    last_line.answer = whole if request.param == "whole" else streamed  # type: ignore[attr-defined] # its answer goes with it
    return last_line


@pytest.mark.parametrize("counts", [vllm, llama_cpp])
def test_the_models_own_counter_is_asked(run: Run, ask: Any, counts: Any) -> None:
    """What vLLM or llama.cpp count is no estimate: the prompt, and the answer."""
    network = Network(ask.answer(), counts(6), counts(2))
    client = run.client(URL, transport=network)
    assert ask(client).usage == Usage(6, 2)
    assert network.paths[1:] == ["/tokenize", "/tokenize"]
    assert body(network, 1)["messages"] == [{"role": "user", "content": "Hello, world"}]
    assert body(network, 1)["content"] == "Hello, world"
    assert body(network, 2)["prompt"] == body(network, 2)["content"] == "Good day"
    assert body(network, 1)["model"] == "m"


def test_usage_from_the_server_is_not_counted_again(run: Run) -> None:
    """No further request is made."""
    network = Network(whole(usage=TOLD))
    assert run(run.client(URL, transport=network).chat(HELLO)).usage == Usage(3, 2)
    assert len(network.requests) == 1


def test_without_a_counter_it_is_estimated(run: Run, ask: Any) -> None:
    """A token each four characters, marked as an estimate; the server is not asked again."""
    network = Network(ask.answer(), status(404, "not found"), ask.answer())
    client = run.client(URL, transport=network)
    for _ in range(2):
        assert ask(client).usage == Usage(3, 2, estimated=True)
    assert network.paths.count("/tokenize") == 1


@pytest.mark.parametrize(
    "failure",
    [
        lambda: httpx.ConnectError("gone"),
        lambda: httpx.ReadTimeout("slow"),
        lambda: httpx.Response(200, text="<html>"),
        lambda: httpx.Response(200, json={"count": "many"}),
        lambda: status(500, "no"),
        lambda: status(503, "busy"),
    ],
    ids=["unreached", "slow", "html", "nonsense", "broken", "busy"],
)
def test_a_failed_count_fails_nothing(run: Run, failure: Any) -> None:
    """The answer is there, with an estimate; the count is tried once."""
    network = Network(whole(), failure())
    line = run(run.client(URL, transport=network).chat(HELLO))
    assert line.text == "Good day"
    assert line.usage == Usage(3, 2, estimated=True)
    assert len(network.requests) == 2


def test_a_busy_counter_is_asked_again_the_next_time(run: Run) -> None:
    """Only a server that cannot count is left alone."""
    network = Network(whole(), status(503, "busy"), whole(), vllm(6), vllm(2))
    client = run.client(URL, transport=network)
    assert run(client.chat(HELLO)).usage.estimated
    assert run(client.chat(HELLO)).usage == Usage(6, 2)


def test_counting_can_be_turned_off(run: Run) -> None:
    """Then there is an estimate, and no further request."""
    network = Network(whole())
    line = run(run.client(URL, transport=network, count_tokens=False).chat(HELLO))
    assert line.usage.estimated
    assert len(network.requests) == 1


def test_a_model_class_can_turn_it_off() -> None:
    """It is an argument of every model class, and the estimate is marked in the answer."""
    network = Network(whole())
    fields: dict[str, Any] = {"base_url": URL, "client_kwargs": {"transport": network}}
    with ChatOllama(model="m", count_tokens=False, **fields) as chat:
        answer = chat.invoke("Hello, world")
    assert answer.response_metadata["usage_estimated"] is True
    assert len(network.requests) == 1


def test_counting_is_not_a_call(run: Run) -> None:
    """The ledger counts one call, with the tokens that were counted."""
    ledger = UsageLedger()
    network = Network(whole(), vllm(6), vllm(2))
    run(run.client(URL, transport=network, meters=[ledger]).chat(HELLO))
    total = ledger.snapshot().total
    assert (total.requests, total.prompt_tokens, total.completion_tokens) == (1, 6, 2)
    assert total.estimated == 0


def test_tools_count_with_the_prompt_and_calls_with_the_answer(run: Run) -> None:
    """What the model reads and writes is counted, once each."""
    call = {"id": "1", "type": "function", "function": {"name": "t", "arguments": '{"a": 1}'}}
    said = {"message": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "tool_calls"}
    network = Network(httpx.Response(200, json={"choices": [said]}), vllm(6), vllm(2))
    request = ChatRequest("m", HELLO.messages, tools=[TOOL])
    run(run.client(URL, transport=network).chat(request))
    assert body(network, 1)["tools"] == [TOOL]
    assert body(network, 2)["content"] == 't{"a": 1}'


def test_images_are_not_sent_twice(run: Run) -> None:
    """A prompt with an image is counted by its text."""
    network = Network(whole(), vllm(6), vllm(2))
    message = Message("user", "What is it?", images=[b"\x89PNG\r\n\x1a\n" + bytes(99)])
    run(run.client(URL, transport=network).chat(ChatRequest("m", [message])))
    assert "messages" not in body(network, 1)
    assert body(network, 1)["prompt"] == "What is it?"


def test_completions_and_vectors_are_counted_too(run: Run) -> None:
    """A completion has two counts, an embedding only that of its texts."""
    text = {"choices": [{"index": 0, "text": "Good day", "finish_reason": "stop"}]}
    network = Network(httpx.Response(200, json=text), vllm(4), vllm(2))
    client = run.client(URL, transport=network)
    assert run(client.generate(GenerateRequest("m", "Hello"))).usage == Usage(4, 2)
    vectors = {"data": [{"index": 0, "embedding": [1.0]}]}
    network = Network(httpx.Response(200, json=vectors), vllm(4))
    client = run.client(URL, transport=network)
    assert run(client.embed(EmbedRequest("m", ["Hello"]))).usage == Usage(4)
    assert len(network.requests) == 2


def test_the_native_wire_counts_by_itself(run: Run) -> None:
    """Ollama tells every usage; what it leaves out stays unknown."""
    network = Network(httpx.Response(200, json={"message": {"content": "x"}, "done": True}))
    line = run(run.client("http://127.0.0.1:1", transport=network).chat(HELLO))
    assert line.usage is None
    assert len(network.requests) == 1
