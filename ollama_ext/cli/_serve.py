"""Run the embedded server: ``ollama-ext serve``."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ollama_ext.cli._app import FAILED, Target, app
from ollama_ext.cli._output import out, say_error
from ollama_transport.errors import ConfigError

if TYPE_CHECKING:
    from ollama_ext.embedded import EmbeddedModel


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option("--host", "-H", metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")
    ] = 11434,
    gguf: Annotated[
        list[str] | None,
        typer.Option(
            "--gguf",
            metavar="NAME=PATH",
            help="Also serve this GGUF file under this name, with llama.cpp; may be repeated.",
        ),
    ] = None,
) -> None:
    """Serve the demo models and GGUF files without Ollama; stop with Ctrl-C."""
    # The shared --host means a server to call, which this command does not do.
    if context.obj != Target():
        raise ConfigError(
            "serve does not use options before it. Give --host after serve to set the address it "
            "listens on."
        )
    from ollama_ext.embedded import serve as serve_embedded  # here: it is slow to load

    models = [_open(pair) for pair in (gguf if gguf is not None else [])]
    announce = partial(_announce, names=[model.name for model in models])
    try:
        serve_embedded(host, port, models=models, announce=announce)
    except OSError as error:
        reason = error.strerror if error.strerror is not None else str(error)
        say_error(f"cannot listen on {host}, port {port}: {reason}. Give another --port or --host.")
        raise typer.Exit(FAILED) from error


def _open(pair: str) -> "EmbeddedModel":
    """Load the model of NAME=PATH."""
    from ollama_ext.embedded import GgufModel  # here: it is slow to load

    name, separator, path = pair.partition("=")
    if not separator or not path:
        raise ConfigError(f"--gguf {pair!r}: give NAME=PATH, such as tiny=models/tiny.gguf.")
    # Opened here, so that a wrong path is an error of the option and not of the server.
    try:
        return GgufModel(name, path).open()
    except OSError as error:
        raise ConfigError(f"--gguf {pair!r}: {error.strerror}.") from error
    except (ImportError, ValueError) as error:
        raise ConfigError(f"--gguf {pair!r}: {error}.") from error


def _announce(url: str, names: list[str]) -> None:
    by = "by rules and not by a language model"
    if names:
        by = f"with {', '.join(names)} by llama.cpp and the demo models by rules"
    out.say(f"The embedded server answers at {url}, {by}.")
    out.say(f"Set OLLAMA_HOST={url} to use it; Ctrl-C ends it.")
