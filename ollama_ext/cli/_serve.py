"""Run the embedded server: ``ollama-ext serve``."""

from typing import Annotated

import typer

from ollama_ext.cli._app import FAILED, Target, app
from ollama_ext.cli._output import out, say_error
from ollama_transport.errors import ConfigError


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option("--host", "-H", metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 11434,
) -> None:
    """Serve the rule-based demo models, for trying things out without Ollama; Ctrl-C ends it."""
    if context.obj != Target():
        raise ConfigError(
            "serve asks no server: what stands before it is not used. Give --host after it, to "
            "say where it listens."
        )
    from ollama_ext.embedded import serve as serve_embedded  # here: it is slow to load

    try:
        serve_embedded(host, port, announce=_announce)
    except OSError as error:
        reason = error.strerror if error.strerror is not None else str(error)
        say_error(f"cannot listen on {host}, port {port}: {reason}. Give another --port or --host.")
        raise typer.Exit(FAILED) from error


def _announce(url: str) -> None:
    out.say(f"The embedded server answers at {url}, by rules and not by a language model.")
    out.say(f"Set OLLAMA_HOST={url} to use it; Ctrl-C ends it.")
