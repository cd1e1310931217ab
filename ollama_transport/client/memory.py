"""What a client has learnt about its server."""

import logging

from ollama_transport.concurrency.flights import Flights
from ollama_transport.concurrency.forks import Lock

logger = logging.getLogger("ollama_transport")


class ServerMemory:
    """Remembers facts about a server, for both clients of a model.

    Pickles and deep copies start empty.
    """

    def __init__(self) -> None:
        self.lookups = Flights()
        self.has_counter = True
        """False once the server turned out to have no endpoint that counts tokens."""
        self.refused: frozenset[str] = frozenset()
        """The parts of calls that the server refused, by the names of `wire.lacks`."""
        self.is_ollama: bool | None = None
        """Whether the server behind ``/v1`` is an Ollama whose own wire can be reached."""
        self.is_marked = False
        """Whether an answer of its ``/v1`` bore Ollama's mark."""
        self._told_ollama = False
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

    def refuse(self, names: frozenset[str], url: str) -> None:
        """Remember and log what the server refuses."""
        with self._lock:
            # A new set, since calls read it without the lock.
            self.refused = self.refused | names
        logger.info("%s refuses %s: it is left out from now on", url, ", ".join(sorted(names)))

    def notice_ollama(self, url: str) -> None:
        """Warn once that an Ollama answers at ``/v1``, and what its own wire does better."""
        with self._lock:
            told, self._told_ollama = self._told_ollama, True
        if not told:
            # Observed on a real server (wire reference 15).
            logger.warning(
                "%s is an Ollama, whose /v1 ignores tool_choice and silently cuts long prompts: "
                "leave /v1 out of base_url, or set api='native', to use its own wire.",
                url,
            )

    def note_wire(self, url: str, *, is_ollama: bool) -> None:
        """Remember whether Ollama's own wire is used behind ``/v1``, and say so where it is."""
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
