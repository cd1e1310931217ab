"""Loading models: the wait for the first token, the queue, keep_alive (wire reference 3.5, 7.2)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ollama_ext.embedded._failures import SERVER_BUSY, WireError
from ollama_ext.embedded._gates import Gate
from ollama_ext.embedded._store import Installed, Loaded, expiry
from ollama_ext.embedded._wire import now_ns

DEFAULT_KEEP_NS = 300 * 10**9


@dataclass(frozen=True, slots=True)
class LoadRules:
    """How loading behaves.

    Attributes:
        load_s: Seconds a load takes.
        load_gate: Holds every load until it is set; None for no hold.
        max_queue: Requests that may wait for a load beside the one that loads.
        num_parallel: Requests one model serves at a time; None for any number.
    """

    load_s: float = 0.0
    load_gate: Gate | None = None
    max_queue: int = 512
    num_parallel: int | None = None

    def __post_init__(self) -> None:
        if self.load_s < 0 or self.max_queue < 0:
            raise ValueError("load_s and max_queue cannot be negative")
        # With none at a time every request would wait for ever.
        if self.num_parallel is not None and self.num_parallel < 1:
            raise ValueError("num_parallel is at least 1; None is any number")
        if self.load_gate is not None and not isinstance(self.load_gate, Gate):
            raise TypeError("load_gate= takes an ollama_ext.embedded.Gate, which is an Event")


class Loader:
    """The models in memory; used by the server's own event loop alone."""

    def __init__(self, rules: LoadRules) -> None:
        self._rules = rules
        self._loaded: dict[str, Loaded] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._lock = asyncio.Lock()
        self._pending = 0

    def reset(self) -> None:
        """Unload everything."""
        # A new dict: the server's thread may be walking over the old one.
        self._loaded = {}

    def unload(self, installed: Installed) -> None:
        """Take a model out of memory, if it is there."""
        self._loaded.pop(installed.name.key, None)

    async def running(self) -> list[Loaded]:
        """Return what is in memory, latest expiry first; waits while a model is starting."""
        # The lock is held while a model loads: that is why ps blocks then (wire reference 5.4).
        async with self._lock:
            now = now_ns()
            self._loaded = {k: item for k, item in self._loaded.items() if item.expires_ns > now}
            return sorted(self._loaded.values(), key=lambda item: -item.expires_ns)

    @asynccontextmanager
    async def use(
        self, installed: Installed, num_ctx: int, keep_ns: int | None
    ) -> AsyncIterator[int]:
        """Hold a model for one request, loading it when needed; yields the load time in ns.

        Raises:
            WireError: 503, when too many requests wait for a load already.
        """
        # Waiting in the queue counts as loading, as it does for a client of Ollama.
        began = asyncio.get_running_loop().time()
        await self._ensure(installed, num_ctx, keep_ns)
        took = int((asyncio.get_running_loop().time() - began) * 10**9)
        try:
            async with self._slot(installed):
                yield max(took, 1)
        finally:
            self._release(installed, keep_ns)

    def _slot(self, installed: Installed) -> asyncio.Semaphore:
        parallel = self._rules.num_parallel
        free = asyncio.Semaphore(2**31 if parallel is None else parallel)
        return self._slots.setdefault(installed.name.key, free)

    def _release(self, installed: Installed, keep_ns: int | None) -> None:
        loaded = self._loaded.get(installed.name.key)
        if loaded is None:
            return
        touched = loaded.touched(keep_ns)
        # keep_alive 0 with messages: it goes after its answer.
        if touched.keep_ns == 0:
            self.unload(installed)
        else:
            self._loaded[installed.name.key] = touched

    async def _ensure(self, installed: Installed, num_ctx: int, keep_ns: int | None) -> None:
        if self._ready(installed, num_ctx):
            return
        # One request loads, max_queue may wait for it, the next is refused at once.
        if self._pending > self._rules.max_queue:
            raise WireError(503, SERVER_BUSY)
        self._pending += 1
        try:
            # Whoever waited finds the model loaded by the one before.
            async with self._lock:
                if not self._ready(installed, num_ctx):
                    await self._load()
                    keep = DEFAULT_KEEP_NS if keep_ns is None else keep_ns
                    loaded = Loaded(installed, num_ctx, keep, expiry(keep))
                    self._loaded[installed.name.key] = loaded
        finally:
            self._pending -= 1

    def _ready(self, installed: Installed, num_ctx: int) -> bool:
        loaded = self._loaded.get(installed.name.key)
        return loaded is not None and loaded.num_ctx == num_ctx and loaded.expires_ns > now_ns()

    async def _load(self) -> None:
        if self._rules.load_s > 0:
            await asyncio.sleep(self._rules.load_s)
        if self._rules.load_gate is not None:
            await self._rules.load_gate.passed()
