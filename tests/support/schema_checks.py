"""What must hold for every tool schema that was made flat: nothing is dropped, nothing is lost."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ollama_transport.schema.tools import flatten_tool

ANYTHING = ["string", "number", "boolean", "array", "object"]


def as_tool(schema: Mapping[str, Any], name: str = "place") -> dict[str, Any]:
    """An OpenAI-style tool without a description."""
    return {"type": "function", "function": {"name": name, "parameters": schema, "strict": True}}


def as_carried(schema: Any) -> Any:
    """What the server passes on of a property, refusing what it refuses (wire reference 3.4)."""
    assert isinstance(schema, dict), f"400: a property that is not an object: {schema!r}"
    carried = {key: value for key, value in schema.items() if key in {"description", "enum"}}
    if "type" in schema:
        named = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert all(isinstance(one, str) for one in named), "400: a type that is no string"
        carried["type"] = schema["type"]
    if "items" in schema:
        carried["items"] = as_carried(schema["items"])
    if "anyOf" in schema:
        carried["anyOf"] = [as_carried(one) for one in schema["anyOf"]]
    if "properties" in schema:
        carried["properties"] = {k: as_carried(v) for k, v in schema["properties"].items()}
    if "required" in schema:
        carried["required"] = schema["required"]
    return carried


def carried_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """What the server passes on of a whole tool."""
    function = tool["function"]
    parameters = function["parameters"]
    kept = {key: parameters[key] for key in ("type", "required") if key in parameters}
    kept["properties"] = {k: as_carried(v) for k, v in parameters["properties"].items()}
    return {
        "type": "function",
        "function": {
            **{key: function[key] for key in ("name", "description") if key in function},
            "parameters": kept,
        },
    }


QUOTED = {
    *("default", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "minItems", "maxItems", "format", "pattern", "const", "enum"),
    *("description", "examples"),
}
NESTED = {"items", "additionalProperties"}
LISTS = {"anyOf", "oneOf", "allOf", "prefixItems"}
MAPS = {"properties", "$defs", "definitions", "patternProperties"}


def told(schema: Any) -> Iterator[str]:
    """Every piece of information in a schema, as the text by which it can be found again."""
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        if key.startswith("exclusive") and isinstance(value, bool):
            continue  # draft 4: it says how the bound beside it is meant
        if key in QUOTED and value is not None:
            values = value if key in {"enum", "examples"} else [value]
            yield from (
                one if isinstance(one, str) else json.dumps(one)
                for one in values
                if one is not None  # null has its own tests
            )
        elif key in MAPS:
            yield from (name for name in value if key == "properties")
            for sub in value.values():
                yield from told(sub)
        elif key in LISTS:
            for sub in value:
                yield from told(sub)
        elif key in NESTED:
            yield from told(value)


def strings(value: Any) -> Iterator[str]:
    """Every text in a value, and every other scalar as its JSON."""
    if isinstance(value, Mapping):
        for key, sub in value.items():
            yield key
            yield from strings(sub)
    elif isinstance(value, list):
        for sub in value:
            yield from strings(sub)
    else:
        yield value if isinstance(value, str) else json.dumps(value)


def checked(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a tool and check what holds for every one; return its function."""
    before = copy.deepcopy(tool)
    flat = flatten_tool(tool)
    assert tool == before, "the argument was changed"
    assert carried_tool(flat) == flat, "the server would drop something"
    assert flatten_tool(flat) == flat, "a second pass changed it"
    assert json.loads(json.dumps(flat)) == flat
    text = "\n".join(strings(flat)).replace('\\"', '"')
    lost = [piece for piece in told(tool["function"].get("parameters", {})) if piece not in text]
    assert lost == [], f"lost: {lost}"
    return dict(flat["function"])


def parameters_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    function = checked({"type": "function", "function": {"name": "f", "parameters": schema}})
    return dict(function["parameters"])


def of_property(schema: Any, *, required: bool = True) -> dict[str, Any]:
    """The flat form of one property called "it"."""
    parameters = {"type": "object", "properties": {"it": schema}}
    if required:
        parameters["required"] = ["it"]
    return dict(parameters_of(parameters)["properties"]["it"])
