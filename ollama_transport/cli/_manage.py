"""Look at models and manage them: models, show, ps, copy, delete."""

from typing import Annotated

import typer

from ollama_transport._answers import ModelSummary, RunningModel, ShowAnswer
from ollama_transport.cli._app import Target, app
from ollama_transport.cli._output import number, out, print_json, print_table, size, when

Json = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
Model = Annotated[str, typer.Argument(help="Name of the model, such as llama3.2 or qwen3:8b.")]


@app.command()
def models(context: typer.Context, json: Json = False) -> None:
    """List the models that the server has, the newest first."""
    target: Target = context.obj
    with target.client() as client:
        found = client.list()
    if json:
        print_json([model.raw for model in found])
        return
    print_table(
        ("NAME", "SIZE", "PARAMETERS", "QUANTISATION", "CONTEXT", "CAN", "CHANGED"),
        [_model_row(model) for model in found],
        empty="The server has no models: `ollama-ext pull llama3.2` gets one.",
    )


def _model_row(model: ModelSummary) -> tuple[str, ...]:
    details = model.details
    return (
        model.name,
        size(model.size),
        details.parameter_size if details is not None else "-",
        details.quantization_level if details is not None else "-",
        number(details.context_length) if details is not None else "-",
        ", ".join(sorted(model.capabilities)) if model.capabilities is not None else "-",
        when(model.modified_at),
    )


@app.command()
def show(
    context: typer.Context,
    model: Model,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Ask for the long arrays as well (JSON only).")
    ] = False,
    json: Json = False,
) -> None:
    """Show what the server knows of a model."""
    target: Target = context.obj
    with target.client() as client:
        answer = client.show(model, verbose=verbose)
    if json:
        print_json(answer.raw)
        return
    print_table(("", ""), [row for row in _facts(model, answer) if row[1]], empty="")


def _facts(model: str, answer: ShowAnswer) -> list[tuple[str, str]]:
    details = answer.details
    return [
        ("model", model),
        ("family", details.family if details is not None else ""),
        ("parameters", details.parameter_size if details is not None else ""),
        ("quantisation", details.quantization_level if details is not None else ""),
        ("can", ", ".join(sorted(answer.capabilities or []))),
        ("context of training", number(answer.context_length, "tokens")),
        ("context by default", number(answer.num_ctx, "tokens") if answer.num_ctx else ""),
        ("size of vectors", number(answer.embedding_length)),
        ("settings", (answer.parameters or "").strip()),
        ("system", answer.system or ""),
        ("runs at", answer.remote_host or ""),
        ("changed", when(answer.modified_at)),
    ]


@app.command()
def ps(context: typer.Context, json: Json = False) -> None:
    """List the models in memory, and where they run."""
    target: Target = context.obj
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
    if model.size_vram <= 0 or model.size <= 0:
        return "CPU"
    share = min(1.0, model.size_vram / model.size)
    return "GPU" if share >= 1 else f"{share:.0%} GPU"


@app.command()
def copy(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Name of the model that is there.")],
    destination: Annotated[str, typer.Argument(help="Its second name.")],
) -> None:
    """Give a model a second name."""
    target: Target = context.obj
    with target.client() as client:
        client.copy(source, destination)
    out.print(f"{source} is there as {destination}, too", markup=False)


@app.command()
def delete(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="MODEL…", help="Names of the models.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove models from the server, after asking."""
    if not yes:
        typer.confirm(f"Delete {', '.join(names)}?", abort=True)
    target: Target = context.obj
    with target.client() as client:
        for name in names:
            client.delete(name)
            out.print(f"{name} is deleted", markup=False)
