"""Programs to run: the command line, the embedded server and the pytest plugin."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ollama_transport.version import __version__

__all__ = ["__version__"]


def __getattr__(name: str) -> object:
    # Lazy, because pytest loads the plugin in every run of every project that has the package.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ollama_transport.lazy import lazy_name

    return lazy_name("ollama_transport.version", name)


def __dir__() -> list[str]:
    return sorted(__all__)
