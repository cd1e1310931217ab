"""The two clients of a model: made on first need, shared by its copies, closed together."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ollama_transport._limits import Limits
from ollama_transport._meters import Meter
from ollama_transport._settings import ClientKwargs, Settings

if TYPE_CHECKING:
    from ollama_transport._client import AsyncClient, Client

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Say how a model's clients are made; equal recipes give the same clients."""

    settings: Settings
    kwargs: ClientKwargs
    meters: tuple[Meter, ...] = ()
    max_concurrency: int | None = None
    requests_per_minute: int | None = None

    @property
    def key(self) -> Hashable:
        """Return what tells recipes apart."""
        meters = tuple(id(meter) for meter in self.meters)
        return self.settings, meters, self.max_concurrency, self.requests_per_minute

    def arguments(self, limits: Limits) -> dict[str, Any]:
        """Return the arguments of either client."""
        return {
            "settings": self.settings,
            "client_kwargs": self.kwargs,
            "meters": self.meters,
            "limits": limits,
        }


class Clients:
    """Hold the clients of a model; its copies share them, its pickles begin anew."""

    def __init__(
        self, sync: "Client | None" = None, asynchronous: "AsyncClient | None" = None
    ) -> None:
        self._given_sync = sync
        self._given_async = asynchronous
        self._lock = threading.Lock()
        self._limits: dict[Hashable, Limits] = {}
        self._sync: dict[Hashable, Client] = {}
        self._async: dict[Hashable, AsyncClient] = {}

    def sync(self, recipe: Recipe) -> "Client":
        """Return the blocking client of a recipe."""
        if self._given_sync is not None:
            return self._given_sync
        from ollama_transport._client import Client  # here: it brings httpx, 40 ms of import

        return self._kept(self._sync, recipe, lambda arguments: Client(**arguments))

    def asynchronous(self, recipe: Recipe) -> "AsyncClient":
        """Return the asynchronous client of a recipe."""
        if self._given_async is not None:
            return self._given_async
        from ollama_transport._client import AsyncClient  # see above

        return self._kept(self._async, recipe, lambda arguments: AsyncClient(**arguments))

    def _kept(
        self, kept: dict[Hashable, T], recipe: Recipe, make: Callable[[dict[str, Any]], T]
    ) -> T:
        key = recipe.key
        with self._lock:
            if key not in kept:
                # Both clients count against the same limits.
                limits = self._limits.setdefault(
                    key, Limits(recipe.max_concurrency, recipe.requests_per_minute)
                )
                kept[key] = make(recipe.arguments(limits))
            return kept[key]

    def close(self) -> None:
        """Close what was made here; connections of running loops close as soon as those run."""
        clients: list[Client | AsyncClient] = [*self._sync.values(), *self._async.values()]
        for client in clients:
            if (pool := client.leave_pool()) is not None:
                pool.release(client)

    async def aclose(self) -> None:
        """Close what was made here."""
        for client in list(self._async.values()):
            await client.aclose()
        self.close()

    def __deepcopy__(self, _: object) -> "Clients":
        return Clients(self._given_sync, self._given_async)

    def __reduce__(self) -> tuple[Any, ...]:
        return Clients, (self._given_sync, self._given_async)
