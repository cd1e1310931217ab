"""with_structured_output: every form of a schema, every method, and what is sent for it."""

import json
from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, NotRequired, Optional, TypedDict, TypeVar

import pytest
from core_ways import call
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import OutputParserException
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel
from running import Run
from shapes import CANADA, FORMS, JSON_SCHEMA, WHOLE, Country, as_dict, chat, said, sent
from typing_extensions import ReadOnly

from langchain_ollama_ext import ChatOllama
from langchain_ollama_ext._schemas import understood
from langchain_ollama_ext._structured import structured_output
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import ConfigError

T = TypeVar("T")

_METHODS = ["json_schema", "function_calling", "json_mode"]


class _Starts(BaseCallbackHandler):
    def __init__(self) -> None:
        self.options: list[dict[str, Any]] = []

    def on_chat_model_start(self, *_: Any, options: dict[str, Any], **__: Any) -> None:
        self.options.append(options)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_schema_holds_a_recorded_answer(run: Run, form: str) -> None:
    """The server gets a bare JSON schema, envelope or not, and its answer is read by it (c21)."""
    model, network = chat(WHOLE)
    made = call(run, model.with_structured_output(FORMS[form]), "invoke", "Tell me about Canada.")
    assert as_dict(made) == CANADA
    if isinstance(FORMS[form], type):
        assert isinstance(made, FORMS[form] if form != "typed dict" else dict)
    schema = sent(network)["format"]
    assert schema["type"] == "object"
    assert schema["required"] == JSON_SCHEMA["required"]
    kinds = {name: part["type"] for name, part in schema["properties"].items()}
    assert kinds == {"name": "string", "capital": "string", "languages": "array"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("strict", [None, True, False])
def test_a_forced_call_holds_every_form(
    server: EmbeddedOllama, run: Run, form: str, strict: bool | None
) -> None:
    """method="function_calling" gives an object of the schema, whatever the model likes (c3)."""
    model = ChatOllama(model="demo", base_url=server.url)
    structured = model.with_structured_output(FORMS[form], method="function_calling", strict=strict)
    made = as_dict(call(run, structured, "invoke", "Canada"))
    run(model.aclose())
    assert made.keys() == {"name", "capital", "languages"}
    assert isinstance(made["languages"], list)


@pytest.mark.parametrize("schema", [None, Country, JSON_SCHEMA])
def test_json_mode_asks_for_any_json(run: Run, schema: Any) -> None:
    """The server is told "json" alone; the schema is for reading the answer."""
    model, network = chat("chat/tiny-chat/json-whole")
    made = call(run, model.with_structured_output(schema, method="json_mode"), "invoke", "Canada?")
    assert sent(network)["format"] == "json"
    assert as_dict(made) == CANADA
    assert isinstance(made, Country if schema is Country else dict)


@pytest.mark.parametrize("method", _METHODS)
@pytest.mark.parametrize("form", ["pydantic", "typed dict", "json schema"])
def test_tracers_hear_of_the_schema(
    server: EmbeddedOllama, run: Run, form: str, method: str
) -> None:
    """Handlers get the method and the schema as langchain-core writes it."""
    heard = _Starts()
    model = ChatOllama(model="demo", base_url=server.url)
    structured = model.with_structured_output(FORMS[form], method=method, include_raw=True)  # type: ignore[arg-type] # one of the three
    call(run, structured, "invoke", "Canada", {"callbacks": [heard]})
    run(model.aclose())
    assert heard.options[0]["ls_structured_output_format"] == {
        "kwargs": {"method": method},
        "schema": convert_to_json_schema(FORMS[form]),
    }


def test_null_of_a_typed_dict_is_allowed(run: Run) -> None:
    """Optional stays nullable in the schema, where the peer made it a plain string (c21)."""

    class Pet(TypedDict):
        kind: Literal["cat", "dog"]

    class Person(TypedDict):
        """A person.

        Args:
            name: what they are called
        """

        name: str
        age: Optional[int]  # noqa: UP045 - both spellings must work
        nick: Annotated[str | None, None, "short name"]
        pets: NotRequired[list[Pet]]

    model, network = chat(said('{"name": "Bo", "age": null}'))
    made = call(run, model.with_structured_output(Person), "invoke", "Who?")
    assert made == {"name": "Bo", "age": None}
    schema = sent(network)["format"]
    assert schema["required"] == ["name", "age"]
    assert schema["properties"]["age"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert schema["properties"]["name"]["description"] == "what they are called"
    assert schema["properties"]["nick"]["description"] == "short name"
    assert schema["$defs"]["Pet"]["properties"]["kind"]["enum"] == ["cat", "dog"]


@pytest.mark.parametrize("method", _METHODS)
@pytest.mark.parametrize("include_raw", [True, False])
def test_raw_comes_with_the_result(
    server: EmbeddedOllama, run: Run, method: str, include_raw: bool
) -> None:
    """include_raw gives message, object and no error; without it, the object."""
    model = ChatOllama(model="demo", base_url=server.url)
    structured = model.with_structured_output(
        {"title": "sum", "type": "object"},
        method=method,
        include_raw=include_raw,  # type: ignore[arg-type] # one of the three
    )
    made = call(run, structured, "invoke", "Hello")
    run(model.aclose())
    if not include_raw:
        assert isinstance(made, dict)
        return
    assert made.keys() == {"raw", "parsed", "parsing_error"}
    assert made["raw"].response_metadata["model_name"] == "demo"
    assert isinstance(made["parsed"], dict)
    assert made["parsing_error"] is None


@pytest.mark.parametrize("include_raw", [True, False])
def test_tools_may_be_called_instead(server: EmbeddedOllama, run: Run, include_raw: bool) -> None:
    """Beside a schema, a tool that the prompt needs is called, and an answer is an answer (c21)."""

    def get_weather(city: str) -> str:
        """Get the weather of a city."""
        return city

    class Answer(BaseModel):
        text: str

    model = ChatOllama(model="demo", base_url=server.url)
    structured = model.with_structured_output(Answer, tools=[get_weather], include_raw=True)
    called = call(run, structured, "invoke", "What is the weather in Paris?")
    answered = call(run, structured, "invoke", "Hello")
    run(model.aclose())
    assert called["parsed"] is None
    assert called["parsing_error"] is None
    assert [c["args"] for c in called["raw"].tool_calls] == [{"city": "Paris"}]
    assert isinstance(answered["parsed"], Answer)


def test_thinking_does_not_empty_the_result(run: Run) -> None:
    """A thinking model's recorded answer is read, its thinking kept in the message (c21)."""
    model, _ = chat("chat/tiny-think/schema-stream", model="tiny-think", streaming=True)
    made = call(run, model.with_structured_output(Country, include_raw=True), "invoke", "Canada?")
    assert made["parsing_error"] is None
    assert made["parsed"].name
    assert made["raw"].additional_kwargs["reasoning_content"]


_TOLERATED: dict[str, Callable[[str], str]] = {
    "bare": lambda text: text,
    "white space": lambda text: f"\n  {text}\n",
    "fence": lambda text: f"```json\n{text}\n```",
    "fence without a name": lambda text: f"```\n{text}\n```",
    "words and a fence": lambda text: f"Here you are:\n```json\n{text}\n```\nEnjoy!",
    "thinking": lambda text: f"<think>Hm, {{Canada}}.</think>\n{text}",
    "thinking that was opened by the template": lambda text: f"Hm. Canada.</think>{text}",
    "words behind": lambda text: f"{text}\n\nI hope this helps!",
}


@pytest.mark.parametrize("wrapping", _TOLERATED)
def test_text_around_json_is_tolerated(run: Run, wrapping: str) -> None:
    """Servers that ignore format still give an object (wire reference 3.6)."""
    model, _ = chat(said(_TOLERATED[wrapping](json.dumps(CANADA, indent=1))))
    assert call(run, model.with_structured_output(JSON_SCHEMA), "invoke", "Canada?") == CANADA


def test_backticks_inside_json_are_left_alone(run: Run) -> None:
    """A fence within a text of the object is part of that text."""
    value = {"code": "```python\nprint()\n```"}
    model, _ = chat(said(json.dumps(value)))
    assert call(run, model.with_structured_output({"type": "object"}), "invoke", "x") == value


def test_raw_line_ends_in_texts_are_read(run: Run) -> None:
    """Models that are not constrained write line ends into strings, which is no strict JSON."""
    model, _ = chat(said('{"text": "one\ntwo"}'))
    made = call(run, model.with_structured_output({"type": "object"}), "invoke", "x")
    assert made == {"text": "one\ntwo"}


class Node(TypedDict):
    value: int
    children: "list[Node]"


def test_a_typed_dict_inside_itself_ends(run: Run) -> None:
    """Recursion is cut after one level: the inner ones are any objects."""
    tree = {"value": 1, "children": [{"value": 2, "children": []}]}
    model, network = chat(said(json.dumps(tree)))
    assert call(run, model.with_structured_output(Node), "invoke", "x") == tree
    items = sent(network)["format"]["properties"]["children"]["items"]
    assert items["type"] == "object"


class Frozen(TypedDict):
    name: ReadOnly[str]
    tags: NotRequired[ReadOnly[list[str]]]


def test_read_only_keys_are_like_others(run: Run) -> None:
    """ReadOnly is about who holds the dict, and changes nothing of what a model has to write."""
    model, network = chat(said('{"name": "x"}'))
    assert call(run, model.with_structured_output(Frozen), "invoke", "x") == {"name": "x"}
    asked = sent(network)["format"]
    assert asked["properties"]["name"]["type"] == "string"
    assert asked["properties"]["tags"]["type"] == "array"
    assert asked["required"] == ["name"]


class Box(BaseModel, Generic[T]):
    content: T


def test_generic_classes_have_names_that_fit_a_tool() -> None:
    """The brackets of a generic class are no part of a tool's name."""
    assert understood(Box[int]).as_tool()["function"]["name"] == "Box_int_"


def test_arguments_are_bound(run: Run) -> None:
    """Further keyword arguments reach every call."""
    model, network = chat(WHOLE)
    call(run, model.with_structured_output(Country, temperature=0, reasoning=False), "invoke", "x")
    assert sent(network)["options"] == {"temperature": 0}
    assert sent(network)["think"] is False


@pytest.mark.parametrize(
    ("schema", "given", "hint"),
    [
        (None, {}, "needs a schema"),
        (None, {"method": "function_calling"}, "needs a schema"),
        ("Country", {}, "TypedDict"),
        (int, {}, "pydantic class"),
        (Country, {"method": "magic"}, "json_schema, function_calling, json_mode"),
        (Country, {"method": "json_mode", "strict": True}, "strict"),
        ({"type": "json_object"}, {}, "json"),
    ],
)
def test_impossible_settings_are_refused_at_once(
    schema: Any, given: dict[str, Any], hint: str
) -> None:
    """A wrong schema or method is an error that names what is accepted, before any call."""
    with pytest.raises(ConfigError, match=hint):
        structured_output(ChatOllama(model="m"), schema, **given)


def test_a_chain_can_be_made_without_running(run: Run) -> None:
    """An answer of another shape is the parser's exception, whichever parser core expects."""
    model, _ = chat(said('{"name": 1}'))
    with pytest.raises(OutputParserException, match="does not fit Country"):
        call(run, model.with_structured_output(Country), "invoke", "x")
