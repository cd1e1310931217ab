"""Collect what applies to one value in a JSON schema: siblings, ``$ref`` targets, ``allOf``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from ollama_transport.errors import ConfigError

MAX_DEPTH = 2
"""How often a recursive definition is expanded, including the first time."""

MAX_NODES = 2000
"""Limit of schemas expanded from references: they must not fill the context."""

MAX_LEVELS = 64
"""Limit of nesting."""

UNBOUNDED = 1_000_000
# Recursion goes first: without it most schemas are small. Then the deepest levels go.
FALLBACKS = ((1, UNBOUNDED), (1, 4), (1, 3), (1, 2), (1, 1))
"""Depths of (one definition, all definitions) tried in turn when the whole is too large."""


class TooLargeError(Exception):
    """Stops an attempt that exceeds MAX_NODES or MAX_LEVELS."""


@dataclass(slots=True)
class Budget:
    """The number of schemas that references may still add."""

    left: int = MAX_NODES

    def spend(self) -> None:
        """Take one; TooLargeError if none is left."""
        self.left -= 1
        if self.left < 0:
            raise TooLargeError


@dataclass(frozen=True, slots=True)
class Walk:
    """The path from the root to a schema: the references followed, and the limits."""

    root: Mapping[str, Any]
    max_depth: int
    max_refs: int
    budget: Budget
    refs: tuple[str, ...] = ()
    level: int = 0

    def deeper(self) -> "Walk":
        """Return the path to a subschema; TooLargeError beyond MAX_LEVELS."""
        # Before RecursionError, whose message would not say what to do.
        if self.level >= MAX_LEVELS:
            raise TooLargeError
        return replace(self, level=self.level + 1)

    def into(self, ref: str) -> "Walk":
        """Return the path through a reference; TooLargeError beyond either limit."""
        self.budget.spend()
        return replace(self.deeper(), refs=(*self.refs, ref))

    def is_over(self, ref: str) -> bool:
        """Return whether this reference exceeds a limit and is not followed."""
        return self.refs.count(ref) >= self.max_depth or len(self.refs) >= self.max_refs


@dataclass(frozen=True, slots=True)
class Part:
    """A schema and the path to it."""

    schema: Any
    walk: Walk

    def sub(self, schema: Any) -> "Part":
        """Return a schema inside this one."""
        return Part(schema, self.walk.deeper())


@dataclass(slots=True)
class Found:
    """Everything that applies to one value.

    ``layers`` are the schemas that all apply; of each group in ``choices`` one applies. Null is
    not among the choices but sets ``nullable``.
    """

    layers: list[Part] = field(default_factory=list)
    choices: list[list[Part]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    nullable: bool = False

    def all(self, key: str) -> list[Any]:
        """Return the values of a keyword, the nearest sibling's first."""
        return [layer.schema[key] for layer in self.layers if key in layer.schema]


def gather(part: Part, found: Found) -> None:
    """Add to ``found`` what a schema says about its value, following references and ``allOf``.

    Raises:
        ConfigError: for a reference without a target, and for anything that is not a schema.
        TooLargeError: beyond the limits of the walk.
    """
    if part.walk.refs:  # only what references expand can explode, so the rest is free
        part.walk.budget.spend()
    schema = part.schema
    if isinstance(schema, bool):
        found.notes += [] if schema else ["Must not be given."]
        return
    if not isinstance(schema, Mapping):
        raise ConfigError(f"a JSON schema must be an object, true or false, got {schema!r:.200}.")
    # Before what it references: the nearest sibling comes first.
    found.layers.append(part)
    found.nullable |= schema.get("nullable") is True  # OpenAPI 3.0 has no type "null"
    if "$ref" in schema:
        _gather_ref(schema["$ref"], part.walk, found)
    for sub in listed(schema, "allOf"):
        gather(part.sub(sub), found)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            _gather_choice([part.sub(one) for one in listed(schema, key)], found)


def _gather_ref(ref: Any, walk: Walk, found: Found) -> None:
    target = resolve(ref, walk.root)
    if not walk.is_over(ref):
        gather(Part(target, walk.into(ref)), found)
        return
    shape = str(ref).rpartition("/")[2]
    # Keep the type, enum and description: a model can use them without the properties.
    if ref in walk.refs:
        found.notes.append(f"Nested deeper in the same shape ({shape}).")
    else:
        found.notes.append(f"The shape of {shape} is too large to be shown here.")
    if isinstance(target, Mapping):
        kept = {key: target[key] for key in ("type", "enum", "description") if key in target}
        shaped = {"type": "object"} if "properties" in target else {}
        found.layers.append(Part({**shaped, **kept}, walk))


def _gather_choice(choices: Sequence[Part], found: Found) -> None:
    # A single choice beside null applies to the value itself ("int | None").
    left = [choice for choice in choices if not _is_null(choice.schema)]
    found.nullable |= 0 < len(left) < len(choices)
    if len(left) > 1:
        found.choices.append(left)
    # Where all choices are null, the value is null.
    for choice in left if len(left) == 1 else [] if left else choices[:1]:
        gather(choice, found)


def _is_null(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return False
    return (
        schema.get("type") in ("null", ["null"])
        or schema.get("enum") == [None]
        or ("const" in schema and schema["const"] is None)
    )


def resolve(ref: Any, root: Mapping[str, Any]) -> Any:
    """Return the target of a local JSON pointer: "#", "#/$defs/Name" or "#/properties/a/items".

    Raises:
        ConfigError: if there is no such target.
    """
    found: Any = root
    steps = unquote(ref[1:]).split("/")[1:] if isinstance(ref, str) and ref[:1] == "#" else None
    if steps is None or (ref != "#" and not steps):
        raise _no_target(ref)
    # The order matters: "~01" is "~1", not "/".
    for step in (step.replace("~1", "/").replace("~0", "~") for step in steps):
        if isinstance(found, Mapping) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            raise _no_target(ref)
    return found


def _no_target(ref: Any) -> ConfigError:
    return ConfigError(
        f"the schema has no {ref!r}, which a $ref in it names: put the definition under its "
        '"$defs", or write it out in its place.'
    )


def listed(schema: Mapping[str, Any], key: str) -> Sequence[Any]:
    """Return a keyword's list, () without one; ConfigError for anything else."""
    value = schema.get(key, ())
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{key} in a JSON schema must be a list, got {value!r:.200}.")
    return value
