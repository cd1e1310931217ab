"""Descriptions of fields that a framework's own classes leave without one."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=type[BaseModel])


def described(texts: Mapping[str, str]) -> Callable[[M], M]:
    """Return a class decorator that describes inherited fields, by their names.

    A field that has a description keeps it, and a name that the class does not have is ignored,
    since versions of a framework differ. The framework's own class is not changed.
    """

    def describe(cls: M) -> M:
        for name, field in cls.__pydantic_fields__.items():
            if field.description is None:
                field.description = texts.get(name)
        return cls

    return describe
