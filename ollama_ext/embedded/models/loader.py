"""Loading models: the wait for the first token, the queue, keep_alive (wire reference 3.5, 7.2)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from ollama_ext.embedded.gates import Gate
from ollama_ext.embedded.llama.process import Runner, RunnerSettings, default_threads
from ollama_ext.embedded.models.store import Installed, Loaded, expiry
from ollama_ext.embedded.protocol.encoding import now_ns
from ollama_ext.embedded.protocol.failures import SERVER_BUSY, WireError

DEFAULT_KEEP_NS = 300 * 10**9
# Anything longer counts as forever, and needs no timer.
_TIMED_NS = 365 * 24 * 3600 * 10**9
# The timer's clock differs from that of ``expires_at``; this margin makes it fire later.
_LATER_S = 0.05


@dataclass(frozen=True, slots=True)
class LoadRules:
    """How loading behaves."""

    load_s: float = 0.0  # seconds a load takes
    load_gate: Gate | None = None  # holds every load until it is set; None for no hold
    max_queue: int = 512  # requests that may wait for a load besides the one that loads
    # Requests one model serves at a time; None for any number with models of rules, and for one
    # with models of weights, as Ollama has it.
    num_parallel: int | None = None

    def __post_init__(self) -> None:
        if self.load_s < 0 or self.max_queue < 0:
            raise ValueError("load_s and max_queue cannot be negative")
        # With a limit of 0 every request would wait forever.
        if self.num_parallel is not None and self.num_parallel < 1:
            raise ValueError("num_parallel is at least 1; None is any number")
        if self.load_gate is not None and not isinstance(self.load_gate, Gate):
            raise TypeError("load_gate= takes an ollama_ext.embedded.Gate, which is an Event")


@dataclass(frozen=True, slots=True)
class Held:
    """A model that is held for one request."""

    load_ns: int  # how long its load took, in nanoseconds, waiting included
    runner: Runner | None  # runs its weights; None for a rule-based model


class Loader:
    """The models in memory; only ``reset`` may be called outside the server's event loop."""

    def __init__(self, rules: LoadRules) -> None:
        self._rules = rules
        self._loaded: dict[str, Loaded] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._lock = asyncio.Lock()
        self._pending = 0
        # How many requests use a model; while there are any, it is never unloaded.
        self._held: Counter[str] = Counter()
        self._idle: dict[str, asyncio.Event] = {}
        self._timer: asyncio.TimerHandle | None = None

    def reset(self) -> None:
        """Unload everything; requests that run on weights are aborted."""
        # A new dict: the server's thread may be walking over the old one.
        before, self._loaded = self._loaded, {}
        for loaded in before.values():
            _stop(loaded)

    def unload(self, installed: Installed) -> None:
        """Take a model out of memory, if it is there; one that answers goes after its answer."""
        key = installed.name.key
        loaded = self._loaded.get(key)
        if loaded is not None and loaded.runner is not None and self._held[key]:
            self._loaded[key] = replace(loaded, keep_ns=0)
        elif loaded is not None:
            _stop(self._loaded.pop(key))

    async def running(self) -> list[Loaded]:
        """Return what is in memory, latest expiry first; waits while a model is starting."""
        # The lock is held while a model loads, so ps blocks then (wire reference 5.4).
        async with self._lock:
            self._drop_expired()
            return sorted(self._loaded.values(), key=lambda item: -item.expires_ns)

    @asynccontextmanager
    async def use(
        self, installed: Installed, num_ctx: int, keep_ns: int | None, threads: int = 0
    ) -> AsyncIterator[Held]:
        """Hold a model for one request, loading it when needed.

        Args:
            installed: The model.
            num_ctx: Its context, in tokens.
            keep_ns: keep_alive in nanoseconds; None leaves it.
            threads: Threads that weights compute with; 0 leaves it.
        """
        # Waiting in the queue counts as loading, as it does for a client of Ollama.
        began = asyncio.get_running_loop().time()
        runner = await self._ensure(installed, num_ctx, keep_ns, threads)
        took = int((asyncio.get_running_loop().time() - began) * 10**9)
        self._held[installed.name.key] += 1
        try:
            async with self._slot(installed):
                yield Held(max(took, 1), runner)
        finally:
            self._release(installed, keep_ns)

    def _slot(self, installed: Installed) -> asyncio.Semaphore:
        parallel = self._rules.num_parallel
        free = asyncio.Semaphore(2**31 if parallel is None else parallel)
        return self._slots.setdefault(installed.name.key, free)

    def _release(self, installed: Installed, keep_ns: int | None) -> None:
        key = installed.name.key
        self._held[key] -= 1
        if not self._held[key] and key in self._idle:
            self._idle[key].set()
        loaded = self._loaded.get(key)
        if loaded is None:
            return
        touched = self._loaded[key] = loaded.touched(keep_ns)
        # keep_alive 0 with messages: unloaded after the answer.
        if touched.keep_ns == 0:
            self.unload(installed)
        self._set_timer()

    def _set_timer(self) -> None:
        # Memory of weights is freed on time, not at the next request.
        if self._timer is not None:
            self._timer.cancel()
        ends = [
            loaded.expires_ns
            for key, loaded in self._loaded.items()
            if loaded.runner is not None and not self._held[key] and loaded.keep_ns < _TIMED_NS
        ]
        if ends:
            left = max(min(ends) - now_ns(), 0) / 10**9 + _LATER_S
            self._timer = asyncio.get_running_loop().call_later(left, self._on_time)

    def _on_time(self) -> None:
        self._drop_expired()
        self._set_timer()

    def _drop_expired(self) -> None:
        now = now_ns()
        for key, loaded in list(self._loaded.items()):
            if loaded.expires_ns <= now and not self._held[key]:
                _stop(self._loaded.pop(key))

    async def _ensure(
        self, installed: Installed, num_ctx: int, keep_ns: int | None, threads: int
    ) -> Runner | None:
        ready = self._ready(installed, num_ctx, threads)
        if ready is not None:
            return ready.runner
        # One request loads, max_queue may wait for it, the next is refused at once.
        if self._pending > self._rules.max_queue:
            raise WireError(503, SERVER_BUSY)
        self._pending += 1
        try:
            # A request that waited finds the model already loaded by the one before it.
            async with self._lock:
                ready = self._ready(installed, num_ctx, threads)
                if ready is None:
                    ready = await self._reload(installed, num_ctx, keep_ns, threads)
                return ready.runner
        finally:
            self._pending -= 1

    async def _reload(
        self, installed: Installed, num_ctx: int, keep_ns: int | None, threads: int
    ) -> Loaded:
        key = installed.name.key
        before = self._loaded.get(key)
        if before is not None and before.runner is not None and before.runner.alive:
            # A different context means a reload; requests in flight are answered first.
            await self._until_idle(key)
        if before is not None:
            _stop(before)
        runner = await self._load(installed, num_ctx, threads)
        keep = DEFAULT_KEEP_NS if keep_ns is None else keep_ns
        self._loaded[key] = Loaded(installed, num_ctx, keep, expiry(keep), runner)
        return self._loaded[key]

    async def _until_idle(self, key: str) -> None:
        while self._held[key]:
            self._idle[key] = asyncio.Event()
            await self._idle[key].wait()

    def _ready(self, installed: Installed, num_ctx: int, threads: int) -> Loaded | None:
        loaded = self._loaded.get(installed.name.key)
        if loaded is None or loaded.num_ctx != num_ctx:
            return None
        # The name may refer to another model by now.
        if loaded.installed.model.weights != installed.model.weights:
            return None
        runner = loaded.runner
        if runner is not None and not runner.fits(threads):
            return None
        held = self._held[installed.name.key] > 0
        return loaded if held or loaded.expires_ns > now_ns() else None

    async def _load(self, installed: Installed, num_ctx: int, threads: int) -> Runner | None:
        if self._rules.load_s > 0:
            await asyncio.sleep(self._rules.load_s)
        if self._rules.load_gate is not None:
            await self._rules.load_gate.passed()
        weights = installed.model.weights
        if weights is None:
            return None
        parallel = 1 if self._rules.num_parallel is None else self._rules.num_parallel
        count = threads if threads > 0 else default_threads()
        return await Runner.start(
            RunnerSettings(str(weights.path), num_ctx, parallel, installed.model.embeds_only, count)
        )


def _stop(loaded: Loaded) -> None:
    if loaded.runner is not None:
        loaded.runner.stop()
