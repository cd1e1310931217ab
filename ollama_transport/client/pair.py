"""The two clients of a model: made when first needed, shared by its copies, closed together."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ollama_transport.accounting.limits import Limits
from ollama_transport.client.client_options import ClientSettings
from ollama_transport.client.memory import ServerMemory
from ollama_transport.concurrency.forks import Lock

if TYPE_CHECKING:
    from ollama_transport.client.clients import AsyncClient, Client

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the clients of a model are made; equal recipes give the same clients."""

    settings: ClientSettings
    max_concurrency: int | None = None
    requests_per_minute: int | None = None

    @property
    def key(self) -> Hashable:
        """Return a key that is equal for equal recipes."""
        return self.settings.key, self.max_concurrency, self.requests_per_minute

    def made(self, limits: Limits, memory: ServerMemory) -> ClientSettings:
        """Return the settings of the clients, which share their limits and memory."""
        return replace(self.settings, limits=limits, memory=memory)


class Clients:
    """The clients of a model; its copies share them, its pickles make new ones."""

    def __init__(
        self, sync: "Client | None" = None, asynchronous: "AsyncClient | None" = None
    ) -> None:
        self._given_sync = sync
        self._given_async = asynchronous
        self._lock = Lock()
        self._limits: dict[Hashable, Limits] = {}
        self._memories: dict[Hashable, ServerMemory] = {}
        self._sync: dict[Hashable, Client] = {}
        self._async: dict[Hashable, AsyncClient] = {}
        # Compared by identity: a recipe is one object until a field changes, and building its key
        # would be a noticeable part of a short call.
        self._latest: tuple[Recipe, Client] | None = None
        self._latest_async: tuple[Recipe, AsyncClient] | None = None

    def sync(self, recipe: Recipe) -> "Client":
        """Return the blocking client of a recipe."""
        if self._given_sync is not None:
            return self._given_sync
        if self._latest is not None and self._latest[0] is recipe:
            return self._latest[1]
        from ollama_transport.client.clients import Client  # here: it brings httpx, 40 ms of import

        client = self._kept(self._sync, recipe, lambda settings: Client(settings=settings))
        self._latest = (recipe, client)
        return client

    def asynchronous(self, recipe: Recipe) -> "AsyncClient":
        """Return the asynchronous client of a recipe."""
        if self._given_async is not None:
            return self._given_async
        if self._latest_async is not None and self._latest_async[0] is recipe:
            return self._latest_async[1]
        from ollama_transport.client.clients import AsyncClient  # see above

        client = self._kept(self._async, recipe, lambda settings: AsyncClient(settings=settings))
        self._latest_async = (recipe, client)
        return client

    def _kept(
        self, kept: dict[Hashable, T], recipe: Recipe, make: Callable[[ClientSettings], T]
    ) -> T:
        key = recipe.key
        with self._lock:
            if key not in kept:
                # Both clients share the limits and the knowledge about the server.
                limits = self._limits.setdefault(
                    key, Limits(recipe.max_concurrency, recipe.requests_per_minute)
                )
                memory = self._memories.setdefault(key, ServerMemory())
                kept[key] = make(recipe.made(limits, memory))
            return kept[key]

    def memories(self, recipe: Recipe) -> list[ServerMemory]:
        """Return the memories of the clients that were given or made for a recipe."""
        given = [client.memory for client in (self._given_sync, self._given_async) if client]
        with self._lock:
            own = self._memories.get(recipe.key)
        return given if own is None else [*given, own]

    def close(self) -> None:
        """Close the clients made here; connections of other loops close when those loops run."""
        clients: list[Client | AsyncClient] = [*self._sync.values(), *self._async.values()]
        # The pool is released, not closed: an asynchronous client can be closed only on its own
        # loop.
        for client in clients:
            if (pool := client.leave_pool()) is not None:
                pool.release(client)

    async def aclose(self) -> None:
        """Close the clients made here."""
        for client in list(self._async.values()):
            await client.aclose()
        # The blocking clients, and connections of other loops.
        self.close()

    # The caller's own clients are shared by copies and pickled; those made here are made again.
    def __deepcopy__(self, _: object) -> "Clients":
        return Clients(self._given_sync, self._given_async)

    def __reduce__(self) -> tuple[Any, ...]:
        return Clients, (self._given_sync, self._given_async)
