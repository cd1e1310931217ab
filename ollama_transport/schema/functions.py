"""Python functions as tools, described by their signatures and docstrings."""

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, create_model

from ollama_transport.errors import ConfigError

_SECTION = re.compile(
    r"^\s*(args|arguments|parameters|returns?|yields?|raises|examples?|notes?):", re.I
)
_ARGS = re.compile(r"^\s*(args|arguments|parameters):\s*$", re.I)
# Repeats have bounds, so that no line costs more than its length.
_ARGUMENT = re.compile(r"^(\*{0,2}\w{1,200})\s{0,50}(?:\([^)]{0,500}\))?\s{0,50}::?\s{0,50}(.*)$")
_SPHINX = re.compile(r"^\s{0,200}:param\s{1,50}(?:[^:]{0,300}\s)?(\w{1,200}):\s{0,50}(.*)$")
_FIELD = re.compile(r"^\s{0,200}:(\w{1,200})\b[^:]{0,300}:")


def function_tool(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a tool for a function, or for a pydantic class of its arguments.

    The parameters come from the annotations (a parameter without one is text), their descriptions
    from the docstring, in the style of Google or as ``:param name:``; ``Annotated[…, Field(…)]``
    adds to both. ``*args`` and ``**kwargs`` are left out.

    Raises:
        ConfigError: for a function without a name or a signature, and for an annotation that no
            JSON schema can express.
    """
    name = getattr(function, "__name__", None)
    if not isinstance(name, str) or name == "<lambda>":
        raise ConfigError(
            f"{function!r:.80} has no name: give a function that has one, or the tool as a dict."
        )
    if isinstance(function, type) and issubclass(function, BaseModel):
        schema, description = function.model_json_schema(), inspect.getdoc(function) or ""
    else:
        description, told = read_docstring(inspect.getdoc(function))
        schema = _arguments(function, name, told)
    # The tool has its name and description beside the parameters.
    schema = {key: value for key, value in schema.items() if key not in ("title", "description")}
    parameters = {**schema, "properties": _untitled(schema.get("properties", {}))}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


def _arguments(function: Callable[..., Any], name: str, told: Mapping[str, str]) -> dict[str, Any]:
    try:
        signature = inspect.signature(function)
        hints = typing.get_type_hints(function, include_extras=True)
        fields: dict[str, Any] = {
            parameter.name: _field(parameter, hints, told)
            for parameter in signature.parameters.values()
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        }
        # Aliases, since pydantic reserves some names that a parameter may have.
        model = create_model(
            name,
            __config__=ConfigDict(arbitrary_types_allowed=False),
            **{f"p{place}": field for place, field in enumerate(fields.values())},
        )
        return model.model_json_schema(by_alias=True)
    except (NameError, TypeError, ValueError, PydanticUserError) as error:
        # The rest of pydantic's message is advice about its own configuration.
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise ConfigError(
            f"the function {name} cannot be described to a model: {reason}. Annotate its "
            "parameters with types that JSON has, or give the tool as a dict."
        ) from error


def _field(
    parameter: inspect.Parameter, hints: Mapping[str, Any], told: Mapping[str, str]
) -> tuple[Any, Any]:
    annotation = hints.get(parameter.name, str)
    default = ... if parameter.default is parameter.empty else parameter.default
    more = {"description": told[parameter.name]} if parameter.name in told else {}
    return annotation, Field(default, alias=parameter.name, **more)  # type: ignore[call-overload] # keywords by name


def _untitled(properties: Mapping[str, Any]) -> dict[str, Any]:
    # pydantic repeats each name as a title, which costs tokens and says nothing new.
    return {
        name: {key: value for key, value in schema.items() if key != "title"}
        for name, schema in properties.items()
    }


def read_docstring(text: str | None) -> tuple[str, dict[str, str]]:
    """Return the description of a docstring without its sections, and that of each argument."""
    lines = [] if text is None else text.splitlines()
    # Arguments are described in the schema; the other sections are for people.
    ends = [n for n, line in enumerate(lines) if _SECTION.match(line) or _FIELD.match(line)]
    description = "\n".join(lines[: ends[0]] if ends else lines).strip()
    starts = [n for n, line in enumerate(lines) if _ARGS.match(line)]
    told = _google(lines[starts[0] + 1 :]) if starts else {}
    return description, {**told, **_sphinx(lines)}


def _google(lines: list[str]) -> dict[str, str]:
    told: dict[str, list[str]] = {}
    margin: int | None = None
    name = ""
    for line in lines:
        if _SECTION.match(line) and (margin is None or _indent(line) < margin):
            break
        if not line.strip():
            continue
        # Deeper lines than the first argument continue a description.
        margin = _indent(line) if margin is None else margin
        found = _ARGUMENT.match(line.strip()) if _indent(line) <= margin else None
        if found is not None:
            name = found[1].lstrip("*")
            told[name] = [found[2].strip()]
        elif name:
            told[name].append(line.strip())
    return {name: " ".join(part for part in parts if part) for name, parts in told.items()}


def _sphinx(lines: list[str]) -> dict[str, str]:
    told: dict[str, str] = {}
    for line in lines:
        found = _SPHINX.match(line)
        if found is not None:
            told[found[1]] = found[2].strip()
    return told


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
