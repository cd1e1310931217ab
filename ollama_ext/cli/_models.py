"""Identify the server, choose a model for a task, and complete model names."""

import typer

from ollama_transport.client.clients import Client
from ollama_transport.errors import (
    ModelNotFoundError,
    OllamaError,
    RequestRejectedError,
    StatusError,
)
from ollama_transport.settings.host import Timeouts
from ollama_transport.wire.values.requests import EmbedRequest

_AT_ONCE = Timeouts(connect_s=0.5, read_s=1, write_s=1)
"""Timeout for completion: the tab key must not hang."""


def server_name(client: Client) -> str:
    """Return the kind of server: Ollama with its version, or an OpenAI-compatible server."""
    try:
        return f"Ollama {client.version()}"
    except RequestRejectedError:
        if client.config.wire == "native":
            raise
    client.list()
    return "an OpenAI-compatible server"


def first_model(client: Client, capability: str) -> str:
    """Return the first model with a capability.

    Raises:
        ModelNotFoundError: when there is none.
    """
    name = client.default_model(capability)
    if capability == "embedding" and client.config.wire == "openai":
        _check_embeds(client, name)
    return name


def _check_embeds(client: Client, model: str) -> None:
    """Try to embed, if the server does not report the capabilities of its models.

    Raises:
        ModelNotFoundError: when it cannot embed.
    """
    try:
        client.embed(EmbedRequest(model, ["hello"]))
    except StatusError as error:
        url = client.config.endpoint.url
        text = f"{model} at {url} cannot embed: {error.error}."
        raise ModelNotFoundError(text, url=url, status=404, model=model) from error


def check_model(client: Client, model: str) -> None:
    """Check that a server has a model.

    Raises:
        ModelNotFoundError: if it does not.
    """
    try:
        client.show(model)
    except ModelNotFoundError:
        raise
    except RequestRejectedError:
        # Other servers list their models without describing them.
        if client.config.wire == "native":
            raise
        _check_listed(client, model)


def _check_listed(client: Client, model: str) -> None:
    names = [found.name for found in client.list()]
    if model not in names:
        url = client.config.endpoint.url
        text = f"{url} has no model {model!r}; it has {', '.join(names) if names else 'none'}."
        raise ModelNotFoundError(text, url=url, status=404, model=model)


def complete_model(context: typer.Context, incomplete: str) -> list[str]:
    """Return the model names that complete a word; [] if the server does not answer."""
    hosts = [part.params.get("host") for part in (context, context.parent) if part is not None]
    host = next((found for found in hosts if found is not None), None)
    try:
        with Client(host, timeout=_AT_ONCE, max_retries=0) as client:
            return [model.name for model in client.list() if model.name.startswith(incomplete)]
    # Any output here would end up in the line being typed.
    except OllamaError:
        return []
