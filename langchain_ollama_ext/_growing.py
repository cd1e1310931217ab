"""Build objects of pydantic classes from incomplete answers.

LangChain shows an object of the class as soon as its part so far is valid. Each complete object
inside it is validated once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, RootModel, TypeAdapter
from pydantic.fields import FieldInfo

from ollama_transport.conversation import PLAIN, NotYetError, Target

# Bounded for programs that make classes at run time.
_MOST_CLASSES = 256
# Settings of a class that do not change how a list is validated.
_HARMLESS = frozenset({"extra", "frozen", "populate_by_name", "title", "json_schema_extra"})


class Made(Target):
    """Rebuilds a value from all its parts whenever it is shown.

    For classes with their own validators, which may look at any part of the value.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def of_key(self, key: str) -> Target | None:  # noqa: ARG002 # all are left as they are
        """Return the target that keeps a value unchanged."""
        return PLAIN

    def of_item(self) -> Target:
        """Return the target that keeps an item unchanged."""
        return PLAIN

    def whole(self, value: Any) -> Any:
        """Return the object for a complete value."""
        return self._make(value)

    def partial(self, value: Any, key: str | None) -> Any:  # noqa: ARG002 # as above
        """Return the object for a part of the value, if that is valid."""
        try:
            return self._make(value)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            # Something is missing that the schema requires, or that the caller's validators need.
            raise NotYetError from error


class _Item(Made):
    """An item of a list; a part of it is validated with the object around it."""

    def partial(self, value: Any, key: str | None) -> Any:  # noqa: ARG002 # as above
        return value


class _OpenList(list[Any]):
    """A list still being written; all its items except the last are validated."""

    is_open = False


class _List(Target):
    """A list whose items are validated one by one."""

    def __init__(self, item: Target) -> None:
        self._item = item

    def of_item(self) -> Target:
        return self._item

    def partial(self, value: Any, key: str | None) -> Any:
        found = _OpenList(value)
        found.is_open = key is not None
        return found


@dataclass(slots=True)
class _Record(Target):
    """An object of a class without its own validators."""

    cls: type[BaseModel]
    fields: Mapping[str, tuple[str, Target]] = field(default_factory=dict)
    required: tuple[frozenset[str], ...] = ()
    keeps_others: bool = False

    def of_key(self, key: str) -> Target | None:
        found = self.fields.get(key)
        return found[1] if found is not None else PLAIN if self.keeps_others else None

    def whole(self, value: Any) -> Any:
        return self.cls.model_validate(value)

    def partial(self, value: Any, key: str | None) -> Any:
        # A list where an object was asked for: what it means is known at its end.
        if isinstance(value, list) or any(keys.isdisjoint(value) for keys in self.required):
            raise NotYetError
        items = None if key is None else value[key]
        try:
            if key is None or not isinstance(items, _OpenList):
                return self.cls.model_validate(value)
            # The other items are already validated, so they are put back without another check.
            last = items[-1:] if items.is_open else []
            made = self.cls.model_validate({**value, key: last})
        except ValueError as error:
            raise NotYetError from error
        name = self.fields[key][0]
        # Not by assignment, which would validate all items again.
        made.__dict__[name] = [*items[: len(items) - len(last)], *made.__dict__[name]]
        return made


@lru_cache(maxsize=_MOST_CLASSES)
def target_of(cls: type[BaseModel]) -> Target:
    """Return the target for an answer that is to become an object of a class."""
    return _target_of(cls, {})


def _target_of(cls: type[BaseModel], known: dict[type[BaseModel], Target]) -> Target:
    if cls in known:
        return known[cls]
    if _has_rules(cls):
        return known.setdefault(cls, Made(cls.model_validate))
    # Registered before its fields are read: a class may contain itself.
    found = known[cls] = _Record(cls)
    keys = {name: _keys(cls, name, info) for name, info in cls.model_fields.items()}
    found.fields = {
        key: (name, _field_target(cls, info, known))
        for name, info in cls.model_fields.items()
        for key in keys[name]
    }
    found.required = tuple(
        frozenset(keys[name]) for name, info in cls.model_fields.items() if info.is_required()
    )
    # Forbidden keys are kept too, so that the final validation reports them.
    found.keeps_others = cls.model_config.get("extra") in ("allow", "forbid")
    return found


def _has_rules(cls: type[BaseModel]) -> bool:
    # Validators may look at any part of a value, so such a class is validated as a whole.
    rules = cls.__pydantic_decorators__
    return bool(
        rules.validators
        or rules.field_validators
        or rules.root_validators
        or rules.model_validators
        or issubclass(cls, RootModel)
        or cls.__pydantic_custom_init__
        or cls.__pydantic_post_init__
        or "__get_pydantic_core_schema__" in vars(cls)
        or cls.model_config.get("revalidate_instances") not in (None, "never")
        or any(_has_path(info) for info in cls.model_fields.values())
    )


def _has_path(info: FieldInfo) -> bool:
    """Return whether a field's alias is a path into another value."""
    alias = info.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return not all(isinstance(choice, str | None) for choice in choices)


def _keys(cls: type[BaseModel], name: str, info: FieldInfo) -> list[str]:
    alias = info.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    aliases = [choice for choice in choices if isinstance(choice, str)]
    by_name = cls.model_config.get("populate_by_name") or cls.model_config.get("validate_by_name")
    return [name, *aliases] if by_name or not aliases else aliases


def _field_target(
    cls: type[BaseModel], info: FieldInfo, known: dict[type[BaseModel], Target]
) -> Target:
    annotation = _bare(info.annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _target_of(annotation, known)
    # Constraints on the list as a whole can only be checked once it is complete.
    if get_origin(annotation) is not list or info.metadata or info.annotation is not annotation:
        return PLAIN
    if not cls.model_config.keys() <= _HARMLESS:
        return PLAIN
    (item,) = get_args(annotation)
    if isinstance(item, type) and issubclass(item, BaseModel):
        return _List(_target_of(item, known))
    return _List(_Item(TypeAdapter(item).validate_python))


def _bare(annotation: Any) -> Any:
    """Return a type without its metadata, and without an alternative of None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        arms = [arm for arm in get_args(annotation) if arm is not type(None)]
        return _bare(arms[0]) if len(arms) == 1 else annotation
    return annotation
