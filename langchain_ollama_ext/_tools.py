"""Convert tools, tool choices and formats from every form in LangChain to the transport's.

The transport adapts the schemas to the server: it moves what the server would drop into
descriptions.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from ollama_transport import ConfigError, NamedTool, ToolChoice
from ollama_transport.callers import caller_level
from ollama_transport.settings import check_format

_CHOICES: Mapping[object, ToolChoice | None] = {
    "auto": "auto",
    "none": "none",
    "any": "required",
    "required": "required",
    True: "required",
    False: None,
    None: None,
}


def read_tools(tools: Sequence[Any], *, strict: bool | None = None) -> list[dict[str, Any]]:
    """Return tools as OpenAI-style function objects.

    Accepts functions, pydantic classes, TypedDicts, BaseTools, JSON schemas, and the dicts of
    OpenAI and Anthropic. Function objects are returned unchanged.
    """
    return [_read_tool(tool, strict) for tool in tools]


def _read_tool(tool: Any, strict: bool | None) -> dict[str, Any]:
    if strict is None and isinstance(tool, dict) and isinstance(tool.get("function"), Mapping):
        return tool
    # Imported here, like those below, so that only calls with tools load it.
    from langchain_core.utils.function_calling import convert_to_openai_tool

    # The form of OpenAI's Responses API has no object around the function.
    if isinstance(tool, Mapping) and tool.get("type") == "function" and "function" not in tool:
        tool = {key: value for key, value in tool.items() if key != "type"}
    if isinstance(tool, Mapping) and not _describes_function(tool):
        raise ConfigError(
            f"the tool {dict(tool)!r:.120} is not a function: Ollama has no tools that the "
            "provider runs (web_search, code_interpreter, …); give a function instead."
        )
    # Names and descriptions are core's; only its schemas are incomplete.
    converted = convert_to_openai_tool(tool, strict=strict)
    parameters = _whole_parameters(tool)
    if parameters is None:
        return converted
    closed = _closed(parameters) if strict else parameters
    return {**converted, "function": {**converted["function"], "parameters": closed}}


def _closed(schema: Any) -> Any:
    """Return a schema whose objects allow no other properties, as in OpenAI's strict mode."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return {**closed, "additionalProperties": False} if "properties" in schema else closed


def _describes_function(tool: Mapping[str, Any]) -> bool:
    # A tool that a provider runs also has a type and a name, but no schema and no description.
    kind = tool.get("type", "function")
    shaped = any(key in tool for key in ("input_schema", "parameters", "description", "function"))
    if isinstance(kind, str) and kind not in ("function", "custom", "object") and not shaped:
        return False
    # OpenAI's custom tools take text; those of Anthropic's that are called so have a schema.
    if kind == "custom" and not ("input_schema" in tool or "parameters" in tool):
        return False
    return any(key in tool for key in ("function", "name", "title", "toolSpec"))


def _whole_parameters(tool: Any) -> dict[str, Any] | None:
    """Return the schema of a tool's arguments with its references; None to use core's schema.

    Core resolves references and leaves ``{}`` where a model contains itself. The transport handles
    such references better, if it gets them.
    """
    model = _arguments_model(tool)
    if isinstance(model, Mapping):
        schema = model
    elif hasattr(model, "model_json_schema"):
        schema = model.model_json_schema()
    else:
        return None
    return {key: schema[key] for key in schema if key not in ("title", "description")}


def _arguments_model(tool: Any) -> Any:
    from langchain_core.tools import BaseTool, Tool
    from langchain_core.tools.base import create_schema_from_function
    from langchain_core.utils.pydantic import is_basemodel_subclass
    from typing_extensions import is_typeddict

    if isinstance(tool, BaseTool):
        # A Tool without a schema takes one string, for which core has its own convention.
        return None if isinstance(tool, Tool) and not tool.args_schema else tool.tool_call_schema
    if isinstance(tool, type):
        return tool if is_basemodel_subclass(tool) and not is_typeddict(tool) else None
    # A dict contains its schema, including references.
    if isinstance(tool, Mapping):
        return None
    return create_schema_from_function(
        tool.__name__,
        tool,
        filter_args=(),
        parse_docstring=True,
        error_on_invalid_docstring=False,
        include_injected=False,
    )


def tool_names(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of OpenAI-style function objects."""
    return [str(tool["function"]["name"]) for tool in tools]


def read_tool_choice(choice: object) -> ToolChoice | None:
    """Return a tool choice in the transport's form; None leaves it to the model.

    Accepts "auto", "none", "any", "required", True, False, the name of a tool, and the dicts of
    OpenAI and Anthropic.

    Raises:
        ConfigError: for anything else.
    """
    # Checked by type: True and 1 are the same key of a dict.
    if choice is None or isinstance(choice, bool):
        return _CHOICES[choice]
    if isinstance(choice, str) and choice:
        return _CHOICES.get(choice, NamedTool(choice))
    if isinstance(choice, Mapping):
        return _read_choice_dict(choice)
    raise _no_choice(choice)


def _read_choice_dict(choice: Mapping[str, Any]) -> ToolChoice | None:
    function = choice.get("function")
    name = function.get("name") if isinstance(function, Mapping) else choice.get("name")
    if isinstance(name, str) and name:
        return NamedTool(name)
    if choice.get("type") in ("auto", "none", "any", "required"):
        return _CHOICES[choice["type"]]
    raise _no_choice(choice)


def _no_choice(choice: object) -> ConfigError:
    return ConfigError(
        f'tool_choice={choice!r} is invalid: give "auto", "none", "any", the name of a tool, or '
        '{"type": "function", "function": {"name": …}}.'
    )


def check_choice(choice: object, tools: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a choice that these tools cannot satisfy.

    Raises:
        ConfigError: when the named tool is missing, or a call is forced without any tools.
    """
    chosen, names = read_tool_choice(choice), tool_names(tools)
    if isinstance(chosen, NamedTool) and chosen.name not in names:
        raise ConfigError(
            f"tool_choice names {chosen.name!r}, which is not among the tools: "
            f"{', '.join(names) if names else 'none were given'}."
        )
    if chosen == "required" and not names:
        raise ConfigError(f"tool_choice={choice!r} needs tools: none were given.")


def read_format(value: object) -> str | Mapping[str, Any] | None:
    """Return the server's ``format`` for a ``format`` or ``response_format``.

    Accepts "json", a JSON schema, OpenAI's json_object, json_schema and text, function dicts, and
    pydantic and TypedDict classes.

    Raises:
        ConfigError: for anything else.
    """
    if isinstance(value, type):
        return _class_schema(value)
    # The server's own values: "json" and "".
    if not isinstance(value, Mapping):
        return check_format(value)
    if value.get("type") == "json_object":
        return "json"
    if set(value) == {"type"} and value["type"] == "text":
        return None
    # Imported here for the same reason as in _read_tool.
    from ollama_transport.schema import unwrap_schema

    bare = unwrap_schema(value)
    inner = value.get("json_schema", value)
    strict = inner.get("strict") if isinstance(inner, Mapping) else None
    # The transport sends `strict` on the wire that has a field for it.
    return {**bare, "strict": strict} if isinstance(strict, bool) else bare


def read_response_format(value: object) -> str | Mapping[str, Any] | None:
    """Return the server's ``format`` for an OpenAI-style ``response_format``; as `read_format`.

    Like langchain-ollama, it ignores a format without a shape, with a warning: "text", and an
    envelope without a schema.

    Raises:
        ConfigError: for an invalid response format.
    """
    lack = _lack_of(value) if isinstance(value, Mapping) else None
    if lack is None:
        return read_format(value)
    warnings.warn(f"response_format={value!r:.200} is ignored: {lack}.", stacklevel=caller_level())
    return None


def _lack_of(given: Mapping[str, Any]) -> str | None:
    if given.get("type") == "text":
        return '"text" has no shape'
    if given.get("type") != "json_schema":
        return None
    inner = given.get("json_schema", given)
    has_schema = isinstance(inner, Mapping) and isinstance(inner.get("schema"), Mapping)
    return None if has_schema else "it has no schema"


def _class_schema(cls: type) -> dict[str, Any]:
    if hasattr(cls, "model_json_schema"):
        return dict(cls.model_json_schema())
    from langchain_core.utils.function_calling import convert_to_json_schema

    return convert_to_json_schema(cls)
