"""`Client` and `AsyncClient`, and the fields that every model class has."""

from typing import TYPE_CHECKING

from ollama_transport.client.arguments import plain_kwargs
from ollama_transport.client.field_descriptions import described
from ollama_transport.client.fields import REQUESTS_AT_ONCE, ServerFields
from ollama_transport.client.listing import aget_models, get_models
from ollama_transport.lazy import lazy_name

if TYPE_CHECKING:
    from ollama_transport.client.clients import AsyncClient, Client

__all__ = [
    "REQUESTS_AT_ONCE",
    "AsyncClient",
    "Client",
    "ServerFields",
    "aget_models",
    "described",
    "get_models",
    "plain_kwargs",
]


def __getattr__(name: str) -> object:
    # Lazy, since the clients import httpx.
    if name not in ("AsyncClient", "Client"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return lazy_name("ollama_transport.client.clients", name)
