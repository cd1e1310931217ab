"""Derive the shape of JSON from the annotations of a pydantic class."""

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Union, get_args, get_origin

from llama_index.core.program.utils import FlexibleModel, create_flexible_model
from pydantic import AliasChoices, BaseModel, RootModel, ValidationError
from pydantic.fields import FieldInfo

from ollama_transport.conversation import Target

_MOST_CLASSES = 256


@dataclass(frozen=True, slots=True)
class Shape(Target):
    """The class of an object, and the shapes of items and values; None is unknown."""

    model: type[BaseModel] | None = None
    items: "Shape | None" = None
    values: "Shape | None" = None

    def of_key(self, key: str) -> "Shape":
        """Return the shape of the value under a key."""
        found = None if self.model is None else record_of(self.model).fields.get(key)
        if found is not None:
            return found[1]
        return ANYTHING if self.values is None else self.values

    def of_item(self) -> "Shape":
        """Return the shape of a list's items."""
        return ANYTHING if self.items is None else self.items

    def whole(self, value: Any) -> Any:
        """Return a complete object as an instance of its class; if invalid, as a partial one."""
        if self.model is None or not isinstance(value, dict):
            return value
        try:
            return self.model.model_validate(value)
        except ValidationError:
            # The final validation of the whole text reports the error; until then it is shown.
            return self.partial(value, None)

    def partial(self, value: Any, key: str | None) -> Any:  # noqa: ARG002 # all keys look alike
        """Return an object that is still open as an instance of core's FlexibleModel."""
        if self.model is None or not isinstance(value, dict):
            return value
        record = record_of(self.model)
        return record.partial(record.named(value))

    @property
    def end_shows(self) -> bool:
        """Return True for a class: a complete object changes to an instance of it."""
        return self.model is not None


ANYTHING = Shape()


def root_shape(model: type[BaseModel]) -> Shape:
    """Return the shape of the whole answer."""
    if issubclass(model, RootModel):
        return shape_of(model.model_fields["root"].annotation)
    return Shape(model=model)


@dataclass(frozen=True, slots=True)
class Record:
    """How to build incomplete objects of one class.

    ``fields`` maps a key of the JSON to the field's name and the shape of its value; ``partial``
    makes an incomplete object from values by field name, with None for what is missing.
    """

    fields: Mapping[str, tuple[str, Shape]]
    has_aliases: bool
    partial: Callable[[Mapping[str, Any]], FlexibleModel]

    def named(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return values by field name instead of by key; unknown keys are kept."""
        if not self.has_aliases:
            return values
        fields = self.fields
        return {fields[key][0] if key in fields else key: value for key, value in values.items()}


@lru_cache(maxsize=_MOST_CLASSES)
def record_of(model: type[BaseModel]) -> Record:
    """Return the record of a class, cached, since making core's partial class takes 0.3 ms.

    The cache is bounded for programs that make classes at run time.
    """
    fields = {
        key: (name, shape_of(field.annotation))
        for name, field in model.model_fields.items()
        for key in _keys(name, field)
    }
    return Record(
        fields,
        any(key != name for key, (name, _) in fields.items()),
        # Not `model_validate`: checking its arguments takes as long as the validation itself.
        create_flexible_model(model).__pydantic_validator__.validate_python,
    )


def _keys(name: str, field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    aliases = alias.choices if isinstance(alias, AliasChoices) else [alias]
    # An AliasPath reaches inside a value, and is not a key itself.
    return [name, *(choice for choice in aliases if isinstance(choice, str))]


def shape_of(annotation: Any) -> Shape:
    """Return the shape of an annotation; ANYTHING if it allows several classes."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        # The JSON of a RootModel is its bare value, without fields to read by.
        return ANYTHING if issubclass(annotation, RootModel) else Shape(model=annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return shape_of(arguments[0])
    if origin in (Union, types.UnionType):
        known = {shape for arm in arguments if (shape := shape_of(arm)) != ANYTHING}
        return known.pop() if len(known) == 1 else ANYTHING
    if not isinstance(origin, type) or not arguments or _is_record(origin, arguments):
        return ANYTHING
    if issubclass(origin, Mapping):
        return Shape(values=shape_of(arguments[-1]))
    return Shape(items=shape_of(arguments[0])) if issubclass(origin, Iterable) else ANYTHING


def _is_record(origin: type, arguments: tuple[Any, ...]) -> bool:
    # tuple[int, str] has a type for each place, tuple[int, ...] one for all.
    return issubclass(origin, tuple) and arguments[-1] is not Ellipsis
