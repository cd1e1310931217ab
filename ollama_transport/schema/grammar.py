"""Rewrite a JSON schema so that the engine's grammar accepts it and enforces as much as it can.

`grammar_rules` lists what the grammar enforces, refuses and drops. A keyword with an equivalent is
rewritten; one without goes into the description of its field. The answer is still checked against
the original schema.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, product
from typing import Any

from ollama_transport.errors import ConfigError
from ollama_transport.schema.grammar_rules import ANNOTATIONS, ANY, IGNORED
from ollama_transport.schema.grammar_values import fit_array, fit_number, fit_string
from ollama_transport.schema.merge import merge
from ollama_transport.schema.names import Definitions, checked_type, place
from ollama_transport.schema.notes import as_json, joined, modern, notes
from ollama_transport.schema.parts import MAX_LEVELS, listed

_MAX_BRANCHES = 64
"""Limit of the combinations when several groups of choices are multiplied out."""
_MAX_QUOTED = 500
"""Characters of a schema quoted in a description."""
_CHOICES = ("anyOf", "oneOf")
# Not allowed in property names beside additional properties: the grammar copies the characters of
# the names into character classes without escaping them.
_UNFIT_IN_NAMES = frozenset(']^\\"')
_RESERVED_NAMES = frozenset(("$ref", "$defs"))


def grammar_safe(schema: Mapping[str, Any], *, keep_ignored: bool = False) -> dict[str, Any]:
    r"""Return a schema that the engine's grammar accepts; an accepted one is returned equal.

    | in the schema | in the result |
    |---|---|
    | ``pattern`` | from ``^`` to ``$`` in the syntax of the grammar: ``\d`` is ``[0-9]`` |
    | a pattern without an equivalent (lookaround, ``\p{…}``, a quote) | words in the description |
    | true and {} below the root | any type; a property that is false is left out |
    | ``allOf``, and what stands beside ``$ref``, ``anyOf``, ``oneOf`` | merged |
    | ``$ref`` to "#" or by an escaped path | a definition of a plain name |
    | bounds beyond what the grammar can count | words in the description |
    | what the grammar drops (``multipleOf``, ``not``, a number's ``minimum``) | words as well |

    ``keep_ignored`` leaves the last row unchanged: other engines may enforce it.
    The argument is not changed.

    Raises:
        ConfigError: naming the field, for a ``$ref`` without a target, an unknown type, bounds that
            exclude every value, anything that is not a schema, and nesting deeper than
            MAX_LEVELS.
    """
    # "strict" at the root is an option of OpenAI's API, not a keyword of the schema.
    bare = {key: value for key, value in schema.items() if key != "strict"}
    return _Writer(bare, keep_ignored=keep_ignored).written()


class _Writer:
    def __init__(self, root: Mapping[str, Any], *, keep_ignored: bool) -> None:
        self._root = root
        self._keep = keep_ignored
        self._defs = Definitions(root)
        # References merged into the schemas around the current one, and into the current one.
        self._around: list[str] = []
        self._merging: list[str] = []

    def written(self) -> dict[str, Any]:
        result = self._node(self._root, ()) if self._root else {}
        for container in ("$defs", "definitions"):
            result.pop(container, None)
        # Writing one definition may add others.
        for container, name, target in self._defs.pending():
            path = (container, name)
            self._defs.found(container)[name] = self._node(target, path)
        # In the caller's order, so that an accepted schema is sent unchanged.
        order = [*self._root, "$defs"]
        whole = {**result, **{key: value for key, value in self._defs.written.items() if value}}
        keys = [key for key in order if key in whole]
        return {key: whole[key] for key in [*keys, *(key for key in whole if key not in keys)]}

    def _node(self, schema: Any, path: Sequence[str]) -> dict[str, Any]:
        if len(path) > MAX_LEVELS:
            raise ConfigError(f"the schema nests deeper than {MAX_LEVELS} levels at {place(path)}.")
        if schema is True or schema == {}:
            return dict(ANY)
        if not isinstance(schema, Mapping):
            raise ConfigError(
                f"the schema of {place(path)} is {schema!r:.200}: give a JSON schema, an object."
            )
        self._merging = []
        layer, choices = self._merged(modern(schema), path)
        if "$ref" in layer:
            return {**layer, "$ref": self._defs.ref(layer["$ref"], path)}
        depth = len(self._around)
        self._around += self._merging
        try:
            return self._choice(layer, choices, path) if choices else self._typed(layer, path)
        finally:
            del self._around[depth:]

    def _merged(
        self,
        schema: Mapping[str, Any],
        path: Sequence[str],
        seen: tuple[str, ...] = (),
        *,
        inside: bool = False,
    ) -> tuple[dict[str, Any], list[tuple[str, list[Any]]]]:
        """Return a schema without ``allOf``, and separately its choices.

        A $ref is kept if no constraint stands beside it. When merging ``inside`` another schema, it
        is kept only if following it would never end.
        """
        layer = self._told(schema)
        choices = [(key, list(listed(layer, key))) for key in _CHOICES if layer.get(key)]
        parts = [modern(one) for one in listed(layer, "allOf") if isinstance(one, Mapping) and one]
        layer = {key: value for key, value in layer.items() if key not in (*_CHOICES, "allOf")}
        beside = any(key not in ANNOTATIONS and key != "$ref" for key in layer)
        if "$ref" in layer and (parts or beside or choices):
            parts.insert(0, {"$ref": layer.pop("$ref")})
        alone = len(parts) == 1 and not (beside or choices or inside)
        if inside and "$ref" in layer:
            parts.insert(0, {"$ref": layer.pop("$ref")})
        for part in parts:
            if alone and set(part) <= {"$ref"}:
                return {**layer, **part}, []
            if part.get("$ref") in self._around:
                # Merging a schema into itself would never end, so its siblings are dropped.
                return {**_said(layer), "$ref": part["$ref"]}, []
            followed, where = self._followed(part, path, seen)
            inner, more = self._merged(followed, path, where, inside=True)
            if "$ref" in inner:
                return {**_said(layer), "$ref": inner["$ref"]}, []
            choices += more
            layer = merge(layer, {k: v for k, v in inner.items() if k not in ("$defs", "title")})
        return layer, choices

    def _followed(
        self, part: Mapping[str, Any], path: Sequence[str], seen: tuple[str, ...]
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        while "$ref" in part:
            ref = str(part["$ref"])
            if ref in seen:
                raise ConfigError(
                    f"the schema of {place(path)} includes itself through {ref!r}: cut that $ref."
                )
            seen = (*seen, ref)
            self._merging.append(ref)
            beside = {key: value for key, value in part.items() if key != "$ref"}
            target = self._defs.target(ref, path)
            part = merge(beside, modern(target)) if isinstance(target, Mapping) else beside
        return part, seen

    def _told(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Return a schema with its ignored keywords moved into the description."""
        ignored = [key for key in schema if key in IGNORED]
        if self._keep:
            # The grammar resolves references even inside the keywords that it drops.
            ignored = [key for key in ignored if '"$ref"' in as_json(schema[key])]
        return described(schema, ignored) if ignored else dict(schema)

    def _choice(
        self,
        layer: dict[str, Any],
        choices: list[tuple[str, list[Any]]],
        path: Sequence[str],
    ) -> dict[str, Any]:
        said = _said(layer)
        base = {key: value for key, value in layer.items() if key not in ANNOTATIONS}
        key, first = choices[0]
        # False matches nothing, so the choice is the same without it.
        groups = [[one for one in group if one is not False] for _, group in choices]
        if len(groups) == 1 and not base:
            # Nothing stands beside the choice, so the branches need no merging.
            branches = groups[0]
        else:
            combined = islice(product(*groups), _MAX_BRANCHES)
            branches = [{"allOf": [base, *combination]} for combination in combined]
        if not branches:
            raise ConfigError(
                f"no value fits the schema of {place(path)}: {key} is {first!r:.200}."
            )
        written = [self._node(one, (*path, f"{key}[{at}]")) for at, one in enumerate(branches)]
        return {**said, key: written}

    def _typed(self, layer: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
        layer = checked_type(layer, path)
        kinds = layer.get("type")
        listed_values = "enum" in layer or "const" in layer
        # Keywords of a type that the value cannot have are without effect.
        for kind, keys in _INSIDE.items():
            if listed_values or not _may_be(kinds, kind):
                layer = {key: value for key, value in layer.items() if key not in keys}
        if listed_values:
            return layer  # the listed values are already exact
        layer = self._object(layer, path) if _may_be(kinds, "object") else layer
        layer = self._array(layer, path) if _may_be(kinds, "array") else layer
        unheld: list[str] = []
        if _may_be(kinds, "string"):
            layer, unheld = fit_string(layer, keep_ignored=self._keep)
        if _may_be(kinds, "integer") or _may_be(kinds, "number"):
            layer, more = fit_number(layer, path, keep_ignored=self._keep)
            unheld = [*unheld, *more]
        return described(layer, unheld)

    def _object(self, layer: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
        properties = layer.get("properties")
        if properties is None and not any(k in layer for k in ("required", *_FURTHER)):
            return layer
        if not isinstance(properties, Mapping | None):
            raise ConfigError(
                f"properties of {place(path)} must be an object, got {properties!r:.200}."
            )
        # The grammar would take a property of such a name for the keyword.
        if properties is not None and _RESERVED_NAMES & set(properties):
            return {**described(layer, ["properties"]), "type": "object"}
        layer = _mapped(layer, path)
        known = dict(properties) if properties is not None else {}
        further = layer.get("additionalProperties", True)
        for name in _required(layer):
            # The grammar cannot produce a property without a schema.
            if name not in known and further is not False:
                known[name] = further
        written = {
            name: self._node(one, (*path, name)) for name, one in known.items() if one is not False
        }
        if properties is not None or written:
            layer = {**layer, "properties": written}
        return self._further(layer, written, path)

    def _further(
        self, layer: dict[str, Any], written: Mapping[str, Any], path: Sequence[str]
    ) -> dict[str, Any]:
        further = layer.get("additionalProperties")
        if further in (None, False):
            return layer
        # Such a name would break the whole grammar; only the enforcement of further keys is lost.
        if any(not _is_fit(name) for name in written):
            return {key: value for key, value in layer.items() if key != "additionalProperties"}
        if isinstance(further, Mapping) and further:
            return {**layer, "additionalProperties": self._node(further, (*path, "*"))}
        return {**layer, "additionalProperties": True}

    def _array(self, layer: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
        layer, unheld = fit_array(layer, path)
        for key in ("items", "prefixItems"):
            if isinstance(layer.get(key), list | tuple):
                inner = enumerate(layer[key])
                layer = {**layer, key: [self._node(one, (*path, f"[{at}]")) for at, one in inner]}
            elif key in layer:
                layer = {**layer, key: self._node(layer[key], (*path, "[]"))}
        return described(layer, unheld)


_INSIDE = {
    "object": ("properties", "additionalProperties", "patternProperties", "required"),
    "array": ("items", "prefixItems", "additionalItems"),
}
_FURTHER = ("additionalProperties", "patternProperties")


def described(layer: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Return a schema with some keywords moved into its description as words."""
    moved = {key: layer[key] for key in keys if key in layer}
    if not moved:
        return dict(layer)
    kept = {key: value for key, value in layer.items() if key not in moved}
    told = kept.get("description")
    said = [str(told)] if isinstance(told, str) else []
    words = joined([*said, *notes(moved, _quoted)])
    return {**kept, "description": words} if words else kept


def _quoted(schema: object) -> str:
    text = as_json(schema)
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…"


def _said(layer: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in layer.items() if key in ANNOTATIONS}


def _may_be(kinds: Any, kind: str) -> bool:
    return kinds is None or kind in (kinds if isinstance(kinds, list | tuple) else (kinds,))


def _is_fit(name: str) -> bool:
    return name.isascii() and not _UNFIT_IN_NAMES & set(name)


def _required(layer: Mapping[str, Any]) -> list[str]:
    names = layer.get("required")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _mapped(layer: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Replace patternProperties by additionalProperties, so that the values are enforced."""
    patterns = layer.get("patternProperties")
    if not patterns:
        return layer
    if not isinstance(patterns, Mapping):
        raise ConfigError(
            f"patternProperties of {place(path)} must be an object, got {patterns!r:.200}."
        )
    if layer.get("properties") or layer.get("additionalProperties", False) is not False:
        return described(layer, ["patternProperties"])
    values = list(patterns.values())
    further = values[0] if len(values) == 1 else {"anyOf": values}
    keys = f"Keys matching {' or '.join(f'`{pattern}`' for pattern in patterns)}."
    kept = {key: value for key, value in layer.items() if key != "patternProperties"}
    said = joined([str(kept.get("description", "")), keys])
    return {**kept, "description": said, "additionalProperties": further}
