"""List and manage models: models, show, ps, copy, delete."""

from typing import Annotated

import typer

from ollama_ext.cli._app import FAILED, Target, command
from ollama_ext.cli._models import complete_model
from ollama_ext.cli._output import (
    ask,
    err,
    number,
    out,
    print_json,
    print_table,
    size,
    when,
)
from ollama_transport.wire.values.answers import ModelSummary, RunningModel, ShowAnswer

Json = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
Model = Annotated[
    str,
    typer.Argument(
        help="Name of the model, such as llama3.2 or qwen3:8b.", autocompletion=complete_model
    ),
]


@command
def models(target: Target, json: Json = False) -> None:
    """List the models on the server, newest first."""
    with target.client() as client:
        found = client.list()
    if json:
        print_json([model.raw for model in found])
        return
    print_table(
        ("NAME", "SIZE", "WEIGHTS", "CONTEXT", "CHANGED", "CAN"),
        [_model_row(model) for model in found],
        empty="The server has no models: `ollama-ext pull llama3.2` gets one.",
    )


def _model_row(model: ModelSummary) -> tuple[str, ...]:
    details = model.details
    weights = [] if details is None else [details.parameter_size, details.quantization_level]
    return (
        model.name,
        # OpenAI-compatible servers report no size.
        size(model.size if model.size else None),
        _known(" ".join(weights).strip()),
        number(None if details is None else details.context_length),
        when(model.modified_at),
        _known(", ".join(sorted(model.capabilities if model.capabilities is not None else []))),
    )


def _known(text: str) -> str:
    return text if text else "-"


@command
def show(
    target: Target,
    model: Model,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="Include long arrays such as the vocabulary (JSON only)."),
    ] = False,
    json: Json = False,
) -> None:
    """Show the details of a model."""
    with target.client() as client:
        answer = client.show(model, verbose=verbose)
    if json:
        print_json(answer.raw)
        return
    print_table(("", ""), [row for row in _facts(model, answer) if row[1] not in ("", "-")])


def _facts(model: str, answer: ShowAnswer) -> list[tuple[str, str]]:
    details = answer.details
    # Rows whose value is empty or "-" are left out by the caller.
    return [
        ("model", model),
        ("family", details.family if details is not None else ""),
        ("parameters", details.parameter_size if details is not None else ""),
        ("quantisation", details.quantization_level if details is not None else ""),
        ("can", ", ".join(sorted(answer.capabilities if answer.capabilities is not None else []))),
        ("context of training", number(answer.context_length, "tokens")),
        ("context by default", number(answer.num_ctx, "tokens")),
        ("size of vectors", number(answer.embedding_length)),
        ("settings", _text(answer.parameters)),
        ("system", _text(answer.system)),
        ("runs at", _text(answer.remote_host)),
        ("changed", when(answer.modified_at)),
    ]


def _text(value: str | None) -> str:
    return value.strip() if value is not None else ""


@command
def ps(target: Target, json: Json = False) -> None:
    """List the loaded models, and where they run."""
    with target.client() as client:
        running = client.ps()
    if json:
        print_json([model.raw for model in running])
        return
    print_table(
        ("NAME", "SIZE", "RUNS ON", "CONTEXT", "UNTIL"),
        [_running_row(model) for model in running],
        empty="No model is in memory.",
    )


def _running_row(model: RunningModel) -> tuple[str, ...]:
    return (
        model.name,
        size(model.size),
        processor(model),
        number(model.context_length),
        when(model.expires_at),
    )


def processor(model: RunningModel) -> str:
    """Return where a model in memory runs: CPU, GPU, or how much of it on the GPU."""
    # 0 means that no part of it is on a GPU.
    if model.size_vram <= 0 or model.size <= 0:
        return "CPU"
    share = min(1.0, model.size_vram / model.size)
    return "GPU" if share >= 1 else f"{share:.0%} GPU"


@command
def copy(
    target: Target,
    source: Annotated[
        str,
        typer.Argument(help="Name of the existing model.", autocompletion=complete_model),
    ],
    destination: Annotated[str, typer.Argument(help="Its second name.")],
) -> None:
    """Give a model a second name."""
    with target.client() as client:
        client.copy(source, destination)
    out.say(f"{source} is now also available as {destination}")


@command
def delete(
    target: Target,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL…", help="Names of the models.", autocompletion=complete_model
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove models from the server, after asking."""
    if not yes and not ask(f"Delete {', '.join(names)}?", "--yes"):
        err.say("nothing is deleted")
        raise typer.Exit(FAILED)
    with target.client() as client:
        # Reported one by one: a later model may be missing.
        for name in names:
            client.delete(name)
            out.say(f"{name} is deleted")
