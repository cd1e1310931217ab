"""Run the embedded server: ``ollama-ext serve``."""

from typing import Annotated

import typer

from ollama_transport.cli._app import app
from ollama_transport.cli._output import out
from ollama_transport.embedded import serve as serve_embedded


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 11434,
) -> None:
    """Serve the rule-based demo models, for trying things out without Ollama."""
    out.print("The embedded server answers by rules, not by a language model. Ctrl-C ends it.")
    serve_embedded(host, port)
