"""What is sent to an OpenAI-compatible server."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ollama_transport import (
    ChatRequest,
    ConfigError,
    EmbedRequest,
    GenerateRequest,
    Message,
    NamedTool,
    RequestRejectedError,
    UnsupportedOptionError,
)
from ollama_transport.wire.calls.body import encode_body
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.openai import calls as openai

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
HELLO = (Message("user", "Hello"),)
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
TIME = {
    "type": "function",
    "function": {"name": "time", "parameters": {"type": "object", "properties": {}}},
}


def sent(call: Call[Any], *, stream: bool = False) -> Any:
    """Return a call's body as the server reads it."""
    body = call.stream_body() if stream else call.whole_body()
    assert body is not None
    return json.loads(encode_body(body))


def chat(*messages: Message, **fields: Any) -> Any:
    return sent(openai.chat(ChatRequest("m", messages or HELLO, **fields)))


def test_a_plain_chat_sends_no_extra_fields() -> None:
    """Of what is not set nothing is sent: the server's own defaults hold."""
    assert chat() == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": False,
    }


def test_a_stream_asks_for_its_usage() -> None:
    """A stream tells its usage only when asked, and a whole answer must not be asked."""
    call = openai.chat(ChatRequest("m", HELLO))
    assert sent(call, stream=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in sent(call)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"continuous_usage_stats": True}, {"include_usage": True, "continuous_usage_stats": True}),
        (None, None),
    ],
)
def test_the_callers_stream_options_hold(given: Any, options: Any) -> None:
    """`stream_options` in extra is for the stream alone; None leaves it out altogether."""
    call = openai.chat(ChatRequest("m", HELLO, extra={"stream_options": given}))
    assert sent(call, stream=True).get("stream_options") == options
    assert "stream_options" not in sent(call)


@pytest.mark.parametrize(
    ("option", "value", "fields"),
    [
        ("temperature", 0, {"temperature": 0}),
        ("top_p", 0.5, {"top_p": 0.5}),
        ("seed", 7, {"seed": 7}),
        ("stop", ["\n"], {"stop": ["\n"]}),
        ("num_predict", 12, {"max_tokens": 12}),
        ("num_predict", 0, {"max_tokens": 0}),
        ("num_predict", -1, {}),
        ("presence_penalty", 0.0, {"presence_penalty": 0.0}),
        ("frequency_penalty", 1.5, {"frequency_penalty": 1.5}),
        ("top_k", 5, {"top_k": 5}),
        ("min_p", 0.1, {"min_p": 0.1}),
        ("repeat_penalty", 1.1, {"repeat_penalty": 1.1, "repetition_penalty": 1.1}),
        ("temperature", None, {}),
    ],
)
def test_options_have_their_names_of_this_wire(
    option: str, value: Any, fields: dict[str, Any]
) -> None:
    """An option that servers of this wire read is sent under the name they read."""
    plain = chat()
    assert {k: v for k, v in chat(options={option: value}).items() if k not in plain} == fields


@pytest.mark.parametrize(
    "name", ["num_ctx", "num_gpu", "typical_p", "repeat_last_n", "num_keep", "made_up"]
)
def test_an_option_that_cannot_be_carried_is_an_error_or_dropped(name: str) -> None:
    """What no server of this wire reads is named in an error, unless it is to be dropped."""
    with pytest.raises(UnsupportedOptionError, match=f"/v1.*'{name}'") as caught:
        chat(options={name: 1})
    assert caught.value.option == name
    assert chat(options={name: 1, "seed": 2}, unsupported_options="drop") == {**chat(), "seed": 2}
    assert chat(options={name: None}) == chat()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("keep_alive", 0),
        ("truncate", False),
        ("shift", True),
        ("on_context_overflow", "truncate"),
    ],
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda **fields: openai.chat(ChatRequest("m", HELLO, **fields)),
        lambda **fields: openai.generate(GenerateRequest("m", "Hello", **fields)),
    ],
)
def test_a_field_that_cannot_be_carried_is_an_error_or_dropped(
    ask: Callable[..., Call[Any]], field: str, value: Any
) -> None:
    """So are the fields of a request that only Ollama's own wire has, False and 0 as well."""
    with pytest.raises(UnsupportedOptionError) as caught:
        ask(**{field: value})
    assert caught.value.option == field
    assert sent(ask(**{field: value}, unsupported_options="drop")) == sent(ask())


@pytest.mark.parametrize("policy", ["warn", "error"])
def test_the_policies_that_these_servers_have_by_nature_are_fine(policy: Any) -> None:
    """A server that refuses what does not fit needs no field to do it."""
    assert chat(on_context_overflow=policy) == chat()


def test_a_wrong_policy_for_options_is_an_error() -> None:
    """A misspelt policy is told at once."""
    with pytest.raises(ConfigError, match='"error" or "drop"'):
        ChatRequest("m", HELLO, unsupported_options="ignore")  # type: ignore[arg-type] # meant


@pytest.mark.parametrize(
    ("think", "effort"),
    [(True, "medium"), (False, "none"), ("low", "low"), ("max", "max"), (None, None)],
)
def test_thinking_is_an_effort(think: Any, effort: str | None) -> None:
    """How hard to think is `reasoning_effort`, and False asks for none of it."""
    assert chat(think=think).get("reasoning_effort") == effort


def test_json_and_schemas_are_response_formats() -> None:
    """A schema is sent with the name that servers ask for, made of its title if it has one."""
    schema = {"title": "A city!", "type": "object"}
    assert chat(format="json")["response_format"] == {"type": "json_object"}
    assert chat(format=schema)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "A_city_", "schema": schema},
    }
    assert chat(format={"title": "城"})["response_format"]["json_schema"]["name"] == "answer"


CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        ({**CLOSED, "strict": False}, False),
        ({**CLOSED, "required": []}, None),
        ({**CLOSED, "required": [], "strict": True}, True),
        ({**CLOSED, "properties": {"a": {"type": "object"}}}, None),
        ({**CLOSED, "properties": {"a": {"items": {"oneOf": []}}}}, None),
        ({"anyOf": [CLOSED]}, None),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, None),
    ],
)
def test_strict_is_sent_with_strict_schemas_or_when_the_caller_says_so(
    schema: Any, strict: bool | None
) -> None:
    """OpenAI's API refuses `strict: true` with a schema that is not strict by its rules."""
    sent = chat(format=schema)["response_format"]["json_schema"]
    assert sent.get("strict") == strict
    assert "strict" not in sent["schema"]


def test_schemas_and_tools_are_sent_as_a_grammar_takes_them() -> None:
    """What llama.cpp's grammar refuses is rewritten; what it only drops is left to others."""
    given = {"type": "object", "properties": {"a": {"pattern": r"^\d$"}, "b": {"multipleOf": 5}}}
    fit = {"type": "object", "properties": {"a": {"pattern": "^[0-9]$"}, "b": {"multipleOf": 5}}}
    tool = {"type": "function", "function": {"name": "t", "parameters": given}}
    body = chat(format=given, tools=[tool])
    assert body["response_format"]["json_schema"]["schema"] == fit
    assert body["tools"][0]["function"]["parameters"] == fit


@pytest.mark.parametrize("parameters", [None, {}, {"type": "object"}])
def test_a_tool_without_arguments_has_an_empty_object_of_them(parameters: Any) -> None:
    """Some servers refuse a tool whose parameters have no properties."""
    tool = {"type": "function", "function": {"name": "t", "parameters": parameters}}
    sent = chat(tools=[tool])["tools"][0]["function"]["parameters"]
    assert sent == {"type": "object", "properties": {}}


def test_an_error_of_a_tools_schema_names_tool_and_field() -> None:
    """A bare 400 of the server would name neither."""
    parameters = {"type": "object", "properties": {"when": {"type": "datetime"}}}
    tool = {"type": "function", "function": {"name": "book", "parameters": parameters}}
    with pytest.raises(ConfigError, match=r"'book'.*when has the type 'datetime'"):
        chat(tools=[tool])


@pytest.mark.parametrize(
    ("choice", "written_as"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        (NamedTool("time"), {"type": "function", "function": {"name": "time"}}),
    ],
)
def test_tools_and_their_choice_are_sent_as_they_are(choice: Any, written_as: Any) -> None:
    """This wire has a tool_choice of its own, and parallel_tool_calls."""
    body = chat(tools=[WEATHER, TIME], tool_choice=choice, parallel_tool_calls=False)
    assert body["tools"] == [WEATHER, TIME]
    assert body["tool_choice"] == written_as
    assert body["parallel_tool_calls"] is False


def test_a_forced_tool_that_was_not_given_is_an_error() -> None:
    """A tool that is named and not there is told before anything is sent."""
    with pytest.raises(ConfigError, match="'date'"):
        chat(tools=[TIME], tool_choice=NamedTool("date"))


def test_a_server_without_named_choices_is_asked_for_any_call_of_that_tool() -> None:
    """LM Studio refuses an object as tool_choice: the one tool and "required" mean the same."""
    request = ChatRequest("m", HELLO, tools=[WEATHER, TIME], tool_choice=NamedTool("time"))
    refusal = RequestRejectedError(
        "400", url="", status=400, error="Invalid tool_choice type: 'object'."
    )
    other = RequestRejectedError("400", url="", status=400, error="messages: Field required")
    call = openai.chat(request)
    instead = call.without(call.refused(refusal))
    assert (sent(instead)["tools"], sent(instead)["tool_choice"]) == ([TIME], "required")
    assert call.refused(other) == frozenset()
    # A server that can force no call at all is asked for any answer, in which the call is found.
    last = instead.without(instead.refused(refusal))
    assert "tool_choice" not in sent(last)
    assert last.refused(refusal) == frozenset()


def test_extra_fields_are_sent_at_the_top_and_win() -> None:
    """Fields of one server alone pass as they are."""
    body = chat(options={"seed": 1}, extra={"seed": 2, "chat_template_kwargs": {"a": None}})
    assert (body["seed"], body["chat_template_kwargs"]) == (2, {"a": None})


@pytest.mark.parametrize(
    "ask",
    [
        lambda: openai.chat(ChatRequest("m", HELLO, extra={"n": 2})),
        lambda: openai.chat(ChatRequest("m")),
        lambda: openai.chat(ChatRequest(" ", HELLO)),
        lambda: openai.generate(GenerateRequest("", "Hello")),
        lambda: openai.embed(EmbedRequest("", ["a"])),
    ],
)
def test_impossible_requests_fail_before_they_are_sent(ask: Callable[[], object]) -> None:
    """Several answers, no message and no model are errors of the caller."""
    with pytest.raises(ConfigError):
        ask()


def test_a_completion_has_no_limit_of_its_own() -> None:
    """Servers would stop at 16 tokens when max_tokens is not mentioned."""
    assert sent(openai.generate(GenerateRequest("m", "Once", suffix="end", raw=True))) == {
        "model": "m",
        "prompt": "Once",
        "suffix": "end",
        "max_tokens": None,
        "stream": False,
    }
    limited = GenerateRequest("m", "Once", options={"num_predict": 5})
    assert sent(openai.generate(limited))["max_tokens"] == 5


@pytest.mark.parametrize(
    ("fields", "number"),
    [({"logprobs": True}, 1), ({"logprobs": True, "top_logprobs": 4}, 4), ({}, None)],
)
def test_logprobs_of_a_completion_are_a_number(fields: Any, number: int | None) -> None:
    """The older endpoint counts the alternatives; one at least, for llama.cpp reads 0 as off."""
    assert sent(openai.generate(GenerateRequest("m", "Once", **fields))).get("logprobs") == number


def test_logprobs_of_a_chat_are_sent_as_they_are() -> None:
    """The newer endpoint has both fields."""
    body = chat(logprobs=True, top_logprobs=2)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("system", ""),
        ("template", "{{ .Prompt }}"),
        ("context", [1]),
        ("images", [PNG]),
        ("format", "json"),
        ("think", False),
    ],
)
def test_unsupported_completion_fields_are_refused_or_dropped(field: str, value: Any) -> None:
    """System prompts, images and the like belong to a chat on this wire."""
    fields = {field: value}
    with pytest.raises(UnsupportedOptionError) as caught:
        openai.generate(GenerateRequest("m", "Once", **fields))
    assert caught.value.option == field
    dropped = GenerateRequest("m", "Once", **fields, unsupported_options="drop")
    assert sent(openai.generate(dropped)) == sent(openai.generate(GenerateRequest("m", "Once")))


def test_vectors_are_asked_for_as_base64() -> None:
    """Base64 is shorter; dimensions and extra fields are sent."""
    request = EmbedRequest("m", ["a", ""], dimensions=8, extra={"user": "me"})
    assert sent(openai.embed(request)) == {
        "model": "m",
        "input": ["a", ""],
        "dimensions": 8,
        "encoding_format": "base64",
        "user": "me",
    }


@pytest.mark.parametrize(
    ("fields", "option"),
    [
        ({"truncate": True}, "truncate"),
        ({"keep_alive": "5m"}, "keep_alive"),
        ({"options": {"num_ctx": 8}}, "num_ctx"),
        ({"options": {"temperature": 0}}, "temperature"),
        ({"on_context_overflow": "truncate"}, "on_context_overflow"),
    ],
)
def test_unsupported_embedding_fields_are_refused_or_dropped(fields: Any, option: str) -> None:
    """No option of sampling or of memory has a place in an embedding here."""
    with pytest.raises(UnsupportedOptionError) as caught:
        openai.embed(EmbedRequest("m", ["a"], **fields))
    assert caught.value.option == option
    dropped = EmbedRequest("m", ["a"], **fields, unsupported_options="drop")
    assert sent(openai.embed(dropped)) == sent(openai.embed(EmbedRequest("m", ["a"])))
