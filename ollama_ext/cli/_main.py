"""Run the command line: register every command; report errors in one line with an exit code."""

import sys
import warnings

from ollama_ext.cli import _chat, _demo, _doctor, _embed, _manage, _serve, _transfer
from ollama_ext.cli._app import FAILED, INTERRUPTED, app, exit_code, explain
from ollama_ext.cli._output import encode_anything, err, say_error
from ollama_transport import ContextTruncatedWarning, OllamaError

COMMANDS = (_chat, _demo, _doctor, _embed, _manage, _serve, _transfer)
"""The modules of commands: importing them registers them."""


def run() -> None:
    """Run the command line; errors become one line and an exit code, not a traceback."""
    encode_anything()
    _quieten()
    try:
        app(prog_name="ollama-ext")
    except OllamaError as error:
        say_error(explain(error))
        sys.exit(exit_code(error))
    # After our own errors, some of which are OSErrors: a full disk, a deleted file.
    except OSError as error:
        say_error(str(error))
        sys.exit(FAILED)
    # Inside a command typer catches it first, and exits with the same code.
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _quieten() -> None:
    """Show our warnings in one line, and those of other packages only on request."""
    # `python -W` and PYTHONWARNINGS take precedence.
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ContextTruncatedWarning)
    warnings.showwarning = _show_warning


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    err.say(f"warning: {message}")
