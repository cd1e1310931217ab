"""Talk to a model in the terminal: ``ollama-ext chat``."""

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated

import typer

from ollama_transport._answers import ChatLine
from ollama_transport._client import Client
from ollama_transport._errors import OllamaError
from ollama_transport._messages import Message
from ollama_transport._requests import ChatRequest
from ollama_transport._usage import Usage
from ollama_transport._values import check_think
from ollama_transport.cli._app import Target, app
from ollama_transport.cli._output import err, number, out

HELP = "/clear begins anew, /system TEXT sets the system message, /bye or Ctrl-D ends."


@app.command()
def chat(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Argument(help="Name of the model. [default: the first that can chat]")
    ] = None,
    system: Annotated[str | None, typer.Option(help="System message.")] = None,
    think: Annotated[
        str | None, typer.Option(help="on, off, low, medium, high or max. [default: the model's]")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Randomness; 0 is none.")] = None,
    num_ctx: Annotated[int | None, typer.Option(help="Size of the context, in tokens.")] = None,
) -> None:
    """Chat with a model, streaming; what it thinks is dimmed."""
    target: Target = context.obj
    options = {"temperature": temperature, "num_ctx": num_ctx}
    with target.client() as client:
        name = client.default_model("completion") if model is None else model
        talk = Talk(
            client,
            ChatRequest(
                name,
                think=check_think({"on": True, "off": False}.get(think or "", think)),
                options={key: value for key, value in options.items() if value is not None},
            ),
            system,
        )
        _loop(talk)


class Talk:
    """Hold a conversation: what was said, and how the next answer is asked for."""

    def __init__(self, client: Client, request: ChatRequest, system: str | None) -> None:
        self.client = client
        self.request = request
        self.system = system
        self.history: list[Message] = []

    def ask(self, text: str) -> Iterator[ChatLine]:
        """Yield the answer to a text; both are remembered once the answer is complete."""
        question = Message("user", text)
        start = [] if self.system is None else [Message("system", self.system)]
        messages = [*start, *self.history, question]
        said = ""
        request = ChatRequest(
            self.request.model,
            messages,
            think=self.request.think,
            options=self.request.options,
            on_context_overflow="warn",
        )
        with closing(self.client.chat_stream(request)) as lines:
            for line in lines:
                said += line.text
                yield line
        self.history += [question, Message("assistant", said)]


def _loop(talk: Talk) -> None:
    out.print(f"[bold]{talk.request.model}[/] — {HELP}")
    while True:
        try:
            text = out.input("[bold cyan]>>> [/]").strip()
        except (EOFError, KeyboardInterrupt):
            out.print()
            return
        if text in ("/bye", "/exit", "/quit"):
            return
        if text.startswith("/"):
            out.print(_command(talk, text), markup=False)
        elif text:
            _answer(talk, text)


def _command(talk: Talk, text: str) -> str:
    name, _, rest = text.partition(" ")
    if name == "/clear":
        talk.history.clear()
        return "The conversation begins anew."
    if name == "/system":
        talk.system = rest if rest else None
        return "The system message is set." if rest else "The system message is removed."
    return HELP


def _answer(talk: Talk, text: str) -> None:
    """Print an answer as it comes; Ctrl-C ends the answer, not the conversation."""
    try:
        usage = _print(talk.ask(text))
    except KeyboardInterrupt:
        out.print("\n[dim]interrupted[/]")
    except OllamaError as error:
        err.print(f"\nerror: {error}", markup=False)
    else:
        out.print(f"\n[dim]{_summary(usage)}[/]")


def _print(lines: Iterator[ChatLine]) -> Usage | None:
    usage = None
    thinking = False
    for line in lines:
        if line.thinking:
            thinking = True
            out.print(line.thinking, end="", style="dim italic", markup=False, soft_wrap=True)
        if line.text:
            if thinking:
                thinking = False
                out.print("\n")
            out.print(line.text, end="", markup=False, soft_wrap=True)
        sys.stdout.flush()
        usage = line.usage if line.usage is not None else usage
    return usage


def _summary(usage: Usage | None) -> str:
    if usage is None:
        return "no usage was reported"
    parts = [
        number(usage.prompt_tokens, "prompt tokens"),
        number(usage.completion_tokens, "tokens"),
        number(usage.tokens_per_second, "tokens/s"),
        number(usage.total_duration_s, "s"),
    ]
    return ", ".join(part for part in parts if not part.startswith("-"))
