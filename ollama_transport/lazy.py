"""Import a name of a package at its first use."""

from importlib import import_module
from typing import Any

__all__ = ["lazy_name"]


def lazy_name(module: str, name: str) -> Any:
    """Import a module and return one of its names.

    Raises:
        ImportError: when the module cannot be imported.
    """
    try:
        return getattr(import_module(module), name)
    except AttributeError as error:
        # If this left a module's `__getattr__`, Python would say that the name does not exist.
        raise ImportError(f"importing {name} from {module} failed: {error}", name=module) from error
