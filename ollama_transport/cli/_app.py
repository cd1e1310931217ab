"""The commands of ``ollama-ext``, and what their exit codes mean."""

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from ollama_transport._client import Client
from ollama_transport._config import DEFAULT_TIMEOUTS, TimeoutLike
from ollama_transport._errors import (
    AuthenticationError,
    ConfigError,
    ModelNotFoundError,
    OllamaConnectionError,
    OllamaError,
    OllamaTimeoutError,
    UnsupportedContentError,
)
from ollama_transport._version import __version__
from ollama_transport.cli._output import err, out

OK, FAILED, USAGE, NO_SERVER, NO_MODEL, NOT_ALLOWED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

EPILOG = (
    "Exit codes: 0 done, 1 the server failed or refused, 2 wrong usage, 3 no server was reached, "
    "4 no such model, 5 not allowed, 130 interrupted."
)

app = typer.Typer(
    name="ollama-ext",
    help="Work with Ollama and OpenAI-compatible servers.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@dataclass(frozen=True)
class Target:
    """Be where the commands go."""

    host: str | None = None
    timeout: TimeoutLike = DEFAULT_TIMEOUTS

    def client(self) -> Client:
        """Return a client for it; whoever asks closes it."""
        return Client(self.host, timeout=self.timeout)


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(f"ollama-ext {__version__}")
        raise typer.Exit


@app.callback()
def set_target(
    context: typer.Context,
    host: Annotated[
        str | None,
        typer.Option(
            "--host", "-H", help="The server, in any form of OLLAMA_HOST. [default: OLLAMA_HOST]"
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", help="Longest silence of the server, in seconds. [default: 300]"),
    ] = None,
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options that every command shares."""
    context.obj = Target(host, DEFAULT_TIMEOUTS if timeout is None else timeout)


def exit_code(error: OllamaError) -> int:
    """Return the exit code that tells a program what went wrong."""
    kinds: tuple[tuple[type[OllamaError] | tuple[type[OllamaError], ...], int], ...] = (
        ((ConfigError, UnsupportedContentError), USAGE),
        ((OllamaConnectionError, OllamaTimeoutError), NO_SERVER),
        (ModelNotFoundError, NO_MODEL),
        (AuthenticationError, NOT_ALLOWED),
    )
    return next((code for kind, code in kinds if isinstance(error, kind)), FAILED)


def run() -> None:
    """Run the command line: a user's mistake is a line and an exit code, not a traceback."""
    from ollama_transport.cli import _commands  # noqa: F401 - importing them registers them

    try:
        app()
    except OllamaError as error:
        err.print(f"[bold red]error:[/] {_escape(str(error))}", soft_wrap=True)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(INTERRUPTED)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
