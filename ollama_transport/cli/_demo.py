"""Answer a question over documents through both frameworks: ``ollama-ext demo``."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from ollama_transport._client import Client
from ollama_transport._config import Timeouts
from ollama_transport._errors import ConfigError, ModelNotFoundError, OllamaConnectionError
from ollama_transport._ledger import ModelTotals
from ollama_transport.cli._app import NO_MODEL, Target, app
from ollama_transport.cli._embed import read_passages
from ollama_transport.cli._output import err, number, out

QUESTION = "When was the lighthouse of Skerry Point built?"
PROBE = Timeouts(connect_s=2, read_s=5, write_s=5)
"""Whether a server answers at all is asked of it quickly."""


@dataclass(frozen=True)
class Passage:
    """Be a piece of a document."""

    source: str
    text: str


@dataclass(frozen=True)
class Task:
    """Be what both frameworks are asked: the same question, passages, models and server."""

    question: str
    passages: list[Passage]
    base_url: str
    model: str
    embed_model: str


Answer = Callable[[Task, str], None]


@dataclass(frozen=True)
class Source:
    """Be a passage that an answer rests on, with its similarity to the question."""

    source: str
    text: str
    score: float


@app.command()
def demo(
    context: typer.Context,
    documents: Annotated[
        list[Path] | None,
        typer.Argument(help="Text and Markdown files. [default: three bundled ones]", exists=True),
    ] = None,
    question: Annotated[str, typer.Option("--question", "-q", help="What to ask.")] = QUESTION,
    model: Annotated[
        str | None, typer.Option(help="Model that answers. [default: the first that can chat]")
    ] = None,
    embed_model: Annotated[
        str | None, typer.Option(help="Model that embeds. [default: the first that can]")
    ] = None,
) -> None:
    """Answer a question over documents through LangChain and through LlamaIndex."""
    passages = load_passages(documents if documents is not None else [])
    with ExitStack() as stack:
        base_url, chosen, chosen_embed = stack.enter_context(
            find_server(context.obj, model, embed_model)
        )
        task = Task(question, passages, base_url, chosen, chosen_embed)
        out.print(f"[bold]{question}[/]\n{len(passages)} passages, {chosen} and {chosen_embed}\n")
        for name, answer in _frameworks():
            answer(task, name)


def _frameworks() -> Iterator[tuple[str, Answer]]:
    try:
        from ollama_transport.cli._demo_langchain import answer as langchain
        from ollama_transport.cli._demo_llamaindex import answer as llamaindex
    except ImportError as error:
        raise ConfigError(
            f'the demo needs both frameworks: run `pip install "ollama-ext[cli]"` ({error}).'
        ) from error
    yield "LangChain", langchain
    yield "LlamaIndex", llamaindex


def load_passages(documents: list[Path]) -> list[Passage]:
    """Return the passages of text and Markdown files, or of the bundled ones.

    Raises:
        ConfigError: for a file that is no text.
    """
    if documents:
        files = [file for path in documents for file in _files(path)]
        return [passage for file in files for passage in _passages(file)]
    folder = resources.files("ollama_transport.cli") / "documents"
    with resources.as_file(folder) as path:
        return [passage for file in sorted(path.glob("*.md")) for passage in _passages(file)]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix in (".md", ".txt"))
    if not found:
        raise ConfigError(f"{path} holds no .md or .txt files.")
    return found


def _passages(file: Path) -> list[Passage]:
    try:
        return [Passage(file.name, piece["text"]) for piece in read_passages(file, length=400)]
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is no text in UTF-8: give text or Markdown files.") from error


@contextmanager
def find_server(
    target: Target, model: str | None, embed_model: str | None
) -> Iterator[tuple[str, str, str]]:
    """Yield URL, model and embedding model: of a real server if one can, of the embedded else.

    Raises:
        ModelNotFoundError: for a model that was named and is not there; it names what is.
    """
    found = _ask_server(target, model, embed_model)
    if found is not None:
        yield found
        return
    from ollama_transport.embedded import EmbeddedOllama  # here: only without a server

    with EmbeddedOllama() as server:
        yield server.url, "demo", "demo-embed"


def _ask_server(
    target: Target, model: str | None, embed_model: str | None
) -> tuple[str, str, str] | None:
    with Client(target.host, timeout=PROBE, max_retries=0) as client:
        url = client.config.endpoint.url
        try:
            version = client.version()
        except OllamaConnectionError:
            _say_embedded(f"no Ollama answers at {url}")
            return None
        try:
            chosen = _choose(client, model, "completion"), _choose(client, embed_model, "embedding")
        except ModelNotFoundError as error:
            if model is not None or embed_model is not None:
                raise
            _say_embedded(str(error))
            return None
    out.print(f"Ollama {version} answers at {url}.")
    return url, *chosen


def _say_embedded(why: str) -> None:
    out.print(f"{why}; the embedded server answers instead, by rules.", markup=False)


def _choose(client: Client, wanted: str | None, capability: str) -> str:
    """Return the model that was named, or else the first that can; offer that where it misses."""
    if wanted is None:
        return client.default_model(capability)
    try:
        client.show(wanted)
    except ModelNotFoundError:
        there = client.default_model(capability)
        err.print(f"{wanted} is not on the server, {there} is.", markup=False)
        if not err.is_terminal or not typer.confirm(f"Use {there}?", default=True):
            raise typer.Exit(NO_MODEL) from None
        return there
    return wanted


def print_answer(name: str, pieces: Iterator[str]) -> None:
    """Print an answer as it comes, with a spinner until its first piece."""
    out.rule(f"[bold]{name}", align="left")
    with out.status("waiting for the model; it may be loading …"):
        first = next(pieces, "")
    out.print(first, end="", markup=False, soft_wrap=True)
    for piece in pieces:
        out.print(piece, end="", markup=False, soft_wrap=True)
    out.print("\n")


def print_sources(sources: list[Source]) -> None:
    """Print what an answer rests on, the most similar first."""
    out.print("Sources:")
    for place, source in enumerate(sources, 1):
        start = " ".join(source.text.split())[:80]
        out.print(f"  {place}. {source.source} ({source.score:.2f}): {start} …", markup=False)


def print_usage(totals: ModelTotals) -> None:
    """Print what an answer cost: tokens and time, embedding included."""
    out.print(
        f"[dim]{number(totals.prompt_tokens)} prompt tokens, "
        f"{number(totals.completion_tokens)} tokens, {totals.requests} requests, "
        f"{totals.seconds:.2f} s[/]\n"
    )
