"""Check that everything works: ``ollama-ext doctor``."""

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib import metadata

import typer

from ollama_ext.cli._app import NO_MODEL, OK, Target, command, exit_code, explain
from ollama_ext.cli._manage import Json, processor
from ollama_ext.cli._models import first_model, server_name
from ollama_ext.cli._output import number, out, print_json, size, waiting
from ollama_transport.client.clients import Client
from ollama_transport.errors import ModelNotFoundError, OllamaError
from ollama_transport.settings.client_settings import Config
from ollama_transport.settings.host import key_from_env
from ollama_transport.version import __version__
from ollama_transport.wire.values.answers import ModelSummary
from ollama_transport.wire.values.messages import Message
from ollama_transport.wire.values.requests import ChatRequest, EmbedRequest

PACKAGES = {
    "langchain-core": "langchain",
    "llama-index-core": "llamaindex",
    "starlette": "embedded",
    "httpx": None,
    "pydantic": None,
    "tenacity": None,
}
"""Packages to check, and the extra that installs each."""

_SIGNS = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}


@dataclass(frozen=True)
class Finding:
    """One check and its result.

    ``ok`` is None for information; ``code`` is the exit code of a failure.
    """

    name: str
    text: str
    ok: bool | None = True
    code: int = OK


@command
def doctor(target: Target, json: Json = False) -> None:
    """Check host, server, models and frameworks; every failure says what to do."""
    findings: list[Finding] = []
    steps = examine(target, os.environ)
    while (finding := _next(steps, quiet=json)) is not None:
        findings.append(finding)
        if not json:
            _print(finding)
    if json:
        print_json([{"name": f.name, "ok": f.ok, "text": f.text} for f in findings])
    # Exit with the first failure, which may have caused the others.
    raise typer.Exit(next((finding.code for finding in findings if finding.ok is False), OK))


def _next(steps: Iterator[Finding], *, quiet: bool) -> Finding | None:
    if quiet:
        return next(steps, None)
    with waiting("looking …", out):
        return next(steps, None)


def _print(finding: Finding) -> None:
    sign, style = _SIGNS[finding.ok]
    out.write(sign, style)
    out.write(f" {finding.name}: ", "bold")
    out.say(finding.text)


def examine(target: Target, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the findings one by one; stop if no server answers."""
    yield Finding("python", f"{platform.python_version()}, ollama-ext {__version__}", None)
    for package, extra in PACKAGES.items():
        yield _package(package, extra)
    # Not the short timeouts of a probe: the first chat may have to load its model.
    client = target.client()
    with client:
        found = _tried("host", lambda: _host(target, client.config, environ))
        yield found
        if found.ok:
            yield from _key(client.config, environ)
            yield from _server(client)


def _package(name: str, extra: str | None) -> Finding:
    try:
        return Finding(name, metadata.version(name), None)
    except metadata.PackageNotFoundError:
        wanted = "ollama-ext" if extra is None else f"ollama-ext[{extra}]"
        return Finding(name, f'not installed: `pip install "{wanted}"` gets it', None)


def _host(target: Target, config: Config, environ: Mapping[str, str]) -> str:
    url = config.endpoint.url
    if target.host is not None:
        return f"{url}, by --host"
    names = [name for name in ("OLLAMA_HOST", "OLLAMA_PORT") if environ.get(name, "").strip()]
    return f"{url}, by {' and '.join(names) if names else 'default'}"


def _key(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    if key_from_env(environ) is None:
        return
    if config.headers.get("authorization", "").startswith("Bearer "):
        yield Finding("key", "OLLAMA_API_KEY is sent", None)
    else:
        yield Finding("key", "OLLAMA_API_KEY is set but not sent: it would be unencrypted", None)


def _server(client: Client) -> Iterator[Finding]:
    version = _tried("server", lambda: server_name(client))
    yield version
    if version.ok:
        yield from _models(client)
        # Only Ollama tells which models are in memory.
        if version.text.startswith("Ollama"):
            yield _tried("in memory", lambda: _running(client))
        yield _tried("chat", lambda: _try_chat(client))
        yield _tried("embed", lambda: _try_embed(client))


def _tried(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, look())
    # A server without a model for a task is not a failure.
    except ModelNotFoundError as error:
        return Finding(name, explain(error), None)
    except OllamaError as error:
        return Finding(name, explain(error), False, exit_code(error))


def _models(client: Client) -> Iterator[Finding]:
    try:
        found = client.list()
    except OllamaError as error:
        yield Finding("models", explain(error), False, exit_code(error))
        return
    if not found:
        yield Finding("models", "none: `ollama-ext pull llama3.2` gets one", False, NO_MODEL)
    for model in found:
        yield _tried(model.name, partial(_model, client, model))


def _model(client: Client, model: ModelSummary) -> str:
    if client.config.wire == "openai":
        length = None if model.details is None else model.details.context_length
        return f"context {number(length, 'tokens')}"
    answer = client.show(model.name)
    can = sorted(answer.capabilities if answer.capabilities is not None else [])
    length = answer.context_length
    return f"{', '.join(can)}; context {number(length, 'tokens')}; {size(model.size)}"


def _running(client: Client) -> str:
    running = [
        f"{model.name} on {processor(model)}, context {number(model.context_length)}"
        for model in client.ps()
    ]
    return "; ".join(running) if running else "no model"


def _try_chat(client: Client) -> str:
    model = first_model(client, "completion")
    request = ChatRequest(
        model,
        [Message("user", "Say hello.")],
        options={"num_predict": 16},
        # Otherwise a thinking model spends the few tokens on thoughts and gives no answer.
        think=False,
        # OpenAI-compatible servers get the same request without the options they do not have.
        unsupported_options="drop",
    )
    start = time.perf_counter()
    usage = client.chat(request).usage
    whole = time.perf_counter() - start
    # The model is loaded by now, so this measures the model alone.
    start = time.perf_counter()
    with closing(client.chat_stream(request)) as lines:
        next(lines)
        first = time.perf_counter() - start
        for _ in lines:
            pass
    speed = None if usage is None else usage.tokens_per_second
    return (
        f"{model} answered in {whole:.2f} s; streamed, it began after {first:.2f} s; "
        f"{number(speed, 'tokens/s')}"
    )


def _try_embed(client: Client) -> str:
    model = first_model(client, "embedding")
    start = time.perf_counter()
    answer = client.embed(EmbedRequest(model, ["hello", "world"]))
    took = time.perf_counter() - start
    return f"{model} made 2 vectors of {len(answer.vectors[0])} in {took:.2f} s"
