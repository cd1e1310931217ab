"""Turn files into vectors: ``ollama-ext embed``."""

import importlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from ollama_transport._client import Client
from ollama_transport._errors import ConfigError
from ollama_transport._requests import EmbedRequest
from ollama_transport.cli._app import Target, app
from ollama_transport.cli._output import err, out

PASSAGE_CHARACTERS = 1000


@app.command()
def embed(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Text files; each is split into passages.", exists=True, dir_okay=False
        ),
    ],
    to: Annotated[Path, typer.Option("--out", "-o", help="A .jsonl or .parquet file.")],
    model: Annotated[
        str | None, typer.Option(help="Name of the model. [default: the first that can embed]")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Passages a request.")] = 64,
    dimensions: Annotated[int | None, typer.Option(help="Cut the vectors to this size.")] = None,
) -> None:
    """Write a vector for each passage of text files; run it again to go on after a break."""
    if to.suffix not in (".jsonl", ".parquet"):
        raise ConfigError(f"--out {to}: end it in .jsonl or .parquet.")
    if to.suffix == ".parquet":
        _need_pyarrow()
    passages = [passage for file in files for passage in read_passages(file)]
    # A Parquet file cannot be added to: its lines are gathered beside it until all are there.
    lines = to if to.suffix == ".jsonl" else to.with_suffix(".parquet.part")
    done = _done(lines)
    rest = [passage for passage in passages if _key(passage) not in done]
    if done:
        err.print(f"{len(passages) - len(rest)} of {len(passages)} passages are there already")
    target: Target = context.obj
    with target.client() as client:
        name = client.default_model("embedding") if model is None else model
        _write(client, name, dimensions, rest, lines, batch)
    if to.suffix == ".parquet":
        _to_parquet(lines, to)
    out.print(f"{len(passages)} vectors of {name} are in {to}", markup=False)


def read_passages(file: Path, length: int = PASSAGE_CHARACTERS) -> Iterator[dict[str, Any]]:
    """Yield the passages of a text file: paragraphs joined up to ``length`` characters."""
    text = ""
    place = 0
    for paragraph in [*file.read_text().split("\n\n"), ""]:
        if text and (not paragraph or len(text) + len(paragraph) > length):
            yield {"file": str(file), "passage": place, "text": text}
            place, text = place + 1, ""
        text = f"{text}\n\n{paragraph.strip()}".strip()
    if text:
        yield {"file": str(file), "passage": place, "text": text}


def _key(passage: dict[str, Any]) -> tuple[str, int, str]:
    return passage["file"], passage["passage"], passage["text"]


def _done(lines: Path) -> set[tuple[str, int, str]]:
    if not lines.exists():
        return set()
    found = set()
    with lines.open() as file:
        for line in file:
            try:
                found.add(_key(json.loads(line)))
            except ValueError:
                continue  # the line that an interruption cut off: its passage is made again
    return found


def _write(
    client: Client,
    model: str,
    dimensions: int | None,
    passages: Sequence[dict[str, Any]],
    lines: Path,
    batch: int,
) -> None:
    _end_line(lines)
    with lines.open("a") as file, Progress(console=err) as bars:
        bar = bars.add_task("embedding", total=len(passages))
        for group in _groups(passages, batch):
            texts = [passage["text"] for passage in group]
            answer = client.embed(
                EmbedRequest(model, texts, dimensions=dimensions, on_context_overflow="warn")
            )
            for passage, vector in zip(group, answer.vectors, strict=True):
                file.write(json.dumps({**passage, "model": model, "vector": vector}) + "\n")
            file.flush()
            bars.advance(bar, len(group))


def _end_line(lines: Path) -> None:
    """End a line that an interruption cut off, so that the next one begins on its own."""
    if lines.exists() and (text := lines.read_bytes()) and not text.endswith(b"\n"):
        with lines.open("ab") as file:
            file.write(b"\n")


def _groups(items: Iterable[dict[str, Any]], count: int) -> Iterator[list[dict[str, Any]]]:
    rest = iter(items)
    while group := list(islice(rest, count)):
        yield group


def _need_pyarrow() -> None:
    try:
        importlib.import_module("pyarrow")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Parquet needs pyarrow: `pip install pyarrow`, or write .jsonl."
        ) from error


def _to_parquet(lines: Path, to: Path) -> None:
    # An extra of one format, without types.
    pyarrow, parquet = (importlib.import_module(f"pyarrow{name}") for name in ("", ".parquet"))
    rows = [json.loads(line) for line in lines.read_text().splitlines() if line.endswith("}")]
    parquet.write_table(pyarrow.Table.from_pylist(rows), to)
    lines.unlink()
