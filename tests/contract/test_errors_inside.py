"""An error inside an answer of status 200 has the retries and the advice of its status."""

import json
from typing import Any

import httpx
import pytest
from both_ways import Facts, ask_langchain, ask_llamaindex
from llama_index.core.llms import ChatMessage
from running import Run

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from ollama_transport import ConfigError, OllamaError, RequestRejectedError, ServerBusyError

NATIVE, OPENAI = "http://h", "http://h/v1"
ROOTS = pytest.mark.parametrize("root", [NATIVE, OPENAI], ids=["native", "v1"])
FORMS = pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
ASKS = pytest.mark.parametrize("ask", [ask_langchain, ask_llamaindex], ids=["LangChain", "Llama"])


def asked(network: Facts) -> int:
    return sum(path.endswith(("/chat", "/completions")) for path in network.paths)


def good(root: str) -> httpx.Response:
    if root == OPENAI:
        choice = {"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}
        return httpx.Response(200, json={"choices": [choice]})
    said = {"role": "assistant", "content": "Hello"}
    line = {"model": "m", "message": said, "done": True, "done_reason": "stop"}
    return httpx.Response(200, json=line)


def busy(headers: dict[str, str], **more: Any) -> httpx.Response:
    return httpx.Response(
        200, json={"error": {"message": "slow", "code": 429, **more}}, headers=headers
    )


WAITS: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({"Retry-After": "SECONDS"}, {}),
    ({}, {"retry_after": "SECONDS"}),
    ({}, {"metadata": {"retry_after_seconds": "SECONDS"}}),
    ({}, {"metadata": {"headers": {"Retry-After": "SECONDS"}}}),
]


def saying(wait: tuple[dict[str, str], dict[str, Any]], seconds: str) -> httpx.Response:
    headers, more = json.loads(json.dumps(wait).replace("SECONDS", seconds))
    return busy(headers, **more)


@ROOTS
@FORMS
@ASKS
@pytest.mark.parametrize("wait", WAITS, ids=["header", "field", "metadata", "repeated header"])
def test_the_wait_that_an_error_names_is_kept(
    run: Run, ask: Any, root: str, streams: bool, wait: tuple[dict[str, str], dict[str, Any]]
) -> None:
    """An hour is longer than a call may wait; no wait at all lets it succeed."""
    settings = {"base_url": root, "max_retries": 1}
    network = Facts(saying(wait, "3600"), good(root))
    assert ask(run, network, settings, streams).error == "ServerBusyError"
    assert asked(network) == 1
    network = Facts(saying(wait, "0"), good(root))
    assert ask(run, network, settings, streams).text == "Hello"
    assert asked(network) == 2


# LM Studio answers any path that it does not know so.
UNKNOWN = ["Unexpected endpoint or method. (POST /api/chat)", "Unexpected endpoint. (POST /x)"]
USED_UP = [
    (429, "you have reached your weekly usage limit"),
    (200, "you have reached your weekly usage limit"),
    (200, {"message": "Weekly usage limit reached", "code": 429}),
]


def refused(run: Run, kind: Any, network: Facts, root: str, **call: Any) -> Exception:
    """Return the error of a call."""
    model = kind(model="m", base_url=root, client_kwargs={"transport": network})
    messages = "hi" if kind is ChatOllama else [ChatMessage("hi")]
    names = ("invoke", "ainvoke") if kind is ChatOllama else ("chat", "achat")
    method = getattr(model, names[run.is_async])
    try:
        with pytest.raises(OllamaError) as caught:
            run(method(messages, **call)) if run.is_async else method(messages, **call)
    finally:
        run(model.aclose() if run.is_async else model.close())
    return caught.value


@ROOTS
@pytest.mark.parametrize("kind", [ChatOllama, Ollama], ids=["LangChain", "LlamaIndex"])
@pytest.mark.parametrize(("status", "error"), USED_UP, ids=["429", "in a 200", "by its code"])
def test_an_account_that_is_used_up_is_asked_once(
    run: Run, kind: Any, root: str, status: int, error: Any
) -> None:
    """A week does not pass between two tries; the advice says so on either wire."""
    network = Facts(httpx.Response(status, json={"error": error}))
    caught = refused(run, kind, network, root)
    assert isinstance(caught, ServerBusyError)
    assert "wait until the limit is renewed" in str(caught)
    assert asked(network) == 1


@ROOTS
@pytest.mark.parametrize("kind", [ChatOllama, Ollama], ids=["LangChain", "LlamaIndex"])
@pytest.mark.parametrize("words", UNKNOWN)
def test_a_path_that_lm_studio_does_not_know_is_a_wrong_base_url(
    run: Run, kind: Any, root: str, words: str
) -> None:
    """Its status is 200, so nothing else tells."""
    network = Facts(httpx.Response(200, json={"error": words}))
    error = refused(run, kind, network, root)
    assert isinstance(error, RequestRejectedError)
    assert "base_url" in str(error)


@ROOTS
@pytest.mark.parametrize("kind", [ChatOllama, Ollama], ids=["LangChain", "LlamaIndex"])
@pytest.mark.parametrize("tool", ["web_search_20250305", "code_execution_20250522", "mcp"])
def test_a_tool_that_a_provider_runs_is_refused_by_name(
    run: Run, kind: Any, root: str, tool: str
) -> None:
    """Nothing is sent: it would be a function that nobody runs."""
    network = Facts(good(root))
    tools = [{"type": tool, "name": "search", "max_uses": 3}]
    error = refused(run, kind, network, root, tools=tools)
    assert isinstance(error, ConfigError)
    assert tool in str(error)
    assert "provider runs" in str(error)
    assert asked(network) == 0


INSIDE: dict[str, tuple[Any, str]] = {
    "FastAPI's": ({"detail": "Too many requests"}, "ServerBusyError"),
    "FastAPI's list": ({"detail": [{"loc": ["body"], "msg": "bad"}]}, "StreamFailedError"),
    "a code and a message": ({"code": 429, "message": "slow down"}, "ServerBusyError"),
    "a word for a code": ({"code": "RateLimitExceeded", "message": "x"}, "ServerBusyError"),
    "a list": ({"errors": [{"message": "busy", "code": 503}]}, "ServerBusyError"),
    "a list under error": ({"error": [{"message": "busy", "code": 503}]}, "ServerBusyError"),
    "Go's status": ({"StatusCode": 503, "error": "busy"}, "ServerBusyError"),
}


@ROOTS
@FORMS
@ASKS
@pytest.mark.parametrize("name", INSIDE)
def test_an_error_is_known_in_other_shapes(
    run: Run, ask: Any, root: str, streams: bool, name: str
) -> None:
    """An object without an answer, but with the words of an error."""
    body, kind = INSIDE[name]
    found = ask(run, Facts(httpx.Response(200, json=body)), settings_of(root), streams)
    assert found.error == kind


def settings_of(root: str) -> dict[str, Any]:
    return {"base_url": root, "max_retries": 0}


@FORMS
@ASKS
@pytest.mark.parametrize("error", [{}, "", False, None])
def test_an_empty_error_beside_an_answer_is_none(
    run: Run, ask: Any, streams: bool, error: Any
) -> None:
    """Some gateways send the field with each answer."""
    body = {**json.loads(good(OPENAI).content), "error": error}
    found = ask(run, Facts(httpx.Response(200, json=body)), settings_of(OPENAI), streams)
    assert found.text == "Hello"


@FORMS
@ASKS
@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ({"finish_reason": "error", "error": {"code": 502, "message": "gone"}}, "ServerBusyError"),
        ({"finish_reason": "error"}, "StreamFailedError"),
    ],
)
def test_a_choice_that_failed_is_an_error(
    run: Run, ask: Any, streams: bool, choice: dict[str, Any], kind: str
) -> None:
    """Gateways report the failure of the server behind them there."""
    said = {"role": "assistant", "content": ""}
    body = {"choices": [{"index": 0, "delta" if streams else "message": said, **choice}]}
    data = f"data: {json.dumps(body)}\n\n" if streams else json.dumps(body)
    found = ask(run, Facts(httpx.Response(200, text=data)), settings_of(OPENAI), streams)
    assert found.error == kind


@ASKS
def test_an_event_of_type_error_may_hold_plain_text(run: Run, ask: Any) -> None:
    """Its text is that of the error."""
    data = "event: error\ndata: too many requests\n\n"
    found = ask(run, Facts(httpx.Response(200, text=data)), settings_of(OPENAI), True)
    assert found.error == "ServerBusyError"
