"""What a person runs: the command line, the embedded server and the pytest plugin."""

from ollama_transport.version import __version__

__all__ = ["__version__"]
