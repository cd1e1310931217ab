"""Names in a JSON schema: definitions, types, and the fields that an error names."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ollama_transport.errors import ConfigError
from ollama_transport.schema.grammar_rules import TYPES
from ollama_transport.schema.parts import resolve

_PLAIN_REF = re.compile(r"#/(\$defs|definitions)/([A-Za-z0-9_-]+)")


def place(path: Sequence[str]) -> str:
    """Return a path for an error: "address.city", "tags[]"; "the schema's root" for ()."""
    text = ".".join(path).replace(".[", "[")
    return text if text else "the schema's root"


def checked_type(layer: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Return a schema whose ``type`` is valid in JSON Schema, or left out.

    Raises:
        ConfigError: naming the field, for an invalid type.
    """
    kinds = layer.get("type")
    named = list(kinds) if isinstance(kinds, list | tuple) else [kinds]
    for kind in named:
        if kind is not None and kind not in TYPES:
            raise ConfigError(
                f"{place(path)} has the type {kind!r}, which JSON Schema lacks: use one of "
                f"{', '.join(TYPES)}."
            )
    if named and None not in named:
        return layer
    return {key: value for key, value in layer.items() if key != "type"}


class Definitions:
    """Gives each referenced definition a name that the engine can distinguish.

    The engine does not decode escapes in a path, and treats names as equal if they differ only in
    characters other than letters, digits and "-". Plain names are kept.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._refs: dict[str, str] = {}
        self._taken: set[str] = set()
        self._waiting: list[tuple[str, str, Any]] = []
        self.written: dict[str, dict[str, Any]] = {}
        # Plain names first: they are kept, and other names must differ from them.
        for container in ("$defs", "definitions"):
            for name in root[container] if isinstance(root.get(container), Mapping) else ():
                if _PLAIN_REF.fullmatch(f"#/{container}/{name}"):
                    self.ref(f"#/{container}/{name}", (container, name))

    def found(self, container: str) -> dict[str, Any]:
        """Return the definitions written to a container so far, to add to them."""
        return self.written.setdefault(container, {})

    def pending(self) -> Iterator[tuple[str, str, Any]]:
        """Yield (container, name, schema) of each definition, including those added meanwhile."""
        while self._waiting:
            yield self._waiting.pop(0)

    def target(self, ref: str, path: Sequence[str]) -> Any:
        """Return the schema that a reference names.

        Raises:
            ConfigError: naming the field, if there is no such schema.
        """
        try:
            return resolve(ref, self._root)
        except ConfigError as error:
            raise ConfigError(f"{place(path)}: {error}") from error

    def ref(self, ref: Any, path: Sequence[str]) -> str:
        """Return the reference to write for one that was read.

        Raises:
            ConfigError: see `target`.
        """
        known = self._refs.get(str(ref))
        if known is not None:
            return known
        target = self.target(ref, path)
        plain = _PLAIN_REF.fullmatch(ref)
        container, wanted = plain.groups() if plain else ("$defs", ref.rpartition("/")[2])
        name = self._free(re.sub(r"[^A-Za-z0-9_-]+", "-", wanted.replace("#", "root")))
        self._refs[ref] = f"#/{container}/{name}"
        self._waiting.append((container, name, target))
        return self._refs[ref]

    def _free(self, wanted: str) -> str:
        name, number = wanted, 1
        while _as_read(name) in self._taken:
            number += 1
            name = f"{wanted}-{number}"
        self._taken.add(_as_read(name))
        return name


def _as_read(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", name)
