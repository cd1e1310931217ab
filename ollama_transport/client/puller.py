"""Pull missing models, once each in a process."""

import logging

from ollama_transport.concurrency.flights import Flights, Turn
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.native import calls as native
from ollama_transport.wire.values.answers import Progress

logger = logging.getLogger("ollama_transport")

# For the process, not per client: clients with different settings may share a server.
_PULLS = Flights()


def pull_turn(url: str, model: str) -> Turn:
    """Return the claim to pull a model, shared by every client of the process."""
    return _PULLS.turn((url, full_name(model)))


def full_name(model: str) -> str:
    """Return a model's name with its tag, ``latest`` by default."""
    # A colon before the last slash belongs to the port of a registry.
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def pull_call(url: str, model: str) -> Call[Progress]:
    """Return the call that pulls a model, and log that it is pulled."""
    logger.info("%s does not have %s: pulling it", url, model)
    return native.pull(model)
