"""Turn files into vectors: ``ollama-ext embed``."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ollama_ext.cli._app import Target, command
from ollama_ext.cli._manage import Json
from ollama_ext.cli._models import chosen_model, complete_model
from ollama_ext.cli._output import err, out, print_json
from ollama_ext.cli._passages import Passage, read_passages
from ollama_ext.cli._vectors import VectorFile, to_line
from ollama_transport.client.clients import Client
from ollama_transport.errors import ConfigError, OllamaError
from ollama_transport.wire.values.requests import EmbedRequest


@dataclass
class Tally:
    """The counts of a run: passages, vector size, tokens and seconds."""

    out: str
    model: str
    passages: int
    there: int
    dimensions: int | None
    made: int = 0
    prompt_tokens: int = 0
    seconds: float = 0.0


@command
def embed(
    target: Target,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            help="Text files; each is split into passages.",
            exists=True,
            dir_okay=False,
        ),
    ],
    to: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="A .jsonl or .parquet file.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="Name of the model. Default: the first that can embed.",
            autocompletion=complete_model,
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Passages a request.")] = 64,
    dimensions: Annotated[
        int | None, typer.Option(min=1, help="Cut the vectors to this size.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a vector for each passage of text files; run it again to resume."""
    vectors = VectorFile(to)
    # A file given twice is embedded once.
    passages = list(dict.fromkeys(passage for file in files for passage in read_passages(file)))
    if not passages:
        raise ConfigError(f"there is no text in {', '.join(str(file) for file in files)}.")
    with target.client() as client:
        # Check the model first: without it, no output file is created.
        name = chosen_model(client, model, "embedding")
        vectors.begin()
        rest, length = vectors.resume(passages, name)
        tally = Tally(str(to), name, len(passages), len(passages) - len(rest), length)
        _check_length(tally, dimensions)
        if tally.there and not json:
            err.say(f"{tally.there} of {tally.passages} passages are there already")
        _write_all(client, vectors, rest, tally, batch, dimensions)
    vectors.finish()
    if json:
        print_json(asdict(tally))
    else:
        out.say(f"{tally.passages} vectors of {tally.dimensions} by {name} are in {to}")


def _check_length(tally: Tally, length: int | None) -> None:
    there = tally.dimensions
    if there is not None and length is not None and there != length:
        raise ConfigError(
            f"{tally.out} contains vectors of size {there}, not {length}: "
            "give another --out or other --dimensions."
        )


def _write_all(
    client: Client,
    vectors: VectorFile,
    passages: Sequence[Passage],
    tally: Tally,
    batch: int,
    dimensions: int | None,
) -> None:
    start = time.perf_counter()
    try:
        with vectors.lines.open("a", encoding="utf-8") as file:
            for group in _shown(passages, batch):
                _write(client, file, group, tally, dimensions)
    except (KeyboardInterrupt, OllamaError):
        kept = tally.there + tally.made
        err.say(f"{kept} of {tally.passages} vectors are kept; run the same command to resume")
        raise
    finally:
        tally.seconds = round(time.perf_counter() - start, 3)


def _write(
    client: Client, file: TextIO, group: list[Passage], tally: Tally, dimensions: int | None
) -> None:
    texts = [passage.text for passage in group]
    # A text that is too long is cut with a warning: one passage must not end a run of hours.
    answer = client.embed(
        EmbedRequest(tally.model, texts, dimensions=dimensions, on_context_overflow="warn")
    )
    _check_length(tally, len(answer.vectors[0]))
    lines = zip(group, answer.vectors, strict=True)
    file.writelines(to_line(passage, tally.model, vector) for passage, vector in lines)
    # An interruption loses one request at most.
    file.flush()
    tally.dimensions = len(answer.vectors[0])
    tally.made += len(group)
    if answer.usage is not None and answer.usage.prompt_tokens is not None:
        tally.prompt_tokens += answer.usage.prompt_tokens


def _shown(passages: Sequence[Passage], count: int) -> Iterator[list[Passage]]:
    """Yield passages in groups, and show on a terminal how many are done."""
    rest = iter(passages)
    groups = iter(lambda: list(islice(rest, count)), [])
    if not err.is_terminal:
        yield from groups
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(None),
        MofNCompleteColumn(),
        TextColumn("passages"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bars:
        bar = bars.add_task("embedding", total=len(passages))
        for group in groups:
            yield group
            bars.advance(bar, len(group))
