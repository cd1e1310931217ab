"""What a server refuses of a request, and the next best thing that is sent in its place."""

import warnings
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel
from running import Run
from strict_server import Strict, ask, hello, limited, made, told

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama
from ollama_transport import OllamaError, RequestRejectedError, ToolCallMissingError
from ollama_transport.client import memory

both = pytest.mark.parametrize("kind", [ChatOllama, Ollama], ids=["LangChain", "LlamaIndex"])
forms = pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])


SAID = [
    httpx.Response(404, json={"error": {"message": "No endpoints found that support 'FIELD'."}}),
    httpx.Response(405, json={"error": "FIELD not allowed"}),
    httpx.Response(422, text="Failed to deserialize: unknown field `FIELD` at line 1"),
    httpx.Response(400, json={"error": {"message": "Unknown parameter.", "param": "FIELD"}}),
    httpx.Response(400, json={"error": "Bad Request", "message": ["FIELD should not exist"]}),
    httpx.Response(500, json={"detail": "unexpected keyword argument 'FIELD'"}),
    httpx.Response(501, json={"error": "FIELD is not implemented"}),
    httpx.Response(
        400,
        json={
            "error": {
                "message": "Provider returned error",
                "metadata": {"raw": '{"detail":[{"loc":["body","FIELD"],"msg":"Extra inputs"}]}'},
            }
        },
    ),
    # Inside an answer of status 200, with a code and without
    httpx.Response(200, json={"error": {"message": "FIELD is not supported", "code": 400}}),
    httpx.Response(200, json={"error": "FIELD is not supported"}),
]


@both
@pytest.mark.parametrize("said", SAID, ids=range(len(SAID)))
def test_a_refusal_is_known_whatever_its_status_and_shape(
    run: Run, closing: list[Any], kind: Any, said: httpx.Response
) -> None:
    """The part is left out at once, and from then on."""
    text = said.text.replace("FIELD", "stream_options")
    network = Strict(
        lambda body: "stream_options" in body, httpx.Response(said.status_code, text=text)
    )
    model = made(closing, kind, network)
    for _ in range(2):
        assert ask(run, model, hello(kind), streams=True).content == "It rains."
    assert ["stream_options" in body for body in network.bodies] == [True, False, False]


@both
@forms
@pytest.mark.parametrize("known", ["repeat_penalty", "repetition_penalty"])
def test_an_option_goes_under_the_name_that_the_server_takes(
    run: Run, closing: list[Any], kind: Any, streams: bool, known: str
) -> None:
    """Servers know one of two names; the option is never lost in silence."""
    names = {"repeat_penalty", "repetition_penalty"}
    (other,) = names - {known}
    network = Strict(lambda body: other in body, told(f"Unknown field: {other}"))
    model = made(closing, kind, network, **limited(kind, repeat_penalty=1.5))
    for _ in range(2):
        ask(run, model, hello(kind), streams)
    assert [names & set(body) for body in network.bodies] == [names, {known}, {known}]
    assert network.bodies[-1][known] == 1.5


@both
def test_an_option_that_a_server_takes_under_no_name_is_an_error(
    run: Run, closing: list[Any], kind: Any
) -> None:
    """An answer without it would not be what was asked for."""
    network = Strict(lambda _: True, told("Extra inputs: repeat_penalty, repetition_penalty"))
    model = made(closing, kind, network, **limited(kind, repeat_penalty=1.5))
    with pytest.raises(RequestRejectedError):
        ask(run, model, hello(kind))


@both
@forms
def test_the_limit_goes_under_its_newer_name(
    run: Run, closing: list[Any], kind: Any, streams: bool
) -> None:
    """OpenAI's newer models refuse the older one."""
    words = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    network = Strict(lambda body: "max_tokens" in body, told(words))
    model = made(closing, kind, network, **limited(kind, num_predict=9))
    for _ in range(2):
        ask(run, model, hello(kind), streams)
    limits = [
        (body.get("max_tokens"), body.get("max_completion_tokens")) for body in network.bodies
    ]
    assert limits == [(9, None), (None, 9), (None, 9)]


SCHEMA = {
    "title": "City",
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


def shaped(kind: Any) -> dict[str, Any]:
    return {"format": SCHEMA}


def formats(network: Strict) -> list[Any]:
    return [body["response_format"] for body in network.bodies]


@both
@forms
def test_a_schema_goes_without_the_strictness_that_was_not_asked_for(
    run: Run, closing: list[Any], kind: Any, streams: bool
) -> None:
    """Strict servers know no such field; the schema is asked for all the same."""
    refusal = told("response_format.json_schema.strict: Extra inputs are not permitted", 422)
    network = Strict(lambda body: "strict" in body["response_format"]["json_schema"], refusal)
    model = made(closing, kind, network)
    for _ in range(2):
        ask(run, model, hello(kind), streams, **shaped(kind))
    asked = [one["json_schema"] for one in formats(network)]
    assert ["strict" in one for one in asked] == [True, False, False]
    assert all(one["schema"]["required"] == ["name"] for one in asked)


@both
def test_strictness_that_was_asked_for_is_not_given_up(
    run: Run, closing: list[Any], kind: Any
) -> None:
    """The refusal is the caller's to know."""
    network = Strict(lambda _: True, told("strict: Extra inputs are not permitted", 422))
    with pytest.raises(RequestRejectedError):
        ask(run, made(closing, kind, network), hello(kind), format={**SCHEMA, "strict": True})
    assert len(network.bodies) == 1


@both
@pytest.mark.parametrize(
    "words",
    [
        "Invalid schema for response_format 'City': pattern is not permitted.",
        "This response_format type is unavailable now",
        "response_format: json_schema is not supported by this model",
        "'response_format.type' must be 'json_schema', 'json_object' or 'text'",
    ],
)
def test_a_refused_schema_is_never_given_up_in_silence(
    run: Run, closing: list[Any], kind: Any, words: str
) -> None:
    """Any JSON at all would not be what was asked for."""
    network = Strict(lambda body: body["response_format"]["type"] == "json_schema", told(words))
    with pytest.raises(RequestRejectedError, match=r"call a tool instead|leave out what it names"):
        ask(run, made(closing, kind, network), hello(kind), **shaped(kind))


@both
@forms
@pytest.mark.parametrize(
    "words",
    [
        "body.response_format.type: Input should be 'text' or 'json_object'",
        "Invalid value: 'json_schema'. Supported values are: 'json_object' and 'text'. "
        "(response_format.type)",
    ],
)
def test_a_server_of_the_older_form_gets_the_schema_in_it_with_a_warning(
    run: Run, closing: list[Any], kind: Any, streams: bool, words: str
) -> None:
    """llama-cpp-python holds to it; another server may not."""
    network = Strict(lambda body: "json_schema" in body["response_format"], told(words, 422))
    model = made(closing, kind, network)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(2):
            ask(run, model, hello(kind), streams, **shaped(kind))
    assert [one["type"] for one in formats(network)] == ["json_schema"] + ["json_object"] * 2
    assert formats(network)[-1]["schema"]["required"] == ["name"]
    assert {warning.category.__name__ for warning in seen} == {"SchemaNotEnforcedWarning"}


class Weather(BaseModel):
    """Tell the weather."""

    city: str


class Time(BaseModel):
    """Tell the time."""

    zone: str


CALL = {"id": "call00001", "type": "function", "function": {"name": "Weather", "arguments": "{}"}}


def with_tools(run: Run, model: Any, choice: str, **call: Any) -> Any:
    """Ask with two tools, one of which is forced, or any."""
    if isinstance(model, ChatOllama):
        return ask(run, model.bind_tools([Weather, Time], tool_choice=choice, **call), ["Hi"])
    tools = [
        FunctionTool.from_defaults(lambda city: city, name="Weather", fn_schema=Weather),
        FunctionTool.from_defaults(lambda zone: zone, name="Time", fn_schema=Time),
    ]
    given: dict[str, Any] = {"user_msg": "Hi", "tool_choice": choice, **call}
    asked = model.achat_with_tools if run.is_async else model.chat_with_tools
    return run(asked(tools, **given)).message


def choices(network: Strict) -> list[Any]:
    return [body.get("tool_choice") for body in network.bodies]


@both
def test_a_server_that_can_force_no_call_is_asked_once_and_its_answer_is_checked(
    run: Run, closing: list[Any], kind: Any
) -> None:
    """A named tool, then any of one, then none forced: prose instead of the call is an error."""
    network = Strict(lambda body: "tool_choice" in body, told("tool_choice is not supported"))
    network.message = {"content": "", "tool_calls": [{**CALL, "index": 0}]}
    model = made(closing, kind, network)
    with_tools(run, model, "Weather")
    network.message = {"content": "It rains."}
    with pytest.raises(ToolCallMissingError):
        with_tools(run, model, "Weather")
    named = {"type": "function", "function": {"name": "Weather"}}
    assert choices(network) == [named, "required", None, None]
    assert [len(body["tools"]) for body in network.bodies] == [2, 1, 1, 1]


@both
def test_one_call_at_most_needs_no_server_that_knows_of_it(
    run: Run, closing: list[Any], kind: Any
) -> None:
    """The field is left out, and only the first call is used."""
    network = Strict(
        lambda body: "parallel_tool_calls" in body, told("parallel_tool_calls: unknown field", 422)
    )
    calls = [{**CALL, "index": at, "id": f"call0000{at}"} for at in range(2)]
    network.message = {"content": "", "tool_calls": calls}
    model = made(closing, kind, network)
    more = (
        {"parallel_tool_calls": False}
        if kind is ChatOllama
        else {"allow_parallel_tool_calls": False}
    )
    answer = with_tools(run, model, "auto", **more)
    found = (
        answer.tool_calls
        if kind is ChatOllama
        else [block for block in answer.blocks if isinstance(block, ToolCallBlock)]
    )
    assert len(found) == 1
    assert ["parallel_tool_calls" in body for body in network.bodies] == [True, False]


def history(kind: Any) -> list[Any]:
    """Return a question, a call and its result with the tool's name."""
    if kind is ChatOllama:
        call = {"name": "Weather", "args": {"city": "Rome"}, "id": "call00001"}
        result = ToolMessage("rain", tool_call_id="call00001", name="Weather")
        return [HumanMessage("Weather?"), AIMessage("", tool_calls=[call]), result]
    block = ToolCallBlock(
        tool_call_id="call00001", tool_name="Weather", tool_kwargs={"city": "Rome"}
    )
    named = {"tool_call_id": "call00001", "name": "Weather"}
    return [
        ChatMessage("Weather?"),
        ChatMessage(role="assistant", blocks=[block]),
        ChatMessage("rain", role="tool", additional_kwargs=named),
    ]


@both
@forms
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (422, "body.messages.2.tool.name: Extra inputs are not permitted"),
        (400, "'messages.2' : property 'name' is unsupported"),
        (400, "Only messages of role 'user' can have a name."),
        (400, "The model returned the following errors: name: Extra inputs are not permitted"),
    ],
)
def test_the_name_beside_a_result_is_left_out_where_it_is_refused(
    run: Run, closing: list[Any], kind: Any, streams: bool, status: int, words: str
) -> None:
    """The result still belongs to its call by the id."""
    network = Strict(lambda body: "name" in body["messages"][-1], told(words, status))
    model = made(closing, kind, network)
    for _ in range(2):
        assert ask(run, model, history(kind), streams).content == "It rains."
    results = [body["messages"][-1] for body in network.bodies]
    assert ["name" in result for result in results] == [True, False, False]
    assert {result["tool_call_id"] for result in results} == {"call00001"}


@both
def test_a_refusal_of_something_else_is_not_remembered(
    run: Run, closing: list[Any], kind: Any
) -> None:
    """A server that quotes a part, and refuses the request without it too, did not refuse it."""
    refuses = [True, True]
    words = "model is missing in {'stream': True, 'stream_options': {}}"
    network = Strict(lambda _: bool(refuses) and refuses.pop(), told(words))
    model = made(closing, kind, network)
    with pytest.raises(RequestRejectedError, match="model is missing"):
        ask(run, model, hello(kind), streams=True)
    ask(run, model, hello(kind), streams=True)
    assert ["stream_options" in body for body in network.bodies] == [True, False, True]


@both
def test_what_a_server_lacks_is_remembered_for_each_model_and_not_for_ever(
    run: Run, closing: list[Any], kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another model behind the same gateway, or a server after a restart, may be able to do it."""
    network = Strict(lambda body: "stream_options" in body, told("stream_options: unknown"))
    model = made(closing, kind, network)
    for name in ("m", "other", "m"):
        ask(run, model, hello(kind), streams=True, model=name)
    assert ["stream_options" in body for body in network.bodies] == [True, False] * 2 + [False]
    monkeypatch.setattr(memory, "REMEMBERED_S", 0.0)
    network.bodies.clear()
    for _ in range(2):
        ask(run, made(closing, kind, network), hello(kind), streams=True)
    assert ["stream_options" in body for body in network.bodies] == [True, False] * 2


@both
@pytest.mark.parametrize("status", [401, 403, 413, 429, 503])
def test_other_failures_that_name_a_part_are_raised_as_they_are(
    run: Run, closing: list[Any], kind: Any, status: int
) -> None:
    """Nothing is left out for a limit, a key or a size."""
    network = Strict(lambda _: True, told("too much for stream_options", status))
    with pytest.raises(OllamaError):
        ask(run, made(closing, kind, network, max_retries=0), hello(kind), streams=True)
    assert len(network.bodies) == 1


@both
@pytest.mark.parametrize("status", [200, 422])
@pytest.mark.parametrize(
    ("option", "field", "words"),
    [
        ("seed", "seed", "body.seed: Extra inputs are not permitted"),
        ("top_k", "top_k", "Unrecognized request argument supplied: top_k"),
        ("num_predict", "max_tokens", "Unsupported parameter: 'max_tokens'"),
        ("min_p", "min_p", 'json: unknown field "min_p"'),
    ],
)
def test_an_option_that_a_server_does_not_take_is_named(
    run: Run, closing: list[Any], kind: Any, option: str, field: str, words: str, status: int
) -> None:
    """Under the name that the model has it by; it is the caller's to leave out."""
    said = {"error": {"message": words, "code": 422}}
    network = Strict(lambda body: field in body, httpx.Response(status, json=said))
    model = made(closing, kind, network, **limited(kind, **{option: 1}))
    with pytest.raises(RequestRejectedError, match=f"`{option}`: leave it out"):
        ask(run, model, hello(kind))
    assert len(network.bodies) == 1
