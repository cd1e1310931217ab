"""Models that a server does not have are pulled, once each, when that is wanted."""

import logging

from ollama_transport.concurrency.flights import Flights, Turn
from ollama_transport.wire.answers import Progress
from ollama_transport.wire.calls import Call
from ollama_transport.wire.native import calls as native

logger = logging.getLogger("ollama_transport")

_PULLS = Flights()


def pull_turn(url: str, model: str) -> Turn:
    """Return the turn of one who wants a model pulled, shared by every client of the process."""
    return _PULLS.turn((url, full_name(model)))


def full_name(model: str) -> str:
    """Return a model's name with its tag, which is ``latest`` where none is given."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def pull_call(url: str, model: str) -> Call[Progress]:
    """Return the call that pulls, and say that it is made."""
    logger.info("%s does not have %s: it is pulled", url, model)
    return native.pull(model)
