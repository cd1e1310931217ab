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
    # A web server that is none of both would answer 404 here as well, and that is an error.
    client.list()
    return "an OpenAI-compatible server"


def first_model(client: Client, capability: str) -> str:
    """Return the first model with a capability.

    Raises:
        ModelNotFoundError: when there is none.
    """
    name = client.default_model(capability)
    # /v1/models lists names alone: whether one of them embeds is found out by trying.
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


def chosen_model(client: Client, model: str | None, capability: str) -> str:
    """Return the named model after checking that the server has it, or the first that can do it.

    Raises:
        ModelNotFoundError: when it is missing, or no model can do it.
    """
    if model is None:
        return first_model(client, capability)
    # Checked now, not after the first question was typed or an output file was made.
    check_model(client, model)
    return model


def check_model(client: Client, model: str) -> None:
    """Check that a server has a model.

    Raises:
        ModelNotFoundError: if it does not.
    """
    try:
        client.show(model)
    # It is a RequestRejectedError too, and already says what to do.
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
    # The option may stand before or after the name of the command.
    hosts = [part.params.get("host") for part in (context, context.parent) if part is not None]
    host = next((found for found in hosts if found is not None), None)
    try:
        with Client(host, timeout=_AT_ONCE, max_retries=0) as client:
            return [model.name for model in client.list() if model.name.startswith(incomplete)]
    # Any output here would end up in the line being typed.
    except OllamaError:
        return []
