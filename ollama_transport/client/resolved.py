"""Cache the recipe that the fields of a model make, until a field changes."""

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from ollama_transport.client.declared import DeclaredFields
from ollama_transport.client.pair import Recipe

DECIDING = tuple(
    name
    for name in DeclaredFields.model_fields
    if name not in ("unsupported_options", "extra_body")
)
"""The fields of `ServerFields` that make a recipe: all except those of single requests."""

_deciding = itemgetter(*DECIDING)


class Resolved:
    """Keeps the recipe of a model until a field changes, including values inside its mappings.

    Copies and pickles start empty, so that no pickle contains a secret.
    """

    def __init__(self) -> None:
        self._kept: tuple[tuple[Any, ...], Recipe] | None = None

    def get(self, fields: Mapping[str, Any], make: Callable[[], Recipe]) -> Recipe:
        """Return the recipe of fields; ``make`` is called if they changed since the last call."""
        values = _deciding(fields)
        # Compared by value, since pydantic does not report changes inside a mapping.
        if self._kept is not None and self._kept[0] == values:
            return self._kept[1]
        recipe = make()
        # Mappings are copied, since they may be changed in place.
        held = tuple(dict(value) if isinstance(value, dict) else value for value in values)
        self._kept = (held, recipe)
        return recipe

    def __copy__(self) -> "Resolved":
        return Resolved()

    def __deepcopy__(self, _: object) -> "Resolved":
        return Resolved()

    def __reduce__(self) -> tuple[type["Resolved"], tuple[()]]:
        return Resolved, ()
