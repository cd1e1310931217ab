"""Run the command line: every command registered, a user's mistake a line and an exit code."""

import sys
import warnings

from ollama_ext.cli import _chat, _demo, _doctor, _embed, _manage, _serve, _transfer
from ollama_ext.cli._app import FAILED, INTERRUPTED, app, exit_code, explain
from ollama_ext.cli._output import encode_anything, err, say_error
from ollama_transport import ContextTruncatedWarning, OllamaError

COMMANDS = (_chat, _demo, _doctor, _embed, _manage, _serve, _transfer)
"""The modules of commands: importing them registers them."""


def run() -> None:
    """Run the command line: a user's mistake is a line and an exit code, not a traceback."""
    encode_anything()
    _quieten()
    try:
        app(prog_name="ollama-ext")
    except OllamaError as error:
        say_error(explain(error))
        sys.exit(exit_code(error))
    # After ours, of which some are OSErrors as well: a full disk, a file that went away.
    except OSError as error:
        say_error(str(error))
        sys.exit(FAILED)
    # Inside of a command typer sees it first, and exits with the same code.
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _quieten() -> None:
    """Show warnings of ours as a line, and those of other packages only to who asks for them."""
    # `python -W` and PYTHONWARNINGS go before.
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ContextTruncatedWarning)
    warnings.showwarning = _show_warning


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    err.say(f"warning: {message}")
