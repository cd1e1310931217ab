"""Answer a question over documents through both frameworks: ``ollama-ext demo``."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.rule import Rule
from rich.status import Status
from rich.text import Text

from ollama_ext.cli._app import INTERRUPTED, Target, command
from ollama_ext.cli._demo_server import find_models
from ollama_ext.cli._demo_task import MAX_TOKENS, Answer, Answering, Source, Task
from ollama_ext.cli._manage import Json
from ollama_ext.cli._models import complete_model
from ollama_ext.cli._output import clean, number, out, print_json, waiting
from ollama_ext.cli._passages import Passage, read_passages, text_files
from ollama_transport.accounting.ledger import ModelTotals
from ollama_transport.errors import ConfigError

QUESTION = "When was the lighthouse of Skerry Point built?"
PASSAGE_CHARACTERS = 400
SHOWN_CHARACTERS = 60


@command
def demo(
    target: Target,
    documents: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Text and Markdown files, or folders of them. Default: three bundled ones.",
            exists=True,
        ),
    ] = None,
    question: Annotated[str, typer.Option("--question", "-q", help="What to ask.")] = QUESTION,
    model: Annotated[
        str | None,
        typer.Option(
            help="Model that answers. Default: the first that can chat.",
            autocompletion=complete_model,
        ),
    ] = None,
    embed_model: Annotated[
        str | None,
        typer.Option(
            help="Model that embeds. Default: the first that can.", autocompletion=complete_model
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Answer a question over documents through LangChain and through LlamaIndex.

    Without an Ollama server or models on it, a small bundled language model answers (SmolLM2-135M,
    if the extra "local" is installed), else a rule-based embedded server. Ctrl-C ends the answer of
    one framework and continues with the other.
    """
    passages = load_passages(documents if documents is not None else [])
    with ExitStack() as stack:
        chat, embed = stack.enter_context(find_models(target, model, embed_model))
        task = Task(question, passages, chat, embed, target.timeouts)
        if not json:
            _print_task(task)
        if json:
            answers = {name: _loaded(name, load)(task, _hide) for name, load in FRAMEWORKS.items()}
            print_json(_as_json(task, answers))
            return
        # Not a generator: an interrupted answer does not keep the other framework from its turn.
        whole = [_show(task, name, load) for name, load in FRAMEWORKS.items()]
    if not all(whole):
        raise typer.Exit(INTERRUPTED)


def _hide(_piece: str) -> None:
    pass


def load_passages(documents: list[Path]) -> list[Passage]:
    """Return the passages of text and Markdown files, or of the bundled ones.

    Raises:
        ConfigError: for a file that is not text, and when there is no text at all.
    """
    # The bundled documents are found in a zipped installation too.
    if not documents:
        folder = resources.files("ollama_ext.cli") / "documents"
        with resources.as_file(folder) as path:
            return load_passages([path])
    files = text_files(documents)
    found = [passage for file in files for passage in read_passages(file, PASSAGE_CHARACTERS)]
    if not found:
        raise ConfigError(f"there is no text in {', '.join(str(file) for file in files)}.")
    return [Passage(Path(passage.file).name, passage.place, passage.text) for passage in found]


# Frameworks are slow to import, and only this command needs them.
def _load_langchain() -> Answering:
    from ollama_ext.cli._demo_langchain import answer

    return answer


def _load_llamaindex() -> Answering:
    from ollama_ext.cli._demo_llamaindex import answer

    return answer


FRAMEWORKS: dict[str, Callable[[], Answering]] = {
    "LangChain": _load_langchain,
    "LlamaIndex": _load_llamaindex,
}


def _show(task: Task, name: str, load: Callable[[], Answering]) -> bool:
    """Show one framework's answer as it arrives; return False if Ctrl-C ended it."""
    out.print(Rule(Text(name, "bold"), align="left"))
    with waiting(f"loading {name} …", out):
        answering = _loaded(name, load)
    try:
        with Stream() as stream:
            answer = answering(task, stream.show)
    except KeyboardInterrupt:
        out.say("\n(interrupted)\n", "dim")
        return False
    out.say("\n" if answer.text else "(the model said nothing)\n")
    if answer.cut:
        out.say(f"(cut after {MAX_TOKENS} tokens)\n", "dim")
    _print_sources(answer.sources)
    out.say(f"{_cost(answer.totals)}\n", "dim")
    return True


def _loaded(name: str, load: Callable[[], Answering]) -> Answering:
    try:
        return load()
    except ImportError as error:
        raise ConfigError(
            f'the demo needs {name}: run `pip install "ollama-ext[cli]"` ({error}).'
        ) from error


class Stream:
    """Show an answer's pieces, with a spinner until the first of them."""

    def __init__(self) -> None:
        text = Text("waiting for the model; it may be loading, or thinking …")
        self._spinner = Status(text, console=out) if out.is_terminal else None

    def __enter__(self) -> "Stream":
        if self._spinner is not None:
            self._spinner.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._spinner is not None:
            self._spinner.stop()

    def show(self, piece: str) -> None:
        """Write a piece; ignore an empty one."""
        # Frameworks send empty pieces while a model thinks.
        if piece:
            self.__exit__()
            out.write(piece)


def _print_task(task: Task) -> None:
    files = len({passage.file for passage in task.passages})
    out.say(task.question, "bold")
    out.say(
        f"{len(task.passages)} passages of {files} {'file' if files == 1 else 'files'}, "
        f"embedded by {task.embed.model}, answered by {task.chat.model}\n"
    )


def _print_sources(sources: list[Source]) -> None:
    out.say("Sources:")
    for place, source in enumerate(sources, 1):
        start = clean(" ".join(source.text.split()))[:SHOWN_CHARACTERS].rstrip()
        out.say(f"  {place}. {source.source} ({source.score:.2f}): {start} …")


def _cost(totals: ModelTotals) -> str:
    return (
        f"{number(totals.prompt_tokens)} prompt tokens, "
        f"{number(totals.completion_tokens)} tokens, {totals.requests} requests, "
        f"{totals.seconds:.2f} s"
    )


def _as_json(task: Task, answers: dict[str, Answer]) -> object:
    return {
        "question": task.question,
        "passages": len(task.passages),
        "chat": asdict(task.chat),
        "embed": asdict(task.embed),
        "answers": [
            {
                "framework": name,
                "text": answer.text,
                "cut": answer.cut,
                "sources": [asdict(source) for source in answer.sources],
                "requests": answer.totals.requests,
                "prompt_tokens": answer.totals.prompt_tokens,
                "completion_tokens": answer.totals.completion_tokens,
                "seconds": round(answer.totals.seconds, 3),
            }
            for name, answer in answers.items()
        ],
    }
