"""Interpret an output schema in any form: as a JSON schema and a way to build the result."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel
from pydantic.v1 import BaseModel as BaseModelV1
from typing_extensions import is_typeddict

from langchain_ollama_ext._growing import Made, target_of
from langchain_ollama_ext._schema_check import check_value
from langchain_ollama_ext._typed_dicts import typed_dict_schema
from ollama_transport import ConfigError
from ollama_transport.conversation import PLAIN, Target
from ollama_transport.schema import unwrap_schema

_ACCEPTED = (
    "a pydantic class (v1 or v2), a TypedDict class, or a dict that is a JSON schema, an OpenAI "
    "tool or function, or OpenAI's json_schema response format"
)
# Templates write tool names into markup, and parsers only read these characters back.
_UNFIT_FOR_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


@dataclass(frozen=True, slots=True)
class Shape:
    """A schema, parsed: ``make`` turns parsed JSON into what the caller wants to have.

    ``make`` raises ValueError (such as pydantic's ValidationError) for a value that does not fit;
    for a TypedDict and a dict it returns the value unchanged. ``check`` raises ValueError for a
    complete value that does not fit, naming the fields. ``target`` converts the parts of an
    incomplete answer.
    """

    name: str
    json_schema: Mapping[str, Any]
    make: Callable[[Any], Any]
    check: Callable[[Any], None]
    target: Target = PLAIN

    def as_tool(self) -> dict[str, Any]:
        """Return the OpenAI-style tool whose arguments have this shape."""
        function: dict[str, Any] = {"name": self.name, "parameters": dict(self.json_schema)}
        if isinstance(self.json_schema.get("description"), str):
            function["description"] = self.json_schema["description"]
        return {"type": "function", "function": function}


def understood(schema: object) -> Shape:
    """Return a schema in any form as a Shape.

    Raises:
        ConfigError: for anything that is not a schema; it names what is accepted.
    """
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        wanted, make = schema.model_json_schema(), schema.model_validate
        return Shape(_fit(schema.__name__), wanted, make, _is_made, target_of(schema))
    if isinstance(schema, type) and issubclass(schema, BaseModelV1):
        parse = schema.parse_obj
        return Shape(_fit(schema.__name__), schema.schema(), parse, _is_made, Made(parse))
    if isinstance(schema, type) and is_typeddict(schema):
        typed = typed_dict_schema(schema)
        return Shape(schema.__name__, typed, _as_it_is, partial(check_value, typed))
    if isinstance(schema, Mapping):
        bare = unwrap_schema(schema)
        return Shape(_name_of(schema, bare), bare, _as_it_is, partial(check_value, bare))
    raise ConfigError(f"{schema!r:.200} is not an output schema: give {_ACCEPTED}.")


def _as_it_is(value: Any) -> Any:
    return value


def _is_made(_: Any) -> None:
    """Do nothing: objects of a class are already validated."""


ANYTHING = Shape("answer", {}, _as_it_is, _is_made)
"""The shape of JSON mode without a schema."""


def _name_of(schema: Mapping[str, Any], bare: Mapping[str, Any]) -> str:
    """Return the name in an envelope, or the schema's title, fit for a tool."""
    for part in (schema.get("function"), schema.get("json_schema"), schema):
        if isinstance(part, Mapping) and isinstance(part.get("name"), str):
            return _fit(part["name"])
    title = bare.get("title")
    return _fit(title) if isinstance(title, str) and title else "answer"


def _fit(name: str) -> str:
    # Titles may contain spaces, and the names of generic classes brackets: Box[int].
    return _UNFIT_FOR_NAMES.sub("_", name)


def with_lists_read(arguments: Any, schema: Mapping[str, Any]) -> Any:
    """Return arguments with the lists and objects that a model wrote as text.

    Text stays text where the schema of the argument allows text.
    """
    properties = schema.get("properties")
    if not isinstance(arguments, Mapping) or not isinstance(properties, Mapping):
        return arguments
    return {
        name: value if _allows_text(properties.get(name, True)) else _read_list(value)
        for name, value in arguments.items()
    }


def _allows_text(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return True
    kinds = schema.get("type", ())
    if kinds == "string" or (not isinstance(kinds, str) and "string" in kinds):
        return True
    choices = (schema.get(key, ()) for key in ("anyOf", "oneOf"))
    return any(_allows_text(choice) for found in choices for choice in found)


def _read_list(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, list | dict) else value
