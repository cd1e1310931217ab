"""The JSON schema of a tool's arguments, made once for each class."""

import marshal
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin
from weakref import WeakKeyDictionary

from llama_index.core.tools.types import ToolMetadata
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_PLAIN = frozenset({str, int, float, bool, NoneType, list, dict, Any})
_OF_PLAIN = frozenset({list, dict, Union, UnionType})
_WRITERS = ("model_json_schema", "__get_pydantic_json_schema__", "__get_pydantic_core_schema__")

# Pydantic's own schema of the class, which `model_rebuild` replaces, and the parameters, written so
# that no caller can change them for others; None for a class whose schema may change by itself.
_MADE: WeakKeyDictionary[type[BaseModel], tuple[object, bytes | None]] = WeakKeyDictionary()


def parameters_of(metadata: ToolMetadata) -> dict[str, Any]:
    """Return the JSON schema of a tool's arguments, which pydantic takes a millisecond to make.

    It is remembered for classes of plain types, as function tools have them. Others may contain
    functions that write a part of the schema, so theirs is made each time.
    """
    cls: Any = metadata.fn_schema
    # What else has the method `model_json_schema` serves LlamaIndex as well.
    if not isinstance(cls, type) or not issubclass(cls, BaseModel):
        return dict(metadata.get_parameters_dict())
    known = _MADE.get(cls)
    if known is None or known[0] is not cls.__pydantic_core_schema__:
        written = _written(metadata.get_parameters_dict()) if _is_steady(cls) else None
        known = _MADE[cls] = (cls.__pydantic_core_schema__, written)
    parameters = metadata.get_parameters_dict() if known[1] is None else marshal.loads(known[1])
    return dict(parameters)


def _written(parameters: Any) -> bytes | None:
    try:
        return marshal.dumps(parameters)
    except ValueError:  # not plain JSON, such as a default that is an enum member
        return None


def _is_steady(cls: type[BaseModel]) -> bool:
    """Return whether the schema of a class depends on nothing but the class."""
    return (
        all(_is_inherited(cls, name) for name in _WRITERS)
        and not callable(cls.model_config.get("json_schema_extra"))
        and all(map(_is_steady_field, cls.model_fields.values()))
    )


def _is_inherited(cls: type[BaseModel], method: str) -> bool:
    return getattr(cls, method).__func__ is getattr(BaseModel, method).__func__


def _is_steady_field(field: FieldInfo) -> bool:
    return (
        not field.metadata and not callable(field.json_schema_extra) and _is_plain(field.annotation)
    )


def _is_plain(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Literal:
        return True
    if origin is None:
        return annotation in _PLAIN
    return origin in _OF_PLAIN and all(map(_is_plain, get_args(annotation)))
