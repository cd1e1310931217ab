"""Copies of a framework's pydantic objects with other values, made without pydantic's constructor.

Only the text of a chunk differs from the chunk before it: validating all other fields again costs
more than reading the chunk from the network.
"""

import pickle
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

_new = object.__new__
# The slots' own setters: `object.__setattr__` looks through all base classes at each call.
_set_fields, _set_given, _set_extra, _set_private = (
    vars(BaseModel)[name].__set__
    for name in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    )
)


class Copies(Generic[M]):
    """Makes copies of an object that pydantic made.

    Each copy gets its own empty dicts and lists. All other values are shared, so pass those that
    may be changed in place to `make`.
    """

    def __init__(self, model: M) -> None:
        self._kind = type(model)
        self._fields = dict(model.__dict__)
        self._dicts, self._lists = (
            [name for name, value in self._fields.items() if type(value) is kind and not value]
            for kind in (dict, list)
        )
        self._given = set(model.__pydantic_fields_set__)
        self._has_extra = model.__pydantic_extra__ is not None

    def make(self, values: Mapping[str, Any]) -> M:
        """Return a copy with these values, which are not validated."""
        fields = self._fields.copy()
        # Frameworks add to these in place, so copies must not share them.
        for name in self._dicts:
            fields[name] = {}
        for name in self._lists:
            fields[name] = []
        fields.update(values)
        made = _new(self._kind)
        _set_fields(made, fields)
        _set_given(made, self._given.copy())
        _set_extra(made, {} if self._has_extra else None)
        _set_private(made, None)
        return made


def are_alike(made: BaseModel, checked: BaseModel) -> bool:
    """Return whether a copy cannot be distinguished from an object of the constructor."""
    return type(made) is type(checked) and all(
        look(made) == look(checked)
        for look in (_state, _kept, BaseModel.model_dump, BaseModel.model_dump_json, repr)
    )


def copying_works(make: Callable[[str], M], construct: Callable[[str], M]) -> bool:
    """Return whether copies equal what a framework's constructor makes.

    If not, as with another version of the framework or of pydantic, the constructor is used.
    """
    try:
        return all(are_alike(make(text), construct(text)) for text in ("", "a", "\n ü {"))
    except (AttributeError, TypeError, ValueError, pickle.PicklingError):
        return False


def _state(model: BaseModel) -> tuple[Any, ...]:
    fields = [(name, type(value), value) for name, value in model.__dict__.items()]
    given, private = model.__pydantic_fields_set__, model.__pydantic_private__
    return fields, given, model.__pydantic_extra__, private


def _kept(model: BaseModel) -> tuple[Any, ...]:
    return _state(pickle.loads(pickle.dumps(model)))
