"""Talk to a model in the terminal: ``ollama-ext chat``."""

import importlib
import sys
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import Annotated

import typer

from ollama_ext.cli._app import Target, command, explain
from ollama_ext.cli._models import chosen_model, complete_model
from ollama_ext.cli._output import Screen, err, number, out, say_error, waiting
from ollama_transport.client.clients import Client
from ollama_transport.errors import ConfigError, OllamaError
from ollama_transport.settings.options import Think
from ollama_transport.wire.values.answers import ChatLine
from ollama_transport.wire.values.messages import Message
from ollama_transport.wire.values.requests import ChatRequest
from ollama_transport.wire.values.usage import Usage

HELP = "/clear starts over, /system TEXT sets the system message, /bye or Ctrl-D ends."
PROMPT = ">>> "
THINK: dict[str, Think] = {
    "on": True,
    "off": False,
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
}


@command
def chat(
    target: Target,
    model: Annotated[
        str | None,
        typer.Argument(
            help="Name of the model. Default: the first that can chat.",
            autocompletion=complete_model,
        ),
    ] = None,
    system: Annotated[str | None, typer.Option(help="System message.")] = None,
    think: Annotated[
        str | None, typer.Option(help=f"Thinking: {', '.join(THINK)}. Default: the model's.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Randomness; 0 turns it off.")] = None,
    num_ctx: Annotated[
        int | None, typer.Option(min=1, help="Size of the context, in tokens.")
    ] = None,
) -> None:
    """Chat with a model, or send it standard input and write only the answer to standard output.

    In the terminal, Ctrl-C ends an answer, and Ctrl-D ends the conversation.
    """
    if think is not None and think not in THINK:
        raise ConfigError(f"--think {think}: give one of {', '.join(THINK)}.")
    question = None if is_conversation() else read_question()
    options = {"temperature": temperature, "num_ctx": num_ctx}
    with target.client() as client:
        name = chosen_model(client, model, "completion")
        request = ChatRequest(
            name,
            think=None if think is None else THINK[think],
            options={key: value for key, value in options.items() if value is not None},
            on_context_overflow="warn",
        )
        talk = Talk(client, request, system)
        if question is None:
            converse(talk, name)
        else:
            print_answer(talk.ask(question), aside=err)


def is_conversation() -> bool:
    """Return whether this is an interactive terminal; if not, standard input is the prompt."""
    return sys.stdin is not None and sys.stdin.isatty()


def read_question() -> str:
    """Return the text of standard input.

    Raises:
        ConfigError: when it is empty or not UTF-8 text.
    """
    try:
        text = sys.stdin.read().strip() if sys.stdin is not None else ""
    except UnicodeDecodeError as error:
        raise ConfigError("standard input is not text in UTF-8.") from error
    if not text:
        raise ConfigError(
            "standard input is empty: pipe a prompt into it, or run this in a terminal."
        )
    return text


@dataclass
class Talk:
    """A conversation: its messages, and the settings for the next answer."""

    client: Client
    request: ChatRequest
    system: str | None
    history: list[Message] = field(default_factory=list)

    def ask(self, text: str) -> Generator[ChatLine]:
        """Yield the answer to a text.

        Both are added to the conversation, also an answer that was closed early, since the user
        has read it. A failed exchange is dropped.
        """
        question = Message("user", text)
        start = [] if self.system is None else [Message("system", self.system)]
        said = ""
        request = replace(self.request, messages=[*start, *self.history, question])
        try:
            with closing(self.client.chat_stream(request)) as lines:
                for line in lines:
                    said += line.text
                    yield line
        except OllamaError:
            # The user will ask again, and half an answer would mislead the model.
            said = ""
            raise
        finally:
            if said:
                self.history += [question, Message("assistant", said)]


def converse(talk: Talk, name: str) -> None:
    """Read and answer until the end of the input."""
    with suppress(ImportError):
        importlib.import_module("readline")  # gives input() its history and its editing
    out.write(name, "bold")
    out.say(f": {HELP}")
    while True:
        try:
            text = _read()
        except EOFError:
            out.say()
            return
        except KeyboardInterrupt:
            # Like a shell: Ctrl-C drops the line; it is too easily pressed to end the program.
            out.say("\nCtrl-D ends.")
            continue
        if text in ("/bye", "/exit", "/quit"):
            return
        if text.startswith("/"):
            out.say(obey(talk, text))
        elif text:
            _answer(talk, text)


def _read() -> str:
    if not sys.stdout.isatty():
        # input() would write the prompt to standard output, among the answers.
        err.write(PROMPT)
        return input().strip()
    # readline must know the prompt, and which of its characters are invisible.
    prompt = f"\001\033[1;36m\002{PROMPT}\001\033[0m\002" if out.color_system else PROMPT
    return input(prompt).strip()


def obey(talk: Talk, text: str) -> str:
    """Run a command of the conversation and return the reply to show."""
    name, _, rest = text.partition(" ")
    if name == "/clear":
        talk.history.clear()
        return "The conversation starts over."
    if name == "/system":
        talk.system = rest if rest else None
        return "System message set." if rest else "System message removed."
    return HELP if name in ("/help", "/?") else f"{name} is not a command: {HELP}"


def _answer(talk: Talk, text: str) -> None:
    """Print an answer as it arrives; Ctrl-C ends the answer, not the conversation."""
    try:
        # Closed at once, so that the server stops as well.
        with closing(talk.ask(text)) as lines:
            print_answer(lines, aside=out)
    except KeyboardInterrupt:
        out.say("\ninterrupted", "dim")
    except OllamaError as error:
        out.say()
        say_error(explain(error))


def print_answer(lines: Generator[ChatLine], aside: Screen) -> None:
    """Write an answer as it arrives; ``aside`` receives the thoughts and the speed."""
    usage = None
    thought = ""
    with waiting("waiting for the model; it may be loading …", aside):
        line = next(lines, None)
    while line is not None:
        if line.thinking:
            thought = line.thinking
            aside.write(thought, "dim italic")
        if line.text:
            if thought:
                aside.write("\n" if thought.endswith("\n") else "\n\n")
                thought = ""
            out.write(line.text)
        usage = line.usage if line.usage is not None else usage
        line = next(lines, None)
    out.say()
    aside.say(summary(usage), "dim")


def summary(usage: Usage | None) -> str:
    """Return tokens, speed and time of an answer; unknown values are left out."""
    if usage is None:
        return "no usage was reported"
    parts = [
        number(usage.prompt_tokens, "prompt tokens"),
        number(usage.completion_tokens, "tokens"),
        number(usage.tokens_per_second, "tokens/s"),
        number(usage.total_duration_s, "s"),
    ]
    return ", ".join(part for part in parts if not part.startswith("-"))
