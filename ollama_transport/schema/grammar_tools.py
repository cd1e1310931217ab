"""Rewrite the parameters of tools for the engine's grammar."""

from collections.abc import Mapping, Sequence
from typing import Any

from ollama_transport.errors import ConfigError
from ollama_transport.schema.grammar import grammar_safe
from ollama_transport.schema.refused import not_a_function

_CONTAINERS = ("$defs", "definitions")
_MAPPINGS = (dict, Mapping)  # checking a dict against Mapping alone takes ten times as long


def tool_name(tool: Mapping[str, Any]) -> str:
    """Return the name of an OpenAI-style tool.

    Raises:
        ConfigError: when it has none.
    """
    function = tool.get("function")
    name = function.get("name") if isinstance(function, _MAPPINGS) else None
    if not isinstance(name, str) or not name:
        raise not_a_function(tool)
    return name


def fit_parameters(tool: Mapping[str, Any], *, keep_ignored: bool = False) -> dict[str, Any]:
    """Return the schema of a tool's arguments for the grammar; an object if there is none.

    Raises:
        ConfigError: naming tool and field; see grammar_safe.
    """
    given = tool["function"].get("parameters")
    try:
        if given is not None and not isinstance(given, Mapping):
            raise ConfigError(
                f"its parameters are {given!r:.200}: give a JSON schema of an object."
            )
        fit = grammar_safe(given if given else {"type": "object"}, keep_ignored=keep_ignored)
    except ConfigError as error:
        raise ConfigError(f"the tool {tool_name(tool)!r}: {error}") from error
    # Without properties the grammar allows any object, and some servers refuse the tool.
    bare = set(fit) <= {"type", "title", "description", "required"}
    return {**fit, "properties": {}} if bare else fit


def fit_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a function tool with parameters for the grammar, for a server that supports tools.

    Keywords that the grammar drops are kept, since other engines enforce them.

    Raises:
        ConfigError: naming tool and field; see grammar_safe.
    """
    tool_name(tool)
    function = {**tool["function"], "parameters": fit_parameters(tool, keep_ignored=True)}
    return {**tool, "function": function}


def hoisted(shapes: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return schemas without their definitions, and all definitions for one common root.

    References start at the root. If several schemas have definitions, the names get the number of
    the schema as a prefix.
    """
    bare: list[dict[str, Any]] = []
    gathered: dict[str, Any] = {}
    # Two tools may define the same name differently.
    several = sum(any(key in shape for key in _CONTAINERS) for shape in shapes) > 1
    for at, shape in enumerate(shapes):
        prefix = f"#/$defs/{at}-" if several else "#/$defs/"
        moved = _referring(shape, prefix)
        defined = {n: one for key in _CONTAINERS for n, one in moved.pop(key, {}).items()}
        gathered |= {f"{prefix.rpartition('/')[2]}{name}": one for name, one in defined.items()}
        bare.append(moved)
    return bare, gathered


def _referring(schema: Any, prefix: str) -> Any:
    """Return a schema whose references point below ``prefix``."""
    if isinstance(schema, list):
        return [_referring(one, prefix) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    moved = {key: _referring(value, prefix) for key, value in schema.items()}
    ref = moved.get("$ref")
    return {**moved, "$ref": prefix + ref.rpartition("/")[2]} if isinstance(ref, str) else moved
