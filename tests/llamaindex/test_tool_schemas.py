"""The schema of a tool's arguments is made once, and again where it may have changed."""

import sys
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from llama_index.core.tools import FunctionTool, ToolMetadata
from pydantic import BaseModel, ConfigDict, Field

from llamaindex_ollama_ext import Ollama


def book(city: str, nights: int = 1, tags: list[str] | None = None, pay: Literal["a"] = "a") -> str:
    """Book a room."""
    return f"{city} {nights} {tags} {pay}"


def sent(tool: FunctionTool) -> dict[str, Any]:
    """Return what is sent of a tool."""
    (spec,) = Ollama("m")._prepare_chat_with_tools([tool])["tools"]
    return dict(spec["function"])


def tool_of(schema: type[BaseModel]) -> FunctionTool:
    return FunctionTool.from_defaults(lambda **_: "", name="t", description="d", fn_schema=schema)


def test_the_schema_of_a_function_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is LlamaIndex's own, and no caller can change it for the next."""
    tool = FunctionTool.from_defaults(book)
    own = tool.metadata.get_parameters_dict()
    sent(tool)["parameters"]["properties"].clear()
    made = []
    make = ToolMetadata.get_parameters_dict
    monkeypatch.setattr(
        ToolMetadata, "get_parameters_dict", lambda self: made.append(self) or make(self)
    )
    assert sent(tool)["parameters"] == own
    assert own["properties"].keys() == {"city", "nights", "tags", "pay"}
    assert made == []


def test_a_name_and_a_description_may_change() -> None:
    """They are not remembered."""
    tool = FunctionTool.from_defaults(book)
    sent(tool)
    tool.metadata.name, tool.metadata.description = "réserver", "Réserver une chambre."
    assert (sent(tool)["name"], sent(tool)["description"]) == ("réserver", "Réserver une chambre.")


COLOURS = ["red"]


def with_colours(schema: dict[str, Any]) -> None:
    schema["properties"]["colour"]["enum"] = list(COLOURS)


class OfModel(BaseModel):
    model_config = ConfigDict(json_schema_extra=with_colours)
    colour: str


class OfField(BaseModel):
    colour: str = Field(json_schema_extra=lambda schema: schema.update(enum=list(COLOURS)))


class OfMethod(BaseModel):
    colour: str

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        schema = super().model_json_schema(*args, **kwargs)
        with_colours(schema)
        return schema


class OfPart(BaseModel):
    part: OfField


@pytest.mark.parametrize("schema", [OfModel, OfField, OfMethod, OfPart], ids=lambda s: s.__name__)
def test_a_schema_that_a_function_writes_is_made_each_time(
    schema: type[BaseModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may list what there is at the moment."""
    tool = tool_of(schema)
    assert '"green"' not in repr(sent(tool)).replace("'", '"')
    monkeypatch.setattr(sys.modules[__name__], "COLOURS", ["red", "green"])
    assert '"green"' in repr(sent(tool)).replace("'", '"')


def test_a_class_that_was_rebuilt_has_its_new_schema() -> None:
    """As pydantic makes it after a field was changed."""

    class Asked(BaseModel):
        city: str = Field(description="old")

    tool = tool_of(Asked)
    assert sent(tool)["parameters"]["properties"]["city"]["description"] == "old"
    Asked.model_fields["city"].description = "new"
    Asked.model_rebuild(force=True)
    assert sent(tool)["parameters"]["properties"]["city"]["description"] == "new"


@dataclass
class Short(ToolMetadata):
    def to_openai_tool(self, skip_length_check: bool = False) -> dict[str, Any]:
        """Return a tool without arguments."""
        assert skip_length_check
        return {"type": "function", "function": {"name": "x", "description": "", "parameters": {}}}


def test_metadata_of_another_class_writes_its_own_tool() -> None:
    """A subclass may replace any part of it, but for the name that the agent knows."""
    tool = FunctionTool(book, metadata=Short("Book a room.", "book"))
    assert sent(tool) == {"name": "book", "description": "", "parameters": {}}
