"""Sockets, the HTTP reader and the connection pool: the code that moves bytes."""

from typing import TYPE_CHECKING

from ollama_transport.lazy import lazy_name

if TYPE_CHECKING:
    from ollama_transport.net.pool import new_async_client, ssl_context

__all__ = ["new_async_client", "ssl_context"]


def __getattr__(name: str) -> object:
    # Lazy, since the pool imports httpx.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return lazy_name("ollama_transport.net.pool", name)
