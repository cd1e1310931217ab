"""Transfer models: pull, push, create, with a progress bar for each layer."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from ollama_ext.cli._app import Target, command
from ollama_ext.cli._manage import Model
from ollama_ext.cli._models import complete_model
from ollama_ext.cli._output import clean, err, out, print_json, size, waiting
from ollama_ext.cli._passages import read_text
from ollama_transport.client.clients import Client
from ollama_transport.errors import (
    ConfigError,
    OllamaConnectionError,
    OllamaTimeoutError,
    StreamTruncatedError,
)
from ollama_transport.wire.values.answers import Progress as Step
from ollama_transport.wire.values.requests import CreateRequest

Insecure = Annotated[bool, typer.Option("--insecure", help="Allow a registry without TLS.")]
JsonLines = Annotated[
    bool, typer.Option("--json", help="Write each step as a line of JSON, for programs.")
]
_GGUF = b"GGUF"
_KEPT = "what was transferred is kept; `ollama-ext {}` goes on from there"


@command
def pull(target: Target, model: Model, insecure: Insecure = False, json: JsonLines = False) -> None:
    """Pull a model from its registry; run it again to resume."""
    with target.client() as client, _telling(_KEPT.format(f"pull {model}")):
        _follow(client.pull_stream(model, insecure=insecure), json, f"{model} is there")


@command
def push(target: Target, model: Model, insecure: Insecure = False, json: JsonLines = False) -> None:
    """Push a model to its registry; run it again to resume."""
    with target.client() as client, _telling(_KEPT.format(f"push {model}")):
        _follow(client.push_stream(model, insecure=insecure), json, f"{model} is in its registry")


@command
def create(
    target: Target,
    model: Annotated[str, typer.Argument(help="Name of the new model.")],
    base: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Existing model, or .gguf file, to create it from.",
            autocompletion=complete_model,
        ),
    ] = None,
    gguf: Annotated[
        Path | None,
        typer.Option("--gguf", help="GGUF file to create it from.", exists=True, dir_okay=False),
    ] = None,
    system: Annotated[str | None, typer.Option(help="Its system message.")] = None,
    template: Annotated[
        Path | None, typer.Option(help="File with its template.", exists=True, dir_okay=False)
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE; may be repeated.")
    ] = None,
    quantize: Annotated[str | None, typer.Option(help="Quantisation, such as q4_K_M.")] = None,
    json: JsonLines = False,
) -> None:
    """Create a model from another one, or from a GGUF file."""
    if gguf is None and base is not None and base.lower().endswith(".gguf"):
        gguf, base = _file(base), None
    if (base is None) == (gguf is None):
        raise ConfigError("give exactly one source: --from or --gguf.")
    settings = parameters(parameter if parameter is not None else [])
    text = None if template is None else read_text(template)
    with target.client() as client, _telling(f"{model} was not created"):
        request = CreateRequest(
            model,
            from_=base,
            files=None if gguf is None else _upload(client, gguf),
            system=system,
            template=text,
            parameters=settings,
            quantize=quantize,
        )
        _follow(client.create_stream(request), json, f"{model} is made")


def _file(path: str) -> Path:
    if not Path(path).is_file():
        raise ConfigError(f"--from {path}: there is no such file.")
    return Path(path)


def _upload(client: Client, gguf: Path) -> dict[str, str]:
    # The server would notice only after gigabytes had been uploaded.
    with gguf.open("rb") as file:
        if file.read(len(_GGUF)) != _GGUF:
            raise ConfigError(f"{gguf} is not a GGUF file: it does not begin with GGUF.")
    with waiting(f"uploading {gguf.name}, {size(gguf.stat().st_size)} …"):
        return {gguf.name: client.upload(gguf)}


def parameters(pairs: Iterable[str]) -> dict[str, object] | None:
    """Return NAME=VALUE pairs as Modelfile parameters; None if there are none.

    Raises:
        ConfigError: for a pair without "=" or without a name, and for a name given twice.
    """
    found: dict[str, object] = {}
    stops: list[str] = []
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name:
            raise ConfigError(f"--parameter {pair!r}: give NAME=VALUE.")
        # The only parameter that a Modelfile may repeat.
        if name == "stop":
            stops.append(text)
        elif name in found:
            raise ConfigError(f"--parameter {name} is given twice.")
        else:
            found[name] = _value(text)
    if stops:
        found["stop"] = stops
    return found if found else None


def _value(text: str) -> object:
    # Ollama checks types, so "0.7" must not arrive as a text.
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


@contextmanager
def _telling(state: str) -> Iterator[None]:
    """Report after an interruption in which state the model is."""
    try:
        yield
    except KeyboardInterrupt:
        err.say(f"interrupted: {state}")
        raise
    except (StreamTruncatedError, OllamaTimeoutError):
        err.say(state)
        raise
    except OllamaConnectionError as error:
        # A server that was never reached has kept nothing.
        if error.sent:
            err.say(state)
        raise


def _follow(steps: Iterable[Step], as_json: bool, done: str) -> None:
    if as_json:
        # JSON lines, not an array, so that a program can follow the progress.
        for step in steps:
            print_json(step.raw, lines=True)
        return
    # Progress goes to stderr: standard output has the result alone.
    if err.is_terminal:
        _show_bars(steps)
    else:
        _show_lines(steps)
    out.say(done)


class _Speed(TransferSpeedColumn):
    """Shows the speed of a layer once it is known; small layers finish too fast for that."""

    def render(self, task: Task) -> Text:
        known = task.finished_speed if task.finished_speed is not None else task.speed
        return super().render(task) if known is not None else Text()


def _show_bars(steps: Iterable[Step]) -> None:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(None),
        DownloadColumn(),
        _Speed(),
        TimeRemainingColumn(),
    )
    # By digest, which identifies a layer; its status is a text for people.
    layers: dict[str, TaskID] = {}
    with Progress(*columns, console=err) as bars:
        tell = _once(err.say)
        for step in steps:
            if step.digest is None or step.total is None:
                tell(step.status)
                continue
            # The server leaves `completed` out while it is 0 (wire reference 5.5).
            done = step.completed if step.completed is not None else 0
            if step.digest not in layers:
                layers[step.digest] = bars.add_task(
                    clean(step.status), total=step.total, completed=done
                )
            bars.update(layers[step.digest], completed=done, description=clean(step.status))


def _show_lines(steps: Iterable[Step]) -> None:
    """Write each state once, for a log instead of progress bars."""
    tell = _once(err.say)
    for step in steps:
        tell(step.status if step.total is None else f"{step.status}, {size(step.total)}")


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            say(text)

    return tell
