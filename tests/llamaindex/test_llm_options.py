"""What is given with a call is sent, over what the model was made with; D10."""

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage
from llama_ways import Played, Way, answer

from llamaindex_ollama_ext import Ollama
from ollama_transport import ConfigError, NamedTool

Make = Callable[..., Ollama]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def asked(ollama: Make, way: Way, settings: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    network = Played(answer({"content": "hi"}, streams=way.streams))
    way.chat(ollama(network, **settings), "hi", **call)
    body: dict[str, Any] = network.body
    return {key: body[key] for key in body.keys() - {"model", "messages", "stream", "truncate"}}


@pytest.mark.parametrize(
    ("settings", "call", "sent"),
    [
        ({}, {}, {}),
        ({}, {"temperature": 0}, {"options": {"temperature": 0}}),
        ({"temperature": 0.9}, {"temperature": 0.1}, {"options": {"temperature": 0.1}}),
        ({"temperature": 0}, {}, {"options": {"temperature": 0}}),
        ({"temperature": 0.5}, {"temperature": None}, {"options": {"temperature": 0.5}}),
        ({"top_k": 5}, {"options": {"seed": 1}}, {"options": {"top_k": 5, "seed": 1}}),
        ({}, {"options": {"seed": 1}, "seed": 2}, {"options": {"seed": 2}}),
        ({"additional_kwargs": {"newer": 2}}, {}, {"options": {"newer": 2}}),
        (
            {"top_p": 0.2, "additional_kwargs": {"top_p": 0.3}},
            {},
            {"options": {"top_p": 0.3}},
        ),
        ({"additional_kwargs": {"top_p": 0.3}}, {"top_p": 0.4}, {"options": {"top_p": 0.4}}),
        (
            {"additional_kwargs": {"max_tokens": 9, "extra_body": {"priority": 1}}},
            {},
            {"options": {"num_predict": 9}, "priority": 1},
        ),
        (
            {"additional_kwargs": {"max_tokens": 9}},
            {"max_completion_tokens": 3},
            {"options": {"num_predict": 3}},
        ),
        ({"num_predict": 4}, {"max_tokens": 3}, {"options": {"num_predict": 3}}),
        ({"extra_body": {"a": 1}}, {"extra_body": {"b": 2}}, {"a": 1, "b": 2}),
        ({}, {"stop": "END"}, {"options": {"stop": ["END"]}}),
        ({}, {"stop": ["A", "B"]}, {"options": {"stop": ["A", "B"]}}),
        ({}, {"num_predict": 5}, {"options": {"num_predict": 5}}),
        ({"thinking": True}, {}, {"think": True}),
        ({"thinking": True}, {"think": False}, {"think": False}),
        ({"thinking": True}, {"thinking": False}, {"think": False}),
        ({"thinking": False}, {}, {"think": False}),
        ({"thinking": "low"}, {"think": "max"}, {"think": "max"}),
        ({"thinking": True}, {"think": None}, {"think": True}),
        ({"keep_alive": "5m"}, {"keep_alive": 0}, {"keep_alive": 0}),
        ({"keep_alive": "-1"}, {}, {"keep_alive": -1}),
        ({"json_mode": True}, {}, {"format": "json"}),
        ({"json_mode": True}, {"format": None}, {}),
        ({"json_mode": True}, {"format": {"type": "object"}}, {"format": {"type": "object"}}),
        ({}, {"shift": False}, {"shift": False}),
        ({}, {"logprobs": True, "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"logprobs": True}, {"logprobs": False}, {"logprobs": False}),
        ({}, {"extra": {"dimensions": 3}}, {"dimensions": 3}),
        ({}, {"tools": []}, {}),
        ({}, {"tools": None}, {}),
    ],
)
def test_options_of_a_call_are_sent(
    ollama: Make, way: Way, settings: dict[str, Any], call: dict[str, Any], sent: dict[str, Any]
) -> None:
    """D10: every option of a call is on the wire, False and 0 too, and nothing unasked is."""
    assert asked(ollama, way, settings, call) == sent


def test_another_model_for_one_call(ollama: Make, way: Way) -> None:
    """A call may name another model."""
    network = Played(answer({"content": "hi"}, streams=way.streams))
    way.chat(ollama(network), "hi", model="other")
    assert network.body["model"] == "other"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"options": {"temprature": 1}}, "did you mean 'temperature'"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 7}, "top_p"),
        ({"options": {"mirostat": 1}}, "no longer exists"),
        ({"max_new_tokens": 5}, "'num_predict'"),
        ({"context_window": 5}, "'num_ctx'"),
        ({"think": "very high"}, "invalid reasoning level"),
        ({"format": "xml"}, "JSON schema"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"on_context_overflow": "panic"}, "on_context_overflow"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"tools": ["search"]}, "FunctionTool.from_defaults"),
    ],
)
def test_unknown_arguments_are_refused(
    ollama: Make, way: Way, call: dict[str, Any], words: str
) -> None:
    """D10: an unknown or impossible argument is an error with a hint, and nothing is sent."""
    network = Played(answer({"content": "hi"}, streams=way.streams))
    with pytest.raises(ConfigError, match=words):
        way.chat(ollama(network), "hi", **call)
    assert network.requests == []


def test_arguments_are_not_changed(ollama: Make, way: Way) -> None:
    """Options, settings and messages of the caller are as they were after a call."""
    network = Played(answer({"content": "hi"}, streams=way.streams))
    options, extra = {"seed": 1}, {"num_gpu": 1}
    messages = [ChatMessage("hi")]
    way.chat(ollama(network, additional_kwargs=extra), messages, options=options, temperature=0)
    assert (options, extra, messages) == ({"seed": 1}, {"num_gpu": 1}, [ChatMessage("hi")])


@pytest.mark.parametrize(
    ("choice", "forced"),
    [
        ("required", True),
        ("any", True),
        ("f", True),
        (NamedTool("f"), True),
        ({"type": "function", "function": {"name": "f"}}, True),
        ({"type": "any"}, True),
        ({"type": "auto"}, False),
        ("auto", False),
        (None, False),
    ],
)
def test_every_way_to_say_tool_choice(ollama: Make, way: Way, choice: object, forced: bool) -> None:
    """A forced tool constrains what the model writes, however it was asked for."""
    # This server answers in words all the same.
    given = {"tools": [TOOL], "tool_choice": choice, "on_missing_call": "pass"}
    body = asked(ollama, way, {}, given)
    assert ("format" in body) is forced
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f"]


def test_no_tools_when_none_are_wanted(ollama: Make, way: Way) -> None:
    """tool_choice="none" does not show the tools to the model."""
    assert "tools" not in asked(ollama, way, {}, {"tools": [TOOL], "tool_choice": "none"})


def test_an_invalid_message_is_named(ollama: Make, way: Way) -> None:
    """Messages of other packages are an error that says what to give, and nothing is sent."""
    network = Played()
    wrong = {"role": "user", "content": "hi"}
    with pytest.raises(ConfigError, match=r"messages\[1\] must be a ChatMessage"):
        way.chat(ollama(network), [ChatMessage("first"), wrong])
    assert network.requests == []


def test_no_message_is_refused(ollama: Make, way: Way) -> None:
    """The server would load the model for it, and answer with nothing."""
    network = Played()
    with pytest.raises(ConfigError, match="messages is empty"):
        way.chat(ollama(network), [])
    assert network.requests == []


@pytest.mark.parametrize("wrong", [None, ["hi"], 5])
def test_a_prompt_is_a_text(ollama: Make, way: Way, wrong: Any) -> None:
    """A null would load the model and answer with nothing: it is an error instead."""
    network = Played()
    with pytest.raises(ValueError, match="prompt"):
        way.complete(ollama(network), wrong)
    assert network.requests == []
