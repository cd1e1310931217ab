"""Look at everything that has to work: ``ollama-ext doctor``."""

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from typing import Any

import typer

from ollama_transport._answers import ModelSummary
from ollama_transport._client import Client
from ollama_transport._errors import ModelNotFoundError, OllamaError
from ollama_transport._messages import Message
from ollama_transport._requests import ChatRequest, EmbedRequest
from ollama_transport._settings import Settings
from ollama_transport._version import __version__
from ollama_transport.cli._app import FAILED, NO_SERVER, Target, app
from ollama_transport.cli._manage import Json, processor
from ollama_transport.cli._output import number, out, print_json, size

PACKAGES = ("langchain-core", "llama-index-core", "httpx", "pydantic", "tenacity")


@dataclass(frozen=True)
class Finding:
    """Be one thing that was looked at; ``ok`` is None for what is neither right nor wrong."""

    name: str
    text: str
    ok: bool | None = True


@app.command()
def doctor(context: typer.Context, json: Json = False) -> None:
    """Check host, server, models and frameworks; every failure says what to do."""
    target: Target = context.obj
    findings = []
    for finding in examine(target, os.environ):
        findings.append(finding)
        if not json:
            _print(finding)
    if json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.ok is False for finding in findings):
        reached = any(finding.name == "server" and finding.ok for finding in findings)
        raise typer.Exit(FAILED if reached else NO_SERVER)


def _print(finding: Finding) -> None:
    sign = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[dim]·[/]"}[finding.ok]
    out.print(f"{sign} [bold]{finding.name}[/]: ", end="")
    out.print(finding.text, markup=False, soft_wrap=True)


def examine(target: Target, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is found, one thing after the other; nothing after a server that is not there."""
    yield Finding("python", f"{platform.python_version()}, ollama-ext {__version__}", None)
    for package in PACKAGES:
        yield _package(package)
    try:
        yield Finding("host", _host(target, environ))
        client = target.client()
    except OllamaError as error:
        yield Finding("host", str(error), False)
        return
    with client:
        yield from _server(client)


def _package(name: str) -> Finding:
    try:
        return Finding(name, metadata.version(name), None)
    except metadata.PackageNotFoundError:
        return Finding(name, "not installed", None)


def _host(target: Target, environ: Mapping[str, str]) -> str:
    url = Settings(target.host).config(environ).endpoint.url
    if target.host is not None:
        return f"{url}, by --host"
    names = [name for name in ("OLLAMA_HOST", "OLLAMA_PORT") if environ.get(name, "").strip()]
    return f"{url}, by {' and '.join(names) if names else 'default'}"


def _server(client: Client) -> Iterator[Finding]:
    version = _tried("server", lambda: f"Ollama {client.version()}")
    yield version
    if version.ok:
        yield from _models(client)
        yield _tried("in memory", lambda: _running(client))
        yield _tried("chat", lambda: _try_chat(client))
        yield _tried("embed", lambda: _try_embed(client))


def _tried(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, look())
    except OllamaError as error:
        return Finding(name, str(error), None if isinstance(error, ModelNotFoundError) else False)


def _models(client: Client) -> Iterator[Finding]:
    found = client.list()
    if not found:
        yield Finding("models", "none: `ollama-ext pull llama3.2` gets one", False)
    for model in found:
        yield _tried(model.name, partial(_model, client, model))


def _model(client: Client, model: ModelSummary) -> str:
    answer = client.show(model.name)
    can = ", ".join(sorted(answer.capabilities or []))
    return f"{can}; context {number(answer.context_length, 'tokens')}; {size(model.size)}"


def _running(client: Client) -> str:
    running = [
        f"{model.name} on {processor(model)}, context {number(model.context_length)}"
        for model in client.ps()
    ]
    return "; ".join(running) if running else "no model"


def _try_chat(client: Client) -> str:
    model = client.default_model("completion")
    request = ChatRequest(
        model, [Message("user", "Say hello.")], options={"num_predict": 16}, think=False
    )
    start = time.perf_counter()
    whole = client.chat(request)
    took = time.perf_counter() - start
    start = time.perf_counter()
    first = 0.0
    with closing(client.chat_stream(request)) as lines:
        for count, _ in enumerate(lines, 1):
            first = first if count > 1 else time.perf_counter() - start
    usage: Any = whole.usage
    speed = number(usage.tokens_per_second, "tokens/s") if usage is not None else "-"
    return f"{model} answered in {took:.2f} s, its first token came after {first:.2f} s, {speed}"


def _try_embed(client: Client) -> str:
    model = client.default_model("embedding")
    start = time.perf_counter()
    answer = client.embed(EmbedRequest(model, ["hello", "world"]))
    took = time.perf_counter() - start
    return f"{model} made 2 vectors of {len(answer.vectors[0])} in {took:.2f} s"
