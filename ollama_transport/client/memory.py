"""What a client has learnt about its server."""

import functools
import logging
import time

from ollama_transport.concurrency.flights import Flights
from ollama_transport.concurrency.forks import Lock

logger = logging.getLogger("ollama_transport")


REMEMBERED_S = 3600.0
"""Seconds for which a missing feature is remembered: the server may be updated meanwhile."""

# Bounded, since the names of models may be arbitrary.
_MOST_REFUSALS = 256
_NONE: frozenset[str] = frozenset()


@functools.cache
def tell_ollama(url: str) -> None:
    """Warn that the server at ``/v1`` is an Ollama, and what its own wire does better."""
    # Cached: a program may make a model for each request. Observed on a real server (wire
    # reference 15).
    logger.warning(
        "%s is an Ollama, whose /v1 ignores tool_choice and silently cuts long prompts: "
        "leave /v1 out of base_url, or set api='native', to use its own wire.",
        url,
    )


class ServerMemory:
    """Remembers facts about a server, for both clients of a model.

    What the server lacks is remembered for an hour. Pickles and deep copies start empty.
    """

    def __init__(self) -> None:
        self.lookups = Flights()
        self._uncounted_until = 0.0
        self._refused: dict[tuple[str | None, str], float] = {}
        self.is_ollama: bool | None = None
        """Whether the server behind ``/v1`` is an Ollama whose own wire can be reached."""
        self.is_marked = False
        """Whether an answer of its ``/v1`` bore Ollama's mark."""
        self._lock = Lock()
        self._defaults: dict[str, str] = {}

    def default(self, capability: str) -> str | None:
        """Return the model that was chosen for a capability; None if none was chosen."""
        return self._defaults.get(capability)

    def choose(self, capability: str, model: str, url: str) -> None:
        """Remember and log the model for a capability."""
        with self._lock:
            self._defaults[capability] = model
        logger.info("no model was given: using %s, the first at %s for %s", model, url, capability)

    @property
    def has_counter(self) -> bool:
        """Return False if the server turned out to have no endpoint that counts tokens."""
        return self._uncounted_until == 0.0 or time.monotonic() >= self._uncounted_until

    def note_counter(self, *, is_there: bool) -> None:
        """Remember whether the server has an endpoint that counts tokens."""
        self._uncounted_until = 0.0 if is_there else time.monotonic() + REMEMBERED_S

    def refused(self, model: str | None) -> frozenset[str]:
        """Return the parts of a model's calls that the server refuses, by the names of lacks."""
        refused = self._refused
        if not refused:
            return _NONE
        now = time.monotonic()
        return frozenset(
            name for (told, name), until in refused.items() if told == model and until > now
        )

    def refuse(self, names: frozenset[str], model: str | None, url: str) -> None:
        """Remember and log which parts of a model's calls the server refuses."""
        now = time.monotonic()
        with self._lock:
            kept = {key: until for key, until in self._refused.items() if until > now}
            kept |= {(model, name): now + REMEMBERED_S for name in names}
            # A new dict, since calls read it without the lock.
            self._refused = dict([*kept.items()][-_MOST_REFUSALS:])
        logger.info("%s refuses %s: it is left out from now on", url, ", ".join(sorted(names)))

    def note_wire(self, url: str, *, is_ollama: bool) -> None:
        """Remember whether the server behind ``/v1`` is an Ollama, and log it if so."""
        with self._lock:
            known, self.is_ollama = self.is_ollama, is_ollama
        if is_ollama and not known:
            logger.info(
                "%s is an Ollama: its own wire is used instead of /v1, unless api='openai'.", url
            )

    def forget(self, model: str | None) -> None:
        """Forget a chosen model that the server no longer has."""
        with self._lock:
            # A new dict, since `default` reads without the lock.
            self._defaults = {c: name for c, name in self._defaults.items() if name != model}

    def __reduce__(self) -> tuple[type["ServerMemory"], tuple[()]]:
        return ServerMemory, ()
