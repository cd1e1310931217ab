"""Choices, failures and refusals of servers of /v1 that differ from OpenAI's own."""

import json
from typing import Any

import httpx
import pytest
from both_chats import Chats
from running import Run
from strict_server import Strict, ask, hello, made, told

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from ollama_transport import (
    AuthenticationError,
    OllamaError,
    ProtocolError,
    RequestRejectedError,
    ServerBusyError,
    ServerError,
)

both = pytest.mark.parametrize("kind", [ChatOllama, Ollama], ids=["LangChain", "LlamaIndex"])
forms = pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
adapters = pytest.mark.parametrize("adapter", ["LangChain", "LlamaIndex"])
SETTINGS = {"api": "openai", "count_tokens": False, "max_retries": 0}


def sent(choices: list[Any], *, streams: bool) -> httpx.Response:
    """Return an answer whose choices are these, an event each; a whole one has the first."""
    if not streams:
        return httpx.Response(200, json={"choices": choices[0]})
    events = "".join(f"data: {json.dumps({'choices': each})}\n\n" for each in choices)
    kind = {"content-type": "text/event-stream"}
    return httpx.Response(200, text=f"{events}data: [DONE]\n\n", headers=kind)


def said(text: str, *, streams: bool, **more: Any) -> dict[str, Any]:
    end = {} if streams else {"finish_reason": "stop"}
    return {"delta" if streams else "message": {"content": text}, **end, **more}


@adapters
@forms
def test_a_choice_that_is_an_object_is_read(run: Run, adapter: str, streams: bool) -> None:
    """Alone, and by its number."""
    for wrap in (lambda one: one, lambda one: {"0": one}):
        texts = ["It ", "rains."] if streams else ["It rains."]
        choices = [wrap(said(text, streams=streams)) for text in texts]
        chats = Chats(run, adapter, "openai", streams=streams)
        assert chats.played(sent(choices, streams=streams), **SETTINGS).text == "It rains."


@adapters
@forms
@pytest.mark.parametrize("number", [1, "1", 7])
def test_a_lone_choice_of_another_number_is_the_answer(
    run: Run, adapter: str, streams: bool, number: object
) -> None:
    """Some gateways count from 1."""
    texts = ["It ", "rains."] if streams else ["It rains."]
    choices = [[said(text, streams=streams, index=number)] for text in texts]
    chats = Chats(run, adapter, "openai", streams=streams)
    assert chats.played(sent(choices, streams=streams), **SETTINGS).text == "It rains."


@adapters
def test_of_several_choices_of_a_stream_one_is_read(run: Run, adapter: str) -> None:
    """The first event decides; pieces of two answers are never mixed."""
    numbered = [(0, "It "), (1, "Sun"), (0, "rains."), (1, "shine")]
    choices = [[said(text, streams=True, index=number)] for number, text in numbered]
    chats = Chats(run, adapter, "openai", streams=True)
    assert chats.played(sent(choices, streams=True), **SETTINGS).text == "It rains."


@adapters
@forms
@pytest.mark.parametrize("choices", [{"a": 1}, "text", 7, [["text"]], {"0": {}, "1": "text"}])
def test_choices_of_another_kind_are_an_error_of_ours(
    run: Run, adapter: str, streams: bool, choices: Any
) -> None:
    """Never one of Python's own."""
    chats = Chats(run, adapter, "openai", streams=streams)
    with pytest.raises(ProtocolError):
        chats.played(sent([choices], streams=streams), **SETTINGS)


@adapters
@forms
@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        (2049, "invalid api key", AuthenticationError),
        (1004, "login fail: Please carry the API secret key", AuthenticationError),
        (1002, "rate limit", ServerBusyError),
        (1008, "insufficient balance", RequestRejectedError),
        (2013, "invalid params", RequestRejectedError),
        (1013, "internal error", ServerError),
        (987654, "something new", OllamaError),
        ([1], "an odd code", OllamaError),
    ],
)
def test_a_failure_of_minimax_is_an_error_of_its_class(
    run: Run, adapter: str, streams: bool, code: object, words: str, kind: type[OllamaError]
) -> None:
    """It has status 200, and choices that are null."""
    base = {"status_code": code, "status_msg": words}
    body = {"id": "0", "choices": None, "created": 0, "model": "", "base_resp": base}
    text = f"data: {json.dumps(body)}\n\n" if streams else json.dumps(body)
    chats = Chats(run, adapter, "openai", streams=streams)
    with pytest.raises(kind, match=words):
        chats.played(httpx.Response(200, text=text), **SETTINGS)


@adapters
@forms
def test_an_answer_of_minimax_is_no_failure(run: Run, adapter: str, streams: bool) -> None:
    """Its code is 0 then."""
    choice = [said("It rains.", streams=streams)]
    body = {"choices": choice, "base_resp": {"status_code": 0, "status_msg": ""}}
    text = f"data: {json.dumps(body)}\n\ndata: [DONE]\n\n" if streams else json.dumps(body)
    chats = Chats(run, adapter, "openai", streams=streams)
    assert chats.played(httpx.Response(200, text=text), **SETTINGS).text == "It rains."


@both
@forms
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Unsupported value: 'reasoning_effort' does not support 'none' with this model."),
        (400, 'level "none" not supported, valid levels: low, medium, high'),
        (422, "body.reasoning_effort: Input should be 'low', 'medium' or 'high'"),
    ],
)
def test_no_reasoning_is_asked_for_by_leaving_the_level_out_where_none_is_refused(
    run: Run, closing: list[Any], kind: Any, streams: bool, status: int, words: str
) -> None:
    """The refusal is met once."""
    network = Strict(lambda body: "reasoning_effort" in body, told(words, status))
    off = {"reasoning": False} if kind is ChatOllama else {"thinking": False}
    model = made(closing, kind, network, **off)
    for _ in range(2):
        assert ask(run, model, hello(kind), streams).content == "It rains."
    assert [body.get("reasoning_effort") for body in network.bodies] == ["none", None, None]


@both
def test_a_level_of_the_caller_is_not_left_out(run: Run, closing: list[Any], kind: Any) -> None:
    """An answer without it is not what was asked for."""
    network = Strict(lambda body: True, told("reasoning_effort: not supported"))
    name = "reasoning" if kind is ChatOllama else "thinking"
    with pytest.raises(RequestRejectedError, match="reasoning level"):
        ask(run, made(closing, kind, network, **{name: "high"}), hello(kind))
    assert len(network.bodies) == 1
