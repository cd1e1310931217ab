"""Copies of a framework's pydantic objects with other values, made without pydantic's constructor.

Only the text of a chunk differs from the chunk before it: validating all other fields again costs
more than reading the chunk from the network.
"""

import pickle
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

_PROBES = ("", "a", "\n ü {")
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


def copier(model: M) -> tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any]], M]]:
    """Return two functions: the first begins a copy of an object, the second makes it.

    The first returns the fields, to be changed. All values in it are shared between the copies, so
    replace each that may be changed in place. The second takes them over, and validates nothing.
    """
    kind, fields = type(model), dict(model.__dict__)
    given = set(model.__pydantic_fields_set__).copy
    has_extra = model.__pydantic_extra__ is not None

    def make(changed: dict[str, Any]) -> M:
        made = _new(kind)
        _set_fields(made, changed)
        _set_given(made, given())
        _set_extra(made, {} if has_extra else None)
        _set_private(made, None)
        return made

    return fields.copy, make


def are_alike(made: BaseModel, checked: BaseModel) -> bool:
    """Return whether a copy cannot be distinguished from an object of the constructor."""
    return type(made) is type(checked) and all(
        look(made) == look(checked)
        for look in (_state, _kept, BaseModel.model_dump, BaseModel.model_dump_json, repr)
    )


def copying_works(make: Callable[[str], M], construct: Callable[[str], M]) -> bool:
    """Return whether copies equal what a framework's constructor makes, and share nothing.

    If not, as with another version of the framework or of pydantic, the constructor is used.
    """
    try:
        made = [make(text) for text in _PROBES]
        alike = all(map(are_alike, made, map(construct, _PROBES)))
        return alike and not any(_parts(one) & _parts(other) for one, other in pairwise(made))
    except (AttributeError, TypeError, ValueError, pickle.PicklingError):
        return False


def _parts(value: object) -> set[int]:
    """Return the identities of an object and of all in it that can be changed in place."""
    if isinstance(value, BaseModel):
        inside = [value.__pydantic_fields_set__, value.__pydantic_extra__, value.__dict__]
    elif isinstance(value, dict):
        inside = [*value.values()]
    elif isinstance(value, list | set):
        inside = [*value]
    else:
        return set()
    return {id(value)}.union(*map(_parts, inside))


def _state(model: BaseModel) -> tuple[Any, ...]:
    fields = [(name, type(value), value) for name, value in model.__dict__.items()]
    given, private = model.__pydantic_fields_set__, model.__pydantic_private__
    return fields, given, model.__pydantic_extra__, private


def _kept(model: BaseModel) -> tuple[Any, ...]:
    return _state(pickle.loads(pickle.dumps(model)))
