"""What a client has learnt of its server."""

import logging

from ollama_transport.concurrency.flights import Flights
from ollama_transport.concurrency.forks import Lock

logger = logging.getLogger("ollama_transport")


class ServerMemory:
    """Remember what was learnt of a server, for the two clients of a model together.

    Pickles and deep copies begin anew.
    """

    def __init__(self) -> None:
        self.lookups = Flights()
        self.has_counter = True
        """False once the server turned out to have no endpoint that counts tokens."""
        self.refused: frozenset[str] = frozenset()
        """The parts of calls that the server refused, by the names of `wire.lacks`."""
        self._is_ollama = False
        self._lock = Lock()
        self._defaults: dict[str, str] = {}

    def default(self, capability: str) -> str | None:
        """Return the model that was chosen for a capability; None when none was."""
        return self._defaults.get(capability)

    def choose(self, capability: str, model: str, url: str) -> None:
        """Remember the model for a capability, and say which one it is."""
        with self._lock:
            self._defaults[capability] = model
        logger.info(
            "no model was named: %s is taken, the first at %s for %s", model, url, capability
        )

    def refuse(self, names: frozenset[str], url: str) -> None:
        """Remember what the server refuses, and say so."""
        with self._lock:
            self.refused = self.refused | names
        logger.info("%s refuses %s: it is left out from now on", url, ", ".join(sorted(names)))

    def notice_ollama(self, url: str) -> None:
        """Say once that an Ollama answers behind ``/v1``, and what its own wire does better."""
        with self._lock:
            told, self._is_ollama = self._is_ollama, True
        if not told:
            # What its /v1 does with both was seen on a real one (wire reference 15).
            logger.warning(
                "%s is an Ollama, whose /v1 ignores tool_choice and cuts long prompts without a "
                "word: leave /v1 out of base_url, or set api='native', to use its own wire.",
                url,
            )

    def forget(self, model: str | None) -> None:
        """Choose anew the next time, since the server does not have the model any more."""
        with self._lock:
            # A new dict, since `default` reads without the lock.
            self._defaults = {c: name for c, name in self._defaults.items() if name != model}

    def __reduce__(self) -> tuple[type["ServerMemory"], tuple[()]]:
        return ServerMemory, ()
