"""Signatures that name each keyword, for `help`, editors and `inspect`."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args


def spell_out(*methods: Callable[..., Any]) -> None:
    """Give methods that take ``**more: Unpack[Keywords]`` a signature with a parameter for each."""
    for method in methods:
        signature = inspect.signature(method)
        parameters = [p for one in signature.parameters.values() for p in _spelled(one)]
        method.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # read by inspect


def _spelled(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    if parameter.kind is not parameter.VAR_KEYWORD:
        yield parameter
        return
    (keywords,) = get_args(parameter.annotation)
    for name, annotation in keywords.__annotations__.items():
        # None is only shown: for some keywords, omitting them means something else.
        yield inspect.Parameter(name, parameter.KEYWORD_ONLY, default=None, annotation=annotation)
