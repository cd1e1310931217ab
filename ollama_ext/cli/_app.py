"""The application: what every command shares, and what its exit codes mean."""

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from ollama_ext.cli._output import out
from ollama_transport.errors import (
    AuthenticationError,
    ConfigError,
    ModelNotFoundError,
    OllamaConnectionError,
    OllamaError,
    OllamaTimeoutError,
    StreamFailedError,
    StreamTruncatedError,
    UnsupportedContentError,
)
from ollama_transport.settings.host import DEFAULT_TIMEOUTS, TimeoutLike, Timeouts
from ollama_transport.version import __version__

if TYPE_CHECKING:
    from ollama_transport.client.clients import Client

OK, FAILED, USAGE, NO_SERVER, NO_MODEL, NOT_ALLOWED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

EPILOG = (
    "Exit codes: 0 success; 1 the server failed or refused, or you answered no; "
    "2 wrong usage; 3 no server answered; 4 no such model; 5 not allowed; 130 interrupted; "
    "141 the output pipe was closed."
)
# Long enough for a server that swaps, short enough for a person who waits for "none answers".
PROBE = Timeouts(connect_s=2, read_s=10, write_s=10)
"""Timeout for checking whether a server answers at all."""

# Ollama's registry says so of a model that it does not have (wire reference 5.5).
_NOT_IN_REGISTRY = "file does not exist"
_WRONG_NAME = ". The name or its tag may be wrong: see ollama.com/library."
# Hints about arguments of the library, replaced by those about options of a command.
_WORDS = (
    ("set base_url or OLLAMA_HOST", "give --host or set OLLAMA_HOST"),
    ("set base_url to", "give --host"),
    ("base_url", "--host"),
    ("Set `api_key` or OLLAMA_API_KEY", "Set OLLAMA_API_KEY"),
    ("raise the timeout", "raise --timeout"),
    ("client_kwargs={'verify': ssl_context}", "SSL_CERT_FILE=its-file"),
)

P = ParamSpec("P")

app = typer.Typer(
    name="ollama-ext",
    help="Work with Ollama and OpenAI-compatible servers.",
    epilog=EPILOG,
    no_args_is_help=True,
    # Its tracebacks would show local variables, including keys.
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)


@dataclass(frozen=True)
class Target:
    """The server of a command, and its timeout in seconds; None means the default."""

    host: str | None = None
    timeout: float | None = None

    def but(self, host: str | None, timeout: float | None) -> "Target":
        """Return the target changed by the command's own options."""
        found = self if host is None else replace(self, host=host)
        return found if timeout is None else replace(found, timeout=timeout)

    @property
    def timeouts(self) -> TimeoutLike:
        """Return the timeouts for a client."""
        return DEFAULT_TIMEOUTS if self.timeout is None else self.timeout

    def client(self) -> "Client":
        """Return a client for the target; the caller closes it."""
        from ollama_transport.client.clients import Client  # here: --help needs no httpx

        return Client(self.host, timeout=self.timeouts)

    def probe(self) -> "Client":
        """Return a client with short timeouts; the caller closes it."""
        from ollama_transport.client.clients import Client  # see above

        # No retries: "no server" is a valid result here.
        timeouts = PROBE if self.timeout is None else self.timeout
        return Client(self.host, timeout=timeouts, max_retries=0)


def _check_timeout(value: float | None) -> float | None:
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter("give seconds above 0.")
    return value


def _check_host(value: str | None) -> str | None:
    # `--host "$UNSET"` in a script must not fall back to another server.
    if value is not None and not value.strip():
        raise typer.BadParameter("it is empty; leave it out to use OLLAMA_HOST.")
    return value


_PANEL = "Server"
Host = Annotated[
    str | None,
    typer.Option(
        "--host",
        "-H",
        metavar="URL",
        callback=_check_host,
        help="Address of the server, such as http://gpu1:11434. Default: OLLAMA_HOST.",
        rich_help_panel=_PANEL,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        callback=_check_timeout,
        help="Seconds to wait for data from the server. Default: 300.",
        rich_help_panel=_PANEL,
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        out.say(f"ollama-ext {__version__}")
        raise typer.Exit


@app.callback()
def set_target(
    context: typer.Context,
    host: Host = None,
    timeout: Timeout = None,
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options that every command shares."""
    context.obj = Target(host, timeout)


def command(
    function: Callable[Concatenate[Target, P], None],
) -> Callable[Concatenate[Target, P], None]:
    """Register a command that calls a server: it gets the target before its own arguments.

    The command has its own ``--host`` and ``--timeout``, which override those before it.
    """

    @functools.wraps(function)
    def run_command(
        context: typer.Context, host: str | None, timeout: float | None, **given: Any
    ) -> None:
        function(context.obj.but(host, timeout), **given)  # type: ignore[call-arg]  # by name

    ours = inspect.signature(function).parameters
    shared = {"context": typer.Context, "host": Host, "timeout": Timeout}
    # By keyword, options with defaults may stand before arguments without.
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        *(parameter.replace(kind=kind) for parameter in list(ours.values())[1:]),
        inspect.Parameter("context", kind, annotation=typer.Context),
        inspect.Parameter("host", kind, default=None, annotation=Host),
        inspect.Parameter("timeout", kind, default=None, annotation=Timeout),
    ]
    # typer reads a command's options from its signature.
    run_command.__dict__["__signature__"] = inspect.Signature(parameters)
    run_command.__annotations__ = {p.name: p.annotation for p in parameters} | shared
    app.command()(run_command)
    return function


def exit_code(error: OllamaError) -> int:
    """Return the exit code for an error."""
    if isinstance(error, StreamFailedError) and _NOT_IN_REGISTRY in error.error:
        return NO_MODEL
    # The first that fits counts: a missing model is a kind of refusal as well.
    kinds: tuple[tuple[type[OllamaError] | tuple[type[OllamaError], ...], int], ...] = (
        ((ConfigError, UnsupportedContentError), USAGE),
        ((OllamaConnectionError, OllamaTimeoutError), NO_SERVER),
        (ModelNotFoundError, NO_MODEL),
        (AuthenticationError, NOT_ALLOWED),
    )
    return next((code for kind, code in kinds if isinstance(error, kind)), FAILED)


def explain(error: OllamaError) -> str:
    """Return an error's message with hints for the command line instead of for code."""
    if isinstance(error, StreamFailedError):
        hint = _WRONG_NAME if _NOT_IN_REGISTRY in error.error else ""
        return f"{error.url} failed: {error.error}{hint}"
    if isinstance(error, StreamTruncatedError):
        return f"the answer of {error.url} was cut off: the server or the connection is gone."
    # Messages of the library name its arguments, which a person at a terminal cannot set.
    text = str(error)
    for ours, here in _WORDS:
        text = text.replace(ours, here)
    return text
