"""Names of a package that are imported when they are first asked for."""

from importlib import import_module
from typing import Any

__all__ = ["lazy_name"]


def lazy_name(module: str, name: str) -> Any:
    """Return a name of a module, which is imported now.

    Raises:
        ImportError: the module cannot be imported. An AttributeError on the way is its cause: if it
            left a module's ``__getattr__`` as it is, Python would say that the name does not exist.
    """
    try:
        return getattr(import_module(module), name)
    except AttributeError as error:
        raise ImportError(f"importing {name} from {module} failed: {error}", name=module) from error
