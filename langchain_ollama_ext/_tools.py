"""Tools, tool choices and formats in every way LangChain writes them, as the transport takes them.

What a schema loses on its way to the server is the transport's affair: it folds into descriptions
what the server would drop.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from ollama_transport import ConfigError, NamedTool, ToolChoice
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

    Takes functions, pydantic classes, TypedDicts, BaseTools, JSON schemas, and the dicts of
    OpenAI and Anthropic. What is a function object already is passed on as it is.
    """
    return [_read_tool(tool, strict) for tool in tools]


def _read_tool(tool: Any, strict: bool | None) -> dict[str, Any]:
    if strict is None and isinstance(tool, dict) and isinstance(tool.get("function"), Mapping):
        return tool
    # Here and not above, like the next ones: only who has tools need load what reads them.
    from langchain_core.utils.function_calling import convert_to_openai_tool

    if isinstance(tool, Mapping) and not _describes_function(tool):
        raise ConfigError(
            f"the tool {dict(tool)!r:.120} is not a function: tools that a provider runs itself "
            "(web_search, code_interpreter, …) do not exist in Ollama."
        )
    # Core knows names and descriptions best; only its schemas lose something.
    converted = convert_to_openai_tool(tool, strict=strict)
    parameters = _whole_parameters(tool)
    if parameters is None:
        return converted
    closed = _closed(parameters) if strict else parameters
    return {**converted, "function": {**converted["function"], "parameters": closed}}


def _closed(schema: Any) -> Any:
    """Return a schema whose objects allow no further properties, as OpenAI's strict mode asks."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return {**closed, "additionalProperties": False} if "properties" in schema else closed


def _describes_function(tool: Mapping[str, Any]) -> bool:
    # A provider's own tool has a type and a name as well, but neither a schema nor a description.
    kind = tool.get("type", "function")
    shaped = any(key in tool for key in ("input_schema", "parameters", "description", "function"))
    if isinstance(kind, str) and kind not in ("function", "custom", "object") and not shaped:
        return False
    return any(key in tool for key in ("function", "name", "title", "toolSpec"))


def _whole_parameters(tool: Any) -> dict[str, Any] | None:
    """Return the schema of a tool's arguments with its references; None to take core's.

    Core resolves references by itself and leaves ``{}`` where a model contains itself. The
    transport does better, if it gets them.
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
        # A Tool without a schema takes one string, which core writes by a convention of its own.
        return None if isinstance(tool, Tool) and not tool.args_schema else tool.tool_call_schema
    if isinstance(tool, type):
        return tool if is_basemodel_subclass(tool) and not is_typeddict(tool) else None
    # A dict has its schema with it, references and all.
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
    """Return a choice of tools; None leaves it to the model.

    Takes "auto", "none", "any", "required", True, False, the name of a tool, and the dicts of
    OpenAI and Anthropic.

    Raises:
        ConfigError: for anything else.
    """
    # Asked before the names: True and 1 are one key of a dict.
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
        f'tool_choice={choice!r} is not understood: give "auto", "none", "any", the name of a '
        'tool, or {"type": "function", "function": {"name": …}}.'
    )


def check_choice(choice: object, tools: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a choice that these tools cannot fulfil.

    Raises:
        ConfigError: when the named tool is not among them, or one is forced and there is none.
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
    """Return ``format`` out of a ``format`` or ``response_format``.

    Takes "json", a JSON schema, OpenAI's json_object, json_schema and text, function dicts, and
    pydantic and TypedDict classes.

    Raises:
        ConfigError: for anything else.
    """
    if isinstance(value, type):
        return _class_schema(value)
    # Texts are the server's own, "json" and "".
    if not isinstance(value, Mapping):
        return check_format(value)
    if value.get("type") == "json_object":
        return "json"
    if set(value) == {"type"} and value["type"] == "text":
        return None
    # As in _read_tool.
    from ollama_transport.schema import unwrap_schema

    bare = unwrap_schema(value)
    inner = value.get("json_schema", value)
    strict = inner.get("strict") if isinstance(inner, Mapping) else None
    # The transport sends the caller's word on where the wire has a place for it.
    return {**bare, "strict": strict} if isinstance(strict, bool) else bare


def read_response_format(value: object) -> str | Mapping[str, Any] | None:
    """Return ``format`` out of an OpenAI-style ``response_format``; as `read_format`.

    One that holds no shape is left out with a warning, as langchain-ollama does: "text", and an
    envelope without its schema.

    Raises:
        ConfigError: for what is no response format.
    """
    lack = _lack_of(value) if isinstance(value, Mapping) else None
    if lack is None:
        return read_format(value)
    warnings.warn(f"response_format={value!r:.200} is left out: {lack}.", stacklevel=2)
    return None


def _lack_of(given: Mapping[str, Any]) -> str | None:
    if given.get("type") == "text":
        return '"text" asks for no shape'
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
