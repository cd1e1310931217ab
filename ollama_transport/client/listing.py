"""The names of a server's models, for apps that offer a choice: cached, for threads and loops."""

import math
import time
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from ollama_transport.client.choices import can, likely
from ollama_transport.concurrency.flights import Flights
from ollama_transport.concurrency.forks import Lock
from ollama_transport.errors import ConfigError

if TYPE_CHECKING:
    from ollama_transport.client.clients import AsyncClient, Client

DEFAULT_CACHE_S = 60.0


class ModelListing:
    """Lists the models of any server, and caches each list for a while.

    Servers are distinguished by their address and the headers sent there. Failures are not cached.
    Concurrent lookups, from any thread or event loop, cost one request.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._kept: dict[Hashable, tuple[float, tuple[str, ...]]] = {}
        self._lookups = Flights()

    def get(
        self,
        base_url: str | None = None,
        *,
        capability: str | None = None,
        cache_s: float = DEFAULT_CACHE_S,
        **settings: Any,
    ) -> list[str]:
        """Return the names; as `get_models`."""
        from ollama_transport.client.clients import Client  # here: it brings httpx, 40 ms of import

        check_cache(cache_s)
        # A client for each lookup: only the list outlives it.
        with Client(base_url, **settings) as client:
            key = _key(client, capability)
            if (known := self._find(key, cache_s)) is not None:
                return known
            with self._lookups.turn(key) as is_mine:
                if is_mine:
                    self._keep(key, _names(client, capability))
            return self._found(key)

    async def aget(
        self,
        base_url: str | None = None,
        *,
        capability: str | None = None,
        cache_s: float = DEFAULT_CACHE_S,
        **settings: Any,
    ) -> list[str]:
        """Return the names; as `aget_models`."""
        from ollama_transport.client.clients import AsyncClient  # see above

        check_cache(cache_s)
        async with AsyncClient(base_url, **settings) as client:
            key = _key(client, capability)
            if (known := self._find(key, cache_s)) is not None:
                return known
            async with self._lookups.turn(key) as is_mine:
                if is_mine:
                    self._keep(key, await _anames(client, capability))
            return self._found(key)

    def _find(self, key: Hashable, cache_s: float) -> list[str] | None:
        with self._lock:
            kept = self._kept.get(key)
        # >=, so that cache_s=0 never finds anything.
        if kept is None or self._clock() - kept[0] >= cache_s:
            return None
        return list(kept[1])

    def _keep(self, key: Hashable, names: list[str]) -> None:
        with self._lock:
            self._kept[key] = self._clock(), tuple(names)

    def _found(self, key: Hashable) -> list[str]:
        # Another caller may have performed the lookup.
        with self._lock:
            return list(self._kept[key][1])


def check_cache(cache_s: float) -> None:
    """Check a number of seconds.

    Raises:
        ConfigError: for less than 0, and NaN.
    """
    if math.isnan(cache_s) or cache_s < 0:
        raise ConfigError(f"cache_s={cache_s}: give seconds, 0 or more; 0 turns the cache off.")


def _key(client: "Client | AsyncClient", capability: str | None) -> Hashable:
    config = client.config
    # Gateways show different models to different keys, so the headers are part of the key.
    return config.endpoint, config.wire, tuple(sorted(config.headers.items())), capability


def _names(client: "Client", capability: str | None) -> list[str]:
    names = [model.name for model in client.list()]
    if capability is None:
        return names
    if client.config.wire == "openai":
        return likely(names, capability)
    return [name for name in names if can(client.show(name), name, capability)]


async def _anames(client: "AsyncClient", capability: str | None) -> list[str]:
    names = [model.name for model in await client.list()]
    if capability is None:
        return names
    if client.config.wire == "openai":
        return likely(names, capability)
    return [name for name in names if can(await client.show(name), name, capability)]


_LISTING = ModelListing()


def get_models(
    base_url: str | None = None,
    *,
    capability: str | None = None,
    cache_s: float = DEFAULT_CACHE_S,
    **settings: Any,
) -> list[str]:
    """Return the names of a server's models, in its order; [] when it has none.

    ```python
    from ollama_transport import get_models

    print(get_models(capability="embedding"))
    ```

    Ollama lists the newest first. The list is cached for the process and fetched again once it is
    ``cache_s`` seconds old; the caller may change the returned list.

    Args:
        base_url: The server's address, in any form of OLLAMA_HOST; with ``/v1`` any
            OpenAI-compatible one. None reads OLLAMA_HOST and OLLAMA_PORT.
        capability: Only models with it: "completion", "embedding", "tools", "vision", …. None
            means all models. OpenAI-compatible servers list no capabilities: there a model can
            embed if "embed" is in its name, and can do anything else if not.
        cache_s: How old a cached list may be, in seconds; 0 turns the cache off.
        settings: Further arguments of `Client`, such as ``api_key`` or ``timeout``.

    Raises:
        ConfigError: for a wrong argument.
        OllamaError: one of its subclasses, when the request fails.
    """
    return _LISTING.get(base_url, capability=capability, cache_s=cache_s, **settings)


async def aget_models(
    base_url: str | None = None,
    *,
    capability: str | None = None,
    cache_s: float = DEFAULT_CACHE_S,
    **settings: Any,
) -> list[str]:
    """Return the names of a server's models, without blocking the loop; as `get_models`.

    ```python
    import asyncio

    from ollama_transport import aget_models

    print(asyncio.run(aget_models(capability="completion")))
    ```
    """
    return await _LISTING.aget(base_url, capability=capability, cache_s=cache_s, **settings)
