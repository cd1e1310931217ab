"""Tools, choices and formats: what is sent, and what a call becomes."""

import json
from typing import Any, Literal, TypedDict

import pytest
from chat_ways import body, called, model_on, raw_stream, streamed, whole
from core_ways import call, pieces
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from pydantic.v1 import BaseModel as BaseModelV1
from running import Run

from langchain_ollama_ext import ChatOllama
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import ConfigError, ToolChoiceIgnoredWarning


class Place(BaseModel):
    street: str
    zip: int | None = Field(default=None, ge=1000, description="postal code")


class Tree(BaseModel):
    """A tree."""

    name: str
    children: "list[Tree]" = []


class Visit(BaseModel):
    """Go somewhere."""

    place: Place
    how: Literal["foot", "car"] = "foot"
    tags: list[Place] = []


class OldSquare(BaseModelV1):
    """Square a number."""

    n: int


class TypedSquare(TypedDict):
    """Square a number."""

    n: int


def square(n: int) -> int:
    """Square a number.

    Args:
        n: The number.
    """
    return n * n


def f(n: int) -> int:
    """Do f."""
    return n


def g(n: int) -> int:
    """Do g."""
    return n


def _sent_tool(given: Any, **how: Any) -> dict[str, Any]:
    model, network = model_on(whole())
    model.bind_tools([given], **how).invoke("x")
    sent: dict[str, Any] = body(network)["tools"][0]["function"]
    return sent


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (square, "square"),
        (tool(square), "square"),
        (OldSquare, "OldSquare"),
        (TypedSquare, "TypedSquare"),
        (
            {
                "title": "square",
                "description": "Square a number.",
                "type": "object",
                "properties": {"n": {"type": "integer"}},
                "required": ["n"],
            },
            "square",
        ),
        (
            {
                "name": "square",
                "description": "Square a number.",
                "input_schema": {
                    "type": "object",
                    "properties": {"n": {"type": "integer"}},
                    "required": ["n"],
                },
            },
            "square",
        ),
    ],
)
@pytest.mark.parametrize("strict", [None, True])
def test_tools_of_every_kind(given: Any, name: str, strict: bool | None) -> None:
    """Functions, tools, classes and dicts of other providers become the server's function."""
    sent = _sent_tool(given, strict=strict)
    assert sent["name"] == name
    assert sent["description"].startswith("Square a number.")
    assert sent["parameters"]["properties"]["n"]["type"] == "integer"
    assert sent["parameters"]["required"] == ["n"]


@pytest.mark.parametrize("strict", [None, True])
def test_nested_schemas_arrive_whole(strict: bool | None) -> None:
    """Nested objects, optional numbers, lists and choices keep their types (c1)."""
    sent = _sent_tool(Visit, strict=strict)["parameters"]
    place = sent["properties"]["place"]
    assert list(sent["properties"]) == ["place", "how", "tags"]
    assert place["properties"]["street"]["type"] == "string"
    assert place["required"] == ["street"]
    assert place["properties"]["zip"]["type"] == "integer"
    assert "postal code" in place["properties"]["zip"]["description"]
    assert "1000" in place["properties"]["zip"]["description"]
    assert sent["properties"]["tags"]["items"]["properties"]["zip"]["type"] == "integer"
    assert sent["properties"]["how"]["enum"] == ["foot", "car"]


@pytest.mark.parametrize("given", [Tree, tool("Tree", args_schema=Tree)(lambda **_: None)])
def test_a_schema_that_contains_itself_is_written_out(given: Any) -> None:
    """A recursive model shows its shape some levels deep, and not an empty one (c1)."""
    children = _sent_tool(given)["parameters"]["properties"]["children"]
    assert children["items"]["properties"]["name"]["type"] == "string"


def test_tools_that_a_provider_runs_itself_are_refused() -> None:
    """OpenAI's own tools do not exist here, and are not sent as if they did."""
    with pytest.raises(ConfigError, match="Ollama has no tools that the provider runs"):
        ChatOllama(model="m").bind_tools([{"type": "web_search"}])


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("any", {"f", "g"}),
        ("required", {"f", "g"}),
        (True, {"f", "g"}),
        ("g", {"g"}),
        ({"type": "function", "function": {"name": "g"}}, {"g"}),
        ({"type": "tool", "name": "g"}, {"g"}),
        ({"type": "any"}, {"f", "g"}),
    ],
)
def test_a_forced_tool_constrains_what_is_written(choice: Any, names: set[str]) -> None:
    """Every way to force a call lets the model write calls of these tools only (c3)."""
    model, network = model_on(whole('{"name": "g", "arguments": {"n": 1}}'))
    model.bind_tools([f, g], tool_choice=choice).invoke("x")
    constraint = body(network)["format"]
    shapes = constraint.get("anyOf", [constraint])
    assert {shape["properties"]["name"]["const"] for shape in shapes} == names


@pytest.mark.parametrize("choice", ["auto", None, False, {"type": "auto"}])
def test_a_free_choice_constrains_nothing(choice: Any) -> None:
    """Where the model may choose, tools are sent and no format."""
    model, network = model_on(whole())
    model.bind_tools([f], tool_choice=choice).invoke("x")
    assert body(network)["tools"]
    assert "format" not in body(network)


def test_no_tools_are_shown_where_none_may_be_called() -> None:
    """tool_choice="none" leaves the tools out."""
    model, network = model_on(whole())
    model.bind_tools([f], tool_choice="none").invoke("x")
    assert "tools" not in body(network)


@pytest.mark.parametrize("choice", ["h", {"type": "banana"}, 7])
def test_choices_that_cannot_be_are_refused_at_once(choice: Any) -> None:
    """A tool that was not given, or a choice nobody knows, fails when it is bound."""
    with pytest.raises(ConfigError, match="tool_choice"):
        ChatOllama(model="m").bind_tools([f], tool_choice=choice)


@pytest.mark.parametrize("model_name", ["demo", "demo-rendered"])
def test_a_forced_call_is_a_real_call(run: Run, server: EmbeddedOllama, model_name: str) -> None:
    """A model that would only greet calls the tool, whole and streamed, and still thinks (c3)."""
    model = ChatOllama(model=model_name, base_url=server.url)
    bound = model.bind_tools([square], tool_choice="any")
    answer = call(run, bound, "invoke", "Hello, 4!")
    chunks = pieces(run, bound, "Hello, 4!")
    joined = sum(chunks[1:], chunks[0])
    for message in (answer, joined):
        assert [made["name"] for made in message.tool_calls] == ["square"]
        assert set(message.tool_calls[0]["args"]) == {"n"}
        assert message.content == ""
        assert message.additional_kwargs["reasoning_content"]
    assert len([chunk for chunk in chunks if chunk.tool_call_chunks]) > 1
    run(model.aclose()) if run.is_async else model.close()


def test_only_the_first_call_is_kept_where_parallel_ones_are_off(run: Run) -> None:
    """parallel_tool_calls=False keeps one call, whole and streamed."""
    for answer, ask in ((whole(called("f", "g")), _invoked), (streamed(called("f", "g")), _joined)):
        model, _ = model_on(answer)
        bound = model.bind_tools([f, g], parallel_tool_calls=False)
        assert [made["name"] for made in ask(run, bound).tool_calls] == ["f"]


def _invoked(run: Run, model: Any) -> AIMessage:
    answer: AIMessage = call(run, model, "invoke", "x")
    return answer


def _joined(run: Run, model: Any) -> AIMessage:
    chunks = pieces(run, model, "x")
    return sum(chunks[1:], chunks[0])  # type: ignore[no-any-return] # chunks add up to a message


def test_text_arguments_are_never_rewritten(run: Run) -> None:
    """Texts that look like JSON or Python stay texts, and no argument vanishes (c11)."""
    arguments = {
        "a": '{"a": 1}',
        "b": "[]",
        "c": "{'a': (1,2)}",
        "d": "[" * 3000,
        "functionName": "g",
        "n": None,
    }
    said = {"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}
    for answer, ask in ((whole(said), _invoked), (streamed(said), _joined)):
        model, _ = model_on(answer)
        assert ask(run, model).tool_calls[0]["args"] == arguments


def test_arguments_other_than_an_object_are_an_invalid_call(run: Run) -> None:
    """One bad call does not spoil the message: it is kept beside the good one (c11)."""
    said = {
        "tool_calls": [
            {"id": "1", "function": {"name": "f", "arguments": "nonsense"}},
            {"id": "2", "function": {"name": "g", "arguments": {"n": 1}}},
        ]
    }
    for answer, ask in ((whole(said), _invoked), (streamed(said), _joined)):
        model, _ = model_on(answer)
        message = ask(run, model)
        assert [made["name"] for made in message.tool_calls] == ["g"]
        assert [(made["id"], made["args"]) for made in message.invalid_tool_calls] == [
            ("1", "nonsense")
        ]


def test_calls_without_ids_get_the_same_ones_again() -> None:
    """Ids made here are unique in an answer and equal when it is replayed."""
    said = {"tool_calls": [{"function": {"name": "f", "arguments": {}}}] * 2}
    runs = []
    for _ in range(2):
        model, _network = model_on(whole(said))
        runs.append([made["id"] for made in model.invoke("x").tool_calls])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 2


@pytest.mark.parametrize(
    ("response_format", "sent"),
    [
        ("json", "json"),
        ({"type": "json_object"}, "json"),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
            {"type": "object"},
        ),
        ({"type": "object", "properties": {}}, {"type": "object", "properties": {}}),
        (Place, Place.model_json_schema()),
    ],
)
def test_response_format(response_format: Any, sent: Any) -> None:
    """Every spelling of the answer's shape becomes the server's format."""
    model, network = model_on(whole("{}"))
    model.invoke("x", response_format=response_format)
    assert body(network).get("format") == sent


def test_a_format_beside_tools_allows_both() -> None:
    """The model may call a tool or give the final answer, whose definitions stay in reach."""
    schema = {
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/Place"}},
        "$defs": {"Place": {"type": "object"}},
    }
    model, network = model_on(whole('{"at": {}}'))
    assert model.bind_tools([f], response_format=schema).invoke("x").content == '{"at": {}}'
    constraint = body(network)["format"]
    assert [list(shape["properties"]) for shape in constraint["anyOf"]] == [
        ["name", "arguments"],
        ["at"],
    ]
    assert constraint["$defs"] == {"Place": {"type": "object"}}


def test_a_cut_forced_call_is_invalid() -> None:
    """A forced call whose arguments were cut is no call to run (c21)."""
    text = '{"name": "square", "arguments": {"n": 1'
    model, _ = model_on(whole(text, done_reason="length"))
    answer = model.bind_tools([square], tool_choice="any").invoke("x")
    assert answer.tool_calls == []
    assert answer.invalid_tool_calls[0]["args"] == '{"n": 1'
    assert answer.response_metadata["done_reason"] == "length"


def test_a_forced_answer_without_a_call_stays_text(run: Run) -> None:
    """A server that ignores format answers in prose, and nothing of it is lost."""
    lines = [{"model": "m", "created_at": "t", "message": {"content": part}} for part in "no!"]
    stream = raw_stream([*lines, {"model": "m", "message": {}, "done": True}])
    model, _ = model_on(stream)
    bound = model.bind_tools([square], tool_choice="any", on_missing_call="warn")
    with pytest.warns(ToolChoiceIgnoredWarning, match="square"):
        assert _joined(run, bound).content == "no!"


def test_arguments_travel_as_an_object_again() -> None:
    """A call goes back to the server with its id and an object of arguments."""
    model, network = model_on(whole(called("f")), whole("done"))
    answer = model.bind_tools([f]).invoke("x")
    model.invoke([("human", "x"), answer])
    assert body(network)["messages"][1]["tool_calls"] == [
        {"id": "call_f0", "function": {"name": "f", "arguments": {"n": 0}}}
    ]
    assert json.loads(network.requests[-1].content)["messages"][0]["content"] == "x"


def test_a_custom_tool_is_refused_and_a_flat_function_is_read() -> None:
    """OpenAI's custom tools take text; those of its Responses API have no object around them."""
    model = ChatOllama(model="m")
    with pytest.raises(ConfigError, match=r"'custom'.*not a function"):
        model.bind_tools([{"type": "custom", "name": "run", "description": "Runs code."}])
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    bound: Any = model.bind_tools([{"type": "function", "name": "f", "parameters": schema}])
    (read,) = bound.kwargs["tools"]
    assert (read["function"]["name"], read["function"]["parameters"]) == ("f", schema)


@pytest.mark.parametrize("kind", ["web_search_20250305", "code_execution_20250522", "mcp"])
def test_a_provider_s_own_tool_is_refused_by_name(kind: str) -> None:
    """It would become a function without arguments that nobody runs."""
    model, network = model_on(whole())
    with pytest.raises(ConfigError, match=kind):
        model.bind_tools([{"type": kind, "name": "web_search", "max_uses": 3}])
    assert network.requests == []
