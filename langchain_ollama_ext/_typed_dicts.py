"""Write a TypedDict as a JSON schema without losing what may be null or omitted.

langchain-core's own conversion turns ``Optional[str]`` into ``str``, so that a model constrained by
the schema can never express "unknown".
"""

import types
from collections.abc import Mapping
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import Field, TypeAdapter
from typing_extensions import ReadOnly, TypedDict, is_typeddict


def typed_dict_schema(cls: type) -> dict[str, Any]:
    """Return the JSON schema of a TypedDict class.

    ``Annotated[T, default, "description"]`` and an ``Args:`` section of the docstring describe
    keys, as in langchain-core; a key with a default may be omitted. A TypedDict inside itself
    becomes any object.
    """
    # Types from pydantic, which keeps null; descriptions from core, whose conventions users follow.
    schema = TypeAdapter(_rebuilt(cls, ())).json_schema()
    known = _docstring(cls, list(schema["properties"]))
    properties = {
        name: {**_description(known["properties"].get(name, {})), **value}
        for name, value in schema["properties"].items()
    }
    return {**schema, **_description(known), "title": cls.__name__, "properties": properties}


def readable(cls: type) -> bool:
    """Return whether langchain-core can read a TypedDict: it cannot read NotRequired or cycles."""
    # By trying, because this depends on the version of langchain-core.
    try:
        convert_to_json_schema(cls)
    except (TypeError, RecursionError):
        return False
    return True


def _docstring(cls: type, keys: list[str]) -> Mapping[str, Any]:
    """Return what langchain-core reads from a docstring: descriptions of the class and its keys."""
    plain = _typed_dict(cls.__name__, dict.fromkeys(keys, str))
    plain.__doc__ = cls.__doc__
    return convert_to_json_schema(plain)


def _description(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key == "description"}


def _rebuilt(cls: type, inside: tuple[type, ...]) -> Any:
    """Return a TypedDict that pydantic accepts: before Python 3.12 it refuses those of `typing`."""
    if cls in inside:
        return dict[str, Any]
    required: frozenset[str] = getattr(cls, "__required_keys__", frozenset())
    keys: dict[str, Any] = {}
    for name, hint in get_type_hints(cls, include_extras=True).items():
        annotation, has_default = _key(hint, (*inside, cls))
        needed = name in required and not has_default
        keys[name] = Required[annotation] if needed else NotRequired[annotation]
    return _typed_dict(cls.__name__, keys)


def _typed_dict(name: str, keys: Mapping[str, Any]) -> Any:
    make: Any = TypedDict  # untyped: type checkers require literal keys, which do not exist here
    return make(name, keys)


def _key(hint: Any, inside: tuple[type, ...]) -> tuple[Any, bool]:
    """Return a key's type for pydantic, and whether it has a default."""
    while get_origin(hint) in (Required, NotRequired):
        (hint,) = get_args(hint)
    if get_origin(hint) is not Annotated:
        return _portable(hint, inside), False
    bare, *notes = get_args(hint)
    # langchain-core's convention: the default (... for none), then the description.
    described = [note for note in notes[:2] if isinstance(note, str)]
    if not described:
        return Annotated[_portable(bare, inside), *notes], False
    has_default = len(notes) > 1 and notes[0] is not ...
    return Annotated[_portable(bare, inside), Field(description=described[-1])], has_default


def _portable(hint: Any, inside: tuple[type, ...]) -> Any:
    """Return a type with every TypedDict in it rebuilt."""
    if is_typeddict(hint):
        return _rebuilt(hint, inside)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is None or origin is Literal:
        return hint
    rebuilt = tuple(_key(argument, inside)[0] for argument in arguments)
    # No keyword of JSON schema for it has an effect on a grammar.
    if origin is ReadOnly:
        return rebuilt[0]
    if origin in (Union, types.UnionType):
        return Union[rebuilt]  # noqa: UP007 - the members are known at run time only
    return origin[rebuilt]
