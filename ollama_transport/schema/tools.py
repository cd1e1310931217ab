"""Rewrite tool schemas so that they reach the model without loss.

Of each property the server keeps ``type``, ``anyOf``, ``items``, ``description``, ``enum``,
``properties`` and ``required`` and silently drops the rest (wire reference 3.4), so that a
``$ref`` becomes a property without a type. Here references are inlined, and other keywords go into
descriptions.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from ollama_transport.errors import ConfigError
from ollama_transport.schema.notes import as_json, joined, notes, says
from ollama_transport.schema.parts import (
    FALLBACKS,
    MAX_DEPTH,
    MAX_LEVELS,
    MAX_NODES,
    UNBOUNDED,
    Budget,
    Found,
    Part,
    TooLargeError,
    Walk,
    gather,
    listed,
)
from ollama_transport.schema.refused import not_a_function

# Instead of no type: tool-call parsers convert arguments by their declared types.
_ANYTHING = ("string", "number", "boolean", "array", "object")
_TYPE_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}
_MAX_QUOTED = 2000
"""Characters of a schema quoted in a description: nested quotes grow with each level."""
_BARE = ("type", "properties", "$ref", "anyOf", "oneOf", "allOf", "enum")


def flatten_tool(tool: Mapping[str, Any], *, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Return an OpenAI-style function tool that the server passes on without loss.

    Text about the arguments as a whole goes into the function's description. ``strict`` is dropped,
    since the server does not support it. ``max_depth`` is that of flatten_schema.

    Raises:
        ConfigError: for a tool that is not a function or has no name; see also flatten_schema.
    """
    function = tool.get("function")
    if tool.get("type", "function") != "function" or not isinstance(function, Mapping):
        raise not_a_function(tool)
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigError(f"a tool has no name: {as_json(function):.200}.")
    said = str(function["description"]) if function.get("description") is not None else ""
    try:
        parameters, note = _flatten_parameters(function.get("parameters"), max_depth)
    except ConfigError as error:
        raise ConfigError(f"the tool {name!r}: {error}") from error
    # The docstring of the arguments' class is often the tool's description.
    description = note if said and note.startswith(said) else joined([said, note])
    described = {"description": description} if description else {}
    return {
        "type": "function",
        "function": {"name": name, **described, "parameters": parameters},
    }


def _flatten_parameters(parameters: Any, max_depth: int) -> tuple[dict[str, Any], str]:
    if parameters is None or parameters == {}:
        return {"type": "object", "properties": {}}, ""
    if not isinstance(parameters, Mapping):
        raise ConfigError(f"its parameters are {parameters!r}: give a JSON schema of an object.")
    # The title of the arguments is their class's name, which the tool's own name stands for.
    told = {key: value for key, value in parameters.items() if key != "title"}
    return _as_parameters(flatten_schema(told, max_depth=max_depth))


def _as_parameters(flat: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Split a flat schema into the parameters of a tool, and a note for its description."""
    branches = flat.get("anyOf", [])
    if not all(_is_object(one) for one in (flat, *branches)):
        raise ConfigError(
            f"its parameters are {_words(flat):.200}: give a JSON schema of an object."
        )
    properties = dict(flat.get("properties", {}))
    # The server drops anyOf here, so list the arguments of all sets, none of them required.
    for branch in branches:
        for name, schema in branch.get("properties", {}).items():
            properties[name] = _either([properties.get(name, schema), schema])
    required = {"required": flat["required"]} if flat.get("required") else {}
    note = joined([flat.get("description", ""), _sets(branches)])
    return {"type": "object", **required, "properties": properties}, note


def _is_object(flat: Mapping[str, Any]) -> bool:
    return flat.get("type", "object") == "object" or flat.get("type") == list(_ANYTHING)


def _sets(branches: Sequence[Mapping[str, Any]]) -> str:
    sets = [joined([one.get("description", ""), _set_of(one)]) for one in branches]
    return f"Give one of these sets of arguments: {' Or: '.join(sets)}" if sets else ""


def _set_of(branch: Mapping[str, Any]) -> str:
    required = branch.get("required", [])
    optional = [name for name in branch.get("properties", {}) if name not in required]
    extra = f" (optional: {', '.join(optional)})" if optional else ""
    return f"{', '.join(required)}{extra}." if required or optional else "none."


def flatten_schema(schema: Mapping[str, Any], *, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Return a JSON schema that uses only the keywords that the server keeps.

    | in the schema | in the result |
    |---|---|
    | ``$ref`` | its target merged with its siblings; properties keep their order |
    | ``allOf`` | merged; ``oneOf`` is ``anyOf`` |
    | null among types or choices | dropped; "May be null." unless omitting it means the same |
    | ``const`` | ``enum`` of one value |
    | ``prefixItems`` | ``items`` of any of them, and their order in words |
    | other keywords | words in the description, as "Default 5. At least 1." |
    | True, {} | any type |

    A recursive definition is expanded ``max_depth`` times, then the description says "Nested deeper
    in the same shape"; expansions beyond MAX_NODES schemas are cut earlier, with a note. The
    argument is not changed; a second pass changes nothing.

    Raises:
        ConfigError: for a ``$ref`` without a target, an invalid value of a keyword, and a schema
            beyond MAX_LEVELS or MAX_NODES.
    """
    # Each attempt allows less than the one before, until the schema fits.
    for depth, refs in ((max(1, max_depth), UNBOUNDED), *FALLBACKS):
        walk = Walk(schema, max_depth=depth, max_refs=refs, budget=Budget())
        try:
            return _flatten([Part(schema, walk)])
        except TooLargeError:
            continue
    raise ConfigError(
        f"the schema nests deeper than {MAX_LEVELS} levels, or its $refs expand to more than "
        f"{MAX_NODES} schemas: give the tool fewer or smaller parameters."
    )


def _flatten(
    parts: Sequence[Part], *, name: str = "", optional: bool = False, typed: bool = False
) -> dict[str, Any]:
    """Return one flat schema for all ``parts``; ``typed`` if the parent already has the type."""
    found = Found()
    for part in parts:
        gather(part, found)
    # Each of these may add to found.notes and found.nullable, so the description comes last.
    types, enum = _types(found), _enum(found)
    choices = _choices(found, typed=typed or bool(types))
    items = _items(found, name)
    properties, required = _properties(found), _required(found)
    if not types:
        types = _implied(found, enum, typed=typed or bool(choices))
    flat: dict[str, Any] = {
        "type": types[0] if len(types) == 1 else types,
        "description": _description(found, name, optional=optional),
        "enum": enum,
        "items": items,
        "properties": properties,
        "required": required,
        "anyOf": choices if len(choices) > 1 else None,
    }
    kept = {key: value for key, value in flat.items() if value not in (None, "", [])}
    return _merged(choices[0], kept) if len(choices) == 1 else kept


def _merged(choice: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    # Equal choices were collapsed into one, which then applies to the value itself.
    description = joined([own.get("description", ""), choice.get("description", "")])
    return {**choice, **own, **({"description": description} if description else {})}


def _types(found: Found) -> list[str]:
    types: list[str] = []
    for value in found.all("type"):
        named = list(value) if isinstance(value, list | tuple) else [value]
        if not all(isinstance(one, str) for one in named):
            raise ConfigError(
                f"type in a JSON schema must be a name or a list of names, got {value!r}."
            )
        found.nullable |= "null" in named and len(named) > 1
        named = [one for one in named if one != "null"] if len(named) > 1 else named
        types = _narrowed(types, named) if types else named
    return types


def _narrowed(types: list[str], named: list[str]) -> list[str]:
    # Types that exclude each other match nothing; more likely, the nearest one was meant.
    both = [one for one in named if one in types or (one == "integer" and "number" in types)]
    return both if both else types


def _enum(found: Found) -> list[Any] | None:
    lists = [[value] for value in found.all("const")]
    lists += [
        list(listed(layer.schema, "enum")) for layer in found.layers if "enum" in layer.schema
    ]
    if not lists:
        return None
    # If they have no value in common, the nearest list was probably meant.
    both = [one for one in lists[0] if all(one in other for other in lists[1:])]
    enum = both if both else lists[0]
    left = [one for one in enum if one is not None]
    found.nullable |= 0 < len(left) < len(enum)
    return left


def _implied(found: Found, enum: list[Any] | None, *, typed: bool) -> list[str]:
    keys = {key for layer in found.layers for key in layer.schema}
    if enum is not None:
        return _unique(_TYPE_NAMES.get(type(one), "object") for one in enum) if enum else ["null"]
    if typed:
        return []  # such as {"required": ["a"]} among the choices of an object
    if keys & {"properties", "required", "additionalProperties", "patternProperties"}:
        return ["object"]
    return ["array"] if keys & {"items", "prefixItems"} else list(_ANYTHING)


def _choices(found: Found, *, typed: bool) -> list[dict[str, Any]]:
    groups = [_unique(_flatten([one], typed=typed) for one in group) for group in found.choices]
    for group in groups[1:]:  # more than one group cannot stand in one anyOf
        found.notes.append(f"And one of: {'; '.join(map(_words, group))}.")
    # A null may be behind a reference, where gather() does not find it.
    kept = [one for one in groups[0] if one.get("type") != "null"] if groups else []
    found.nullable |= bool(groups) and len(kept) < len(groups[0])
    return kept


def _properties(found: Found) -> dict[str, Any] | None:
    parts: dict[str, list[Part]] = {}
    for layer in found.layers:
        properties = layer.schema.get("properties", {})
        if not isinstance(properties, Mapping):
            raise ConfigError(
                f"properties in a JSON schema must be an object, got {properties!r:.200}."
            )
        for name, sub in properties.items():
            parts.setdefault(name, []).append(layer.sub(sub))
    required = _required(found)
    if not parts:  # "properties": {} has a meaning: an object without properties
        return {} if found.all("properties") else None
    return {
        name: _flatten(part, name=name, optional=name not in required)
        for name, part in parts.items()
    }


def _required(found: Found) -> list[str]:
    lists = [value for value in found.all("required") if isinstance(value, list | tuple)]
    return _unique(name for names in lists for name in names)


def _items(found: Found, name: str) -> dict[str, Any] | None:
    rest = [
        layer.sub(layer.schema["items"])
        for layer in found.layers
        if isinstance(layer.schema.get("items"), Mapping) and layer.schema["items"]
    ]
    ordered = [one for layer in found.layers for one in _ordered(layer)]
    further = [_flatten(rest, name=name)] if rest else []
    if not ordered:
        return further[0] if further else None
    flat = [_flatten([one]) for one in ordered]
    then = f"; then any number of: {_words(further[0])}" if further else ""
    found.notes.append(f"Items in order: {'; '.join(map(_words, flat))}{then}.")
    return _either([*flat, *further])


def _ordered(layer: Part) -> list[Part]:
    # Before draft 2020-12 (pydantic 1), a tuple was a list under "items".
    key = "items" if isinstance(layer.schema.get("items"), list) else "prefixItems"
    return [layer.sub(one) for one in listed(layer.schema, key)]


def _either(schemas: Iterable[dict[str, Any]]) -> dict[str, Any]:
    choices = _unique(
        choice for one in schemas for choice in (one["anyOf"] if list(one) == ["anyOf"] else [one])
    )
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def _description(found: Found, name: str, *, optional: bool) -> str:
    described = [str(text) for text in found.all("description") if text is not None]
    titles = [
        str(title) for title in _unique(found.all("title")) if not says(title, [name, *described])
    ]
    defaults = found.all("default")
    # Omitted or null means the same here, and saying so would only cost tokens.
    plain = optional and all(default is None for default in defaults)
    said = [
        note
        for layer in found.layers
        for note in notes(_told(layer.schema, quiet=plain), partial(_say, layer))
    ]
    null = ["May be null."] if found.nullable and not plain else []
    return joined([*titles, *described, *said, *null, *found.notes])


def _told(schema: Mapping[str, Any], *, quiet: bool) -> Mapping[str, Any]:
    return {key: value for key, value in schema.items() if not (quiet and key == "default")}


def _say(at: Part, schema: object) -> str:
    return _words(_flatten([at.sub(schema)]))


def _words(flat: Mapping[str, Any]) -> str:
    """Return a flat schema in a few words: "integer", "string (Format: date.)", else JSON."""
    if not set(flat) <= {"type", "description"} or not isinstance(flat.get("type"), str | list):
        quoted = as_json(flat)
        return quoted if len(quoted) <= _MAX_QUOTED else quoted[:_MAX_QUOTED] + "…"
    types = [flat["type"]] if isinstance(flat["type"], str) else flat["type"]
    named = "anything" if tuple(types) == _ANYTHING else " or ".join(types)
    return f"{named} ({flat['description']})" if "description" in flat else named


def _unique(values: Iterable[Any]) -> list[Any]:
    # Not a set, since schemas cannot be hashed.
    unique: list[Any] = []
    for value in values:
        if value not in unique:
            unique.append(value)
    return unique


def unwrap_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bare JSON schema for ``format`` from an OpenAI-style envelope.

    | envelope | schema |
    |---|---|
    | {"type": "json_schema", "json_schema": {"name", "schema", "strict"}} | its "schema" |
    | {"type": "json_schema", "name", "schema"} | its "schema" |
    | {"type": "function", "function": {"name", "parameters"}} | its "parameters" |
    | {"name", "description", "parameters"}, {"name", "schema"} | that |

    A bare schema is returned unchanged: the grammar of ``format`` supports ``$ref`` and the rest.

    Raises:
        ConfigError: for an envelope without its schema, and for OpenAI's JSON mode.
    """
    if schema.get("type") == "json_object":
        raise ConfigError(
            '{"type": "json_object"} is not a schema: pass format="json" for any JSON.'
        )
    for kind, key in (("json_schema", "json_schema"), ("function", "function")):
        if schema.get("type", kind) == kind and isinstance(schema.get(key), Mapping):
            return _inside(schema[key])
    if schema.get("type") in ("json_schema", "function") or _is_envelope(schema):
        return _inside(schema)
    return dict(schema)


def _is_envelope(schema: Mapping[str, Any]) -> bool:
    if not isinstance(schema.get("name"), str) or any(key in schema for key in _BARE):
        return False
    return any(isinstance(schema.get(key), Mapping) for key in ("schema", "parameters"))


def _inside(envelope: Mapping[str, Any]) -> dict[str, Any]:
    for key in ("schema", "parameters"):
        if isinstance(envelope.get(key), Mapping):
            return dict(envelope[key])
    raise ConfigError(
        f'an envelope has no schema: {as_json(envelope):.200}; give "schema" or "parameters" a '
        "JSON schema, or pass the schema bare."
    )
