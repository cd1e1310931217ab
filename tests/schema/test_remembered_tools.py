"""A tool is flattened once, and remembering is never seen in what is sent."""

from copy import deepcopy
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import pytest

from ollama_transport import ConfigError
from ollama_transport.schema import remembered
from ollama_transport.schema.remembered import flattened_tool
from ollama_transport.schema.tools import flatten_tool


class Colour(StrEnum):
    RED = "red"


def as_tool(properties: dict[str, Any], name: str = "plan") -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def test_equal_tools_are_flattened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema is walked at the first call only, for the same object and for an equal one."""
    walked: list[str] = []

    def counted(tool: Any) -> dict[str, Any]:
        walked.append(tool["function"]["name"])
        return flatten_tool(tool)

    monkeypatch.setattr(remembered, "flatten_tool", counted)
    tool = as_tool({"a": {"type": "string"}}, "walked_once")
    first = flattened_tool(tool)
    assert flattened_tool(tool) == flattened_tool(deepcopy(tool)) == first == flatten_tool(tool)
    assert walked == ["walked_once"]


@pytest.mark.parametrize(
    "change",
    [
        lambda properties: properties["a"].update(type="integer"),
        lambda properties: properties["a"].update(enum=[True]),
        lambda properties: properties["a"].update(enum=[1.0]),
        lambda properties: properties.update(a=properties.pop("a")),
        lambda properties: properties.update(c={"type": "string"}),
    ],
    ids=["type", "True for 1", "1.0 for 1", "order", "property"],
)
def test_a_tool_changed_in_place_is_sent_changed(change: Any) -> None:
    """The same dict with another content gives what a new dict of that content gives."""
    tool = as_tool({"a": {"type": "integer", "enum": [1]}, "b": {"type": "string"}})
    flattened_tool(tool)
    change(tool["function"]["parameters"]["properties"])
    assert repr(flattened_tool(tool)) == repr(flatten_tool(tool))


@pytest.mark.parametrize(
    "tool",
    [
        MappingProxyType(as_tool({"a": {"type": "string"}})),
        as_tool({"a": {"type": "string", "enum": [Colour.RED]}}),
        as_tool({"a": {"type": "string", "description": "long " * 20_000}}),
    ],
    ids=["a mapping", "an enum's member", "large"],
)
def test_uncacheable_schemas_are_flattened_each_time(tool: Any) -> None:
    """Mappings of other kinds, members of enums and very large tools are sent as before."""
    before = remembered._of_content.cache_info().currsize
    assert flattened_tool(tool) == flatten_tool(tool)
    assert remembered._of_content.cache_info().currsize == before


def test_a_bad_tool_is_an_error_each_time() -> None:
    """An error is not remembered as a result, and says the same each time."""
    said = []
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            flattened_tool({"type": "function", "function": {"name": ""}})
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "no name" in said[0]
