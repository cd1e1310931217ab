"""Tool schemas: what the server would drop is still there when it arrives (c1, D4)."""

import datetime
import enum
import warnings
from typing import Annotated, Any, Literal, NotRequired

import pydantic.v1 as pydantic_v1
import pytest
from langchain_core.tools import tool as langchain_tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from schema_checks import ANYTHING, as_tool, checked, parameters_of
from typing_extensions import TypedDict

from ollama_transport.errors import ConfigError
from ollama_transport.schema.tools import flatten_tool

with warnings.catch_warnings():
    # Its dependencies warn on import, which is none of our business.
    warnings.simplefilter("ignore")
    from llama_index.core.tools import FunctionTool


# --- models as users write them


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    """A postal address."""

    street: str = Field(description="Street and number", max_length=80)
    city: str
    zip_code: str = Field("10115", pattern=r"^\d{5}$")


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    weight_kg: float = Field(gt=0, lt=120)


class Node(BaseModel):
    """A node of a tree."""

    value: int
    children: list["Node"] = Field(default_factory=list, max_length=4)


class Order(BaseModel):
    """Place an order."""

    model_config = ConfigDict(extra="forbid")

    to: Address = Field(description="Where it goes")
    bill_to: Address | None = None
    count: int = Field(1, ge=1, le=10, multiple_of=1)
    note: str | None = Field(None, description="For the driver")
    colour: Color = Color.RED
    size: Literal["s", "m", 42] = "m"
    stock: dict[str, int]
    places: dict[str, Address] = {}
    lines: list[Address] = Field(min_length=1)
    pair: tuple[int, str]
    due: datetime.datetime
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    either: int | str = Field(description="A number or a name")
    tree: Node
    tags: set[str] = Field(default_factory=set)
    anything: Any = None


class OldAddress(pydantic_v1.BaseModel):
    """An address of pydantic 1."""

    street: str
    number: int = pydantic_v1.Field(1, gt=0, lt=1000)


class OldOrder(pydantic_v1.BaseModel):
    to: OldAddress
    also: list[OldAddress] = []
    spot: tuple[float, float]
    colour: Color = Color.RED


class Search(TypedDict):
    query: Annotated[str, Field(min_length=2)]
    limit: NotRequired[Annotated[int, Field(le=50)]]


MCP_TOOL = {
    "type": "function",
    "function": {
        "name": "create_issue",
        "description": "Create a new issue in a repository",
        "strict": False,
        "parameters": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {
                "owner": {"type": "string", "description": "Owner of the repository"},
                "labels": {"type": "array", "items": {"type": "string"}, "default": []},
                "milestone": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
                "state": {"type": ["string", "null"], "enum": ["open", "closed", None]},
                "assignee": {"$ref": "#/definitions/user"},
                "meta": {"type": "object", "additionalProperties": True},
                "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                "reviewer": {"$ref": "#/properties/assignee", "description": "Who reviews it"},
                "retries": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            },
            "required": ["owner"],
            "additionalProperties": False,
            "definitions": {
                "user": {
                    "type": "object",
                    "properties": {
                        "login": {"type": "string", "pattern": "^[a-z0-9-]+$", "maxLength": 39},
                        "email": {"type": "string", "format": "email"},
                    },
                    "required": ["login"],
                    "additionalProperties": False,
                }
            },
        },
    },
}


def place(to: Address, note: str | None = None, count: int = 1) -> str:
    """Place an order."""
    return f"{to} {note} {count}"


@pytest.mark.parametrize(
    "tool",
    [
        pytest.param(as_tool(Order.model_json_schema()), id="pydantic2"),
        pytest.param(as_tool(Order.model_json_schema(mode="serialization")), id="pydantic2-out"),
        pytest.param(as_tool(Node.model_json_schema()), id="recursive"),
        pytest.param(as_tool(OldOrder.schema()), id="pydantic1"),
        pytest.param(as_tool(TypeAdapter(Search).json_schema()), id="typeddict"),
        pytest.param(convert_to_openai_tool(Order), id="langchain-model"),
        pytest.param(convert_to_openai_tool(Order, strict=True), id="langchain-strict"),
        pytest.param(convert_to_openai_tool(langchain_tool(place)), id="langchain-tool"),
        pytest.param(
            FunctionTool.from_defaults(place).metadata.to_openai_tool(), id="llamaindex-function"
        ),
        pytest.param(
            FunctionTool.from_defaults(place, fn_schema=Order).metadata.to_openai_tool(),
            id="llamaindex-model",
        ),
        pytest.param(MCP_TOOL, id="mcp"),
    ],
)
def test_every_keyword_is_kept_or_described(tool: dict[str, Any]) -> None:
    """Of tools from every source all arrives: each keyword is kept or said (c1, D4)."""
    checked(tool)


def test_a_model_with_everything() -> None:
    """A nested model arrives with its types, its order, and its limits in words."""
    function = checked(as_tool(Order.model_json_schema()))
    parameters = function["parameters"]
    assert function["description"] == "Place an order. No other properties."
    assert list(parameters["properties"]) == list(Order.model_fields)
    assert parameters["required"] == [
        *("to", "stock", "lines", "pair", "due", "pet", "either", "tree")
    ]
    properties = parameters["properties"]
    street = {"type": "string", "description": "Street and number. Length: at most 80."}
    address = {
        "type": "object",
        "properties": {
            "street": street,
            "city": {"type": "string"},
            "zip_code": {"type": "string", "description": 'Default "10115". Pattern: `^\\d{5}$`.'},
        },
        "required": ["street", "city"],
    }
    assert properties["to"] == {**address, "description": "Where it goes. A postal address."}
    assert properties["bill_to"] == {**address, "description": "A postal address."}
    assert properties["lines"]["items"] == {**address, "description": "A postal address."}
    assert properties["note"] == {"type": "string", "description": "For the driver"}
    assert properties["count"] == {
        "type": "integer",
        "description": "Default 1. At least 1. At most 10. A multiple of 1.",
    }
    assert properties["colour"] == {
        "type": "string",
        "description": 'Color. Default "red".',
        "enum": ["red", "blue"],
    }
    assert properties["size"]["enum"] == ["s", "m", 42]
    assert properties["size"]["type"] == ["string", "integer"]
    assert properties["stock"] == {
        "type": "object",
        "description": "Any other keys; each value: integer.",
    }
    assert properties["due"] == {"type": "string", "description": "Format: date-time."}
    assert properties["pair"]["items"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert "Items in order: integer; string." in properties["pair"]["description"]
    assert properties["either"] == {
        "description": "A number or a name",
        "anyOf": [{"type": "integer"}, {"type": "string"}],
    }
    assert properties["tags"]["description"] == "No duplicates."
    assert properties["anything"] == {"type": ANYTHING}


def test_discriminated_unions() -> None:
    """Each member of a union arrives whole, with the value that tells it apart."""
    parameters = parameters_of(Order.model_json_schema())
    pet = parameters["properties"]["pet"]
    assert pet["description"] == "Told apart by kind."
    cat, dog = pet["anyOf"]
    assert cat["properties"]["kind"] == {"type": "string", "enum": ["cat"]}
    assert dog["description"] == "Dog"
    assert dog["properties"]["weight_kg"] == {
        "type": "number",
        "description": "More than 0. Less than 120.",
    }


# --- whole tools


@pytest.mark.parametrize("parameters", [None, {}, {"type": "object"}, {"properties": {}}])
def test_no_parameters(parameters: dict[str, Any] | None) -> None:
    """A tool without parameters takes an object with no properties."""
    tool = {"type": "function", "function": {"name": "now", "parameters": parameters}}
    assert flatten_tool(tool) == {
        "type": "function",
        "function": {"name": "now", "parameters": {"type": "object", "properties": {}}},
    }
    without = {"type": "function", "function": {"name": "now", "description": "Tell the time"}}
    assert flatten_tool(without)["function"]["parameters"] == {"type": "object", "properties": {}}


def test_choices_among_the_arguments() -> None:
    """A union of argument objects becomes one object, and words tell what goes together."""
    function = checked(
        {
            "function": {
                "name": "move",
                "description": "Move the arm",
                "parameters": {
                    "oneOf": [
                        {
                            "type": "object",
                            "title": "ByName",
                            "properties": {"mode": {"const": "name"}, "place": {"type": "string"}},
                            "required": ["mode", "place"],
                        },
                        {
                            "type": "object",
                            "properties": {
                                "mode": {"const": "angle"},
                                "angle": {"type": "number", "maximum": 90},
                                "speed": {"type": "number"},
                            },
                            "required": ["mode", "angle"],
                        },
                    ],
                },
            },
        }
    )
    assert function["description"] == (
        "Move the arm. Give one of these sets of arguments: ByName. mode, place. "
        "Or: mode, angle (optional: speed)."
    )
    parameters = function["parameters"]
    assert list(parameters["properties"]) == ["mode", "place", "angle", "speed"]
    assert parameters["properties"]["mode"]["anyOf"] == [
        {"type": "string", "enum": ["name"]},
        {"type": "string", "enum": ["angle"]},
    ]
    assert "required" not in parameters


def test_the_docstring_is_not_repeated() -> None:
    """The description of the arguments goes into the tool's, unless it is that one."""
    schema = {"type": "object", "description": "Find it", "additionalProperties": False}
    twice = {"function": {"name": "f", "description": "Find it", "parameters": schema}}
    other = {"function": {"name": "f", "description": "Search", "parameters": schema}}
    none = {"function": {"name": "f", "parameters": schema}}
    assert checked(twice)["description"] == "Find it. No other properties."
    assert checked(other)["description"] == "Search. Find it. No other properties."
    assert checked(none)["description"] == "Find it. No other properties."


def test_strict_and_class_names_are_left_out() -> None:
    """The server has no strict mode; the arguments' class is none of the model's business."""
    function = flatten_tool(as_tool(Cat.model_json_schema(), name="feed"))["function"]
    assert set(function) == {"name", "parameters"}


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        ({"type": "web_search"}, "OpenAI form"),
        ({"name": "f", "parameters": {}}, "OpenAI form"),
        ({"type": "function", "function": {"parameters": {}}}, "no name"),
        ({"type": "function", "function": {"name": ""}}, "no name"),
        (as_tool({"type": "string"}), "'place'.*give a JSON schema of an object"),
        (
            as_tool({"anyOf": [{"type": "object"}, {"type": "string"}]}),
            "give a JSON schema of an object",
        ),
        (as_tool([]), "JSON schema of an object"),  # type: ignore[arg-type]  # what is tested
        (as_tool({"properties": []}), "properties"),
        (as_tool({"properties": {"a": 3}}), "a JSON schema must be an object"),
        (as_tool({"properties": {"a": {"type": {"x": 1}}}}), "type"),
        (as_tool({"properties": {"a": {"type": [1]}}}), "type"),
        (as_tool({"properties": {"a": {"enum": "abc"}}}), "enum"),
        (as_tool({"properties": {"a": {"anyOf": {"type": "string"}}}}), "anyOf"),
    ],
)
def test_invalid_tools_are_refused(tool: dict[str, Any], message: str) -> None:
    """What cannot be a tool is an error that says what to give, before anything is sent."""
    with pytest.raises(ConfigError, match=message):
        flatten_tool(tool)
