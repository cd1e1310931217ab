"""Where the demo gets its answers: the user's server for what it can do, else the embedded one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ollama_ext.cli._app import Target
from ollama_ext.cli._models import check_model, first_model, server_name
from ollama_ext.cli._output import ask, err
from ollama_transport.client.clients import Client
from ollama_transport.errors import (
    ConfigError,
    ModelNotFoundError,
    OllamaConnectionError,
    OllamaTimeoutError,
)


@dataclass(frozen=True)
class Place:
    """Be a model and its server; a ``base_url`` of None is what OLLAMA_HOST says."""

    base_url: str | None
    model: str
    embedded: bool = False


_EMBEDDED = {"completion": "demo", "embedding": "demo-embed"}
_DOES = {"completion": "answers", "embedding": "embeds"}


@contextmanager
def find_places(
    target: Target, model: str | None, embed_model: str | None
) -> Iterator[tuple[Place, Place]]:
    """Yield who answers and who embeds: the server where it can, else the embedded one.

    Raises:
        ModelNotFoundError: for a model that was named and is not there.
        OllamaConnectionError, OllamaTimeoutError: when no server answers and a model was named.
    """
    chat, embed = _ask_server(target, model, embed_model)
    if not (chat.embedded or embed.embedded):
        yield chat, embed
        return
    try:
        from ollama_ext.embedded import EmbeddedOllama  # here: it is slow to load
    except ImportError as error:
        raise ConfigError(str(error)) from error
    with EmbeddedOllama() as server:
        yield _at(server.url, chat), _at(server.url, embed)


def _at(url: str, place: Place) -> Place:
    return replace(place, base_url=url) if place.embedded else place


def _ask_server(target: Target, model: str | None, embed_model: str | None) -> tuple[Place, Place]:
    with target.probe() as client:
        url = client.config.endpoint.url
        try:
            name = server_name(client)
        except (OllamaConnectionError, OllamaTimeoutError):
            # Who names a model wants that one, and no demonstration.
            if model is not None or embed_model is not None:
                raise
            err.say(f"No server answers at {url}: the embedded one does instead, by rules.")
            return _embedded("completion"), _embedded("embedding")
        err.say(f"{name} answers at {url}.")
        return (
            _place(client, target, model, "completion"),
            _place(client, target, embed_model, "embedding"),
        )


def _embedded(capability: str) -> Place:
    return Place(None, _EMBEDDED[capability], embedded=True)


def _place(client: Client, target: Target, wanted: str | None, capability: str) -> Place:
    if wanted is not None:
        return Place(target.host, _named(client, wanted, capability))
    try:
        return Place(target.host, first_model(client, capability))
    except ModelNotFoundError as error:
        err.say(f"{error} Until then the embedded server {_DOES[capability]}, by rules.")
        return _embedded(capability)


def _named(client: Client, wanted: str, capability: str) -> str:
    """Return the model that was named; where it is missing, offer what is there instead."""
    try:
        check_model(client, wanted)
    except ModelNotFoundError:
        there = first_model(client, capability)
        err.say(f"{wanted} is not on the server, {there} is.")
        if not sys.stdin.isatty() or not ask(f"Use {there}?", f"--model {there}"):
            raise
        return there
    return wanted
