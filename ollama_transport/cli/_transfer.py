"""Move models: pull, push, create, with a bar for each layer."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from ollama_transport._answers import Progress as Step
from ollama_transport._errors import ConfigError
from ollama_transport._requests import CreateRequest
from ollama_transport.cli._app import INTERRUPTED, Target, app
from ollama_transport.cli._manage import Json, Model
from ollama_transport.cli._output import err, out, print_json

Insecure = Annotated[bool, typer.Option("--insecure", help="Allow a registry without TLS.")]


@app.command()
def pull(
    context: typer.Context, model: Model, insecure: Insecure = False, json: Json = False
) -> None:
    """Get a model from its registry; run it again to go on after a break."""
    target: Target = context.obj
    with target.client() as client:
        _follow(client.pull_stream(model, insecure=insecure), json, f"ollama-ext pull {model}")
    if not json:
        out.print(f"{model} is there", markup=False)


@app.command()
def push(
    context: typer.Context, model: Model, insecure: Insecure = False, json: Json = False
) -> None:
    """Send a model to its registry; run it again to go on after a break."""
    target: Target = context.obj
    with target.client() as client:
        _follow(client.push_stream(model, insecure=insecure), json, f"ollama-ext push {model}")
    if not json:
        out.print(f"{model} is in its registry", markup=False)


@app.command()
def create(
    context: typer.Context,
    model: Model,
    base: Annotated[str | None, typer.Option("--from", help="Make it of this model.")] = None,
    gguf: Annotated[
        Path | None,
        typer.Option("--gguf", help="Make it of this file.", exists=True, dir_okay=False),
    ] = None,
    system: Annotated[str | None, typer.Option(help="Its system message.")] = None,
    template: Annotated[
        Path | None, typer.Option(help="File with its template.", exists=True, dir_okay=False)
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE; may be repeated.")
    ] = None,
    quantize: Annotated[str | None, typer.Option(help="Quantise it, such as q4_K_M.")] = None,
    json: Json = False,
) -> None:
    """Make a model of another one, or of a GGUF file."""
    if (base is None) == (gguf is None):
        raise ConfigError("a model is made of one thing: give --from or --gguf.")
    target: Target = context.obj
    with target.client() as client:
        request = CreateRequest(
            model,
            from_=base,
            files=None if gguf is None else {gguf.name: client.upload(gguf)},
            system=system,
            template=None if template is None else template.read_text(),
            parameters=parameters(parameter if parameter is not None else []),
            quantize=quantize,
        )
        _follow(client.create_stream(request), json, "the same command")
    if not json:
        out.print(f"{model} is made", markup=False)


def parameters(pairs: Iterable[str]) -> dict[str, object] | None:
    """Return NAME=VALUE pairs as a Modelfile's parameters; None for none.

    Raises:
        ConfigError: for a pair without "=".
    """
    found: dict[str, object] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator:
            raise ConfigError(f"--parameter {pair!r}: give NAME=VALUE.")
        value = _value(text)
        if name == "stop":
            before = found.get("stop", [])
            value = [*(before if isinstance(before, list) else []), text]
        found[name] = value
    return found if found else None


def _value(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


def _follow(steps: Iterable[Step], as_json: bool, again: str) -> None:
    """Show the progress of a transfer; an interruption says how to go on."""
    try:
        if as_json:
            print_json([step.raw for step in steps])
        else:
            _show(steps)
    except KeyboardInterrupt:
        err.print(f"interrupted: what came is kept, `{again}` goes on from there", markup=False)
        raise typer.Exit(INTERRUPTED) from None


def _show(steps: Iterable[Step]) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    layers: dict[str, TaskID] = {}
    with Progress(*columns, console=out) as bars:
        for step in steps:
            if step.digest is None or step.total is None:
                bars.console.print(step.status, markup=False)
                continue
            if step.digest not in layers:
                layers[step.digest] = bars.add_task(step.status, total=step.total)
            # The server leaves `completed` out while it is 0 (wire reference 5.5).
            done = step.completed if step.completed is not None else 0
            bars.update(layers[step.digest], completed=done, description=step.status)
