"""Objects are made without I/O, share what can be shared, and leave nothing open behind."""

import asyncio
import copy
import gc
import importlib
import os
import pickle
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from faked import Network
from running import Run

from ollama_transport import AsyncClient, ChatRequest, Client
from ollama_transport.net import pool as pool_module

URL = "http://127.0.0.1:1"


def _adapter(module: str, name: str, **arguments: Any) -> Any:
    """Return a parameter that makes an adapter's object, imported when it is used."""

    def make() -> Any:
        return getattr(importlib.import_module(module), name)(**arguments)

    return pytest.param((module, make), id=f"{module}.{name}")


MAKERS = [
    pytest.param(("ollama_transport", Client), id="Client"),
    pytest.param(("ollama_transport", AsyncClient), id="AsyncClient"),
    _adapter("langchain_ollama_ext", "ChatOllama", model="m"),
    _adapter("langchain_ollama_ext", "OllamaLLM", model="m"),
    _adapter("langchain_ollama_ext", "OllamaEmbeddings", model="m"),
    _adapter("llamaindex_ollama_ext", "Ollama", model="m"),
    _adapter("llamaindex_ollama_ext", "OllamaEmbedding", model_name="m"),
]


def forbid(name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError(f"{name} in a constructor")

    return refuse


class _Environment(dict[str, str]):
    """An environment that may not be asked for anything of ours."""

    def __getitem__(self, key: str) -> str:
        self._check(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._check(key)
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("the environment was read in a constructor")

    def _check(self, key: str) -> None:
        if key.upper().startswith(("OLLAMA_", "HTTP", "ALL_PROXY", "NO_PROXY", "SSL_CERT")):
            raise AssertionError(f"{key} was read in a constructor")


@pytest.mark.parametrize("maker", MAKERS)
def test_a_constructor_does_no_io(
    maker: tuple[str, Callable[[], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No socket, no SSL context and no look at the environment before the first call."""
    module, make = maker
    importlib.import_module(module)
    make()  # what is imported at the first construction is not its I/O
    monkeypatch.setattr(socket, "socket", forbid("a socket"))
    monkeypatch.setattr(socket, "getaddrinfo", forbid("a look-up"))
    monkeypatch.setattr(ssl, "create_default_context", forbid("an SSL context"))
    monkeypatch.setattr(httpx, "create_ssl_context", forbid("an SSL context"))
    monkeypatch.setattr(httpx, "Client", forbid("an httpx client"))
    monkeypatch.setattr(httpx, "AsyncClient", forbid("an httpx client"))
    monkeypatch.setattr(os, "environ", _Environment(os.environ))
    make()


def test_one_ssl_context_serves_the_process(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates are read once, however many clients there are."""
    made: list[ssl.SSLContext] = []
    create = httpx.create_ssl_context

    def counted(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        made.append(create(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(httpx, "create_ssl_context", counted)
    pool_module.ssl_context.cache_clear()
    for number in range(3):
        run(http_of(run.client(f"http://127.0.0.{number + 1}:1")))
    used = [context for context in made if context is pool_module.ssl_context()]
    assert len(used) == 1
    assert pool_module.ssl_context() is pool_module.ssl_context()


def http_of(client: Any) -> Any:
    return client._http()


def test_equal_settings_share_their_connections(run: Run) -> None:
    """Clients that would talk alike use one pool, others do not."""
    first, second = run.client(URL, timeout=5), run.client(URL, timeout=5)
    assert run(http_of(first)) is run(http_of(second))
    for other in ({"timeout": 6}, {"timeout": 5, "api_key": "k"}, {"client_kwargs": {"http2": 0}}):
        assert run(http_of(run.client(URL, **other))) is not run(http_of(first))


def test_the_last_owner_closes(run: Run) -> None:
    """Connections stay open while one client uses them, and close with the last."""
    first, second = run.client(URL), run.client(URL)
    http = run(http_of(first))
    run(http_of(second))
    close(run, first)
    assert not http.is_closed
    close(run, second)
    assert http.is_closed


def close(run: Run, client: Any) -> None:
    run(client.aclose() if run.is_async else client.close())


def test_a_closed_client_opens_again(run: Run) -> None:
    """Closing is no end: the next call opens new connections; closing twice is nothing."""
    client = run.client(transport=Network("version"))
    before = run(http_of(client))
    run(client.version())
    close(run, client)
    close(run, client)
    assert before.is_closed
    assert run(client.version()) == "0.33.0"


def test_a_client_is_a_context_manager() -> None:
    """Leaving the block closes, with and without async."""
    with Client(URL) as client:
        http = http_of(client)
    assert http.is_closed

    async def use() -> httpx.AsyncClient:
        async with AsyncClient(URL) as client:
            return await http_of(client)

    assert asyncio.run(use()).is_closed


def test_the_callers_transport_is_not_closed(run: Run) -> None:
    """A transport belongs to whoever made it, and copies of a client share it."""
    closed: list[str] = []

    class Mine(Network):
        def close(self) -> None:
            closed.append("sync")

        async def aclose(self) -> None:
            closed.append("async")

    network = Mine("version")
    client = run.client(transport=network)
    copied = copy.deepcopy(client)
    run(client.version())
    close(run, client)
    assert run(copied.version()) == "0.33.0"
    close(run, copied)
    assert closed == []


def test_two_event_loops_use_one_client() -> None:
    """Two `asyncio.run` calls on one client work, each with connections of its own."""
    client, seen = AsyncClient(URL), []

    async def use() -> None:
        seen.append(await http_of(client))
        assert await http_of(client) is seen[-1]

    asyncio.run(use())
    asyncio.run(use())
    assert seen[0] is not seen[1]
    assert [http.is_closed for http in seen] == [True, True]


def test_many_loops_at_once_do_not_meet() -> None:
    """Threads with loops of their own use one client together."""
    client, barrier, failures = AsyncClient(URL), threading.Barrier(8), []
    seen: list[Any] = []

    async def use() -> None:
        seen.append(await http_of(client))

    def work() -> None:
        try:
            barrier.wait()
            for _ in range(20):
                asyncio.run(use())
        except Exception as error:  # noqa: BLE001 - any failure of a thread fails the test
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len({id(http) for http in seen}) == 160
    assert all(http.is_closed for http in seen)


def test_an_unclosed_client_leaves_no_socket(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dropped without being closed is closed after a grace period, and forgotten."""
    monkeypatch.setattr(pool_module, "GRACE_S", 0.0)
    client = (AsyncClient if run.is_async else Client)("http://127.0.0.9:1")
    http, pool = run(http_of(client)), weakref.ref(client.pool())

    def forget() -> None:
        nonlocal client
        del client
        gc.collect()
        pool_module.close_abandoned()

    async def forget_in_loop() -> None:
        forget()
        for _ in range(1000):
            await asyncio.sleep(0 if http.is_closed else 0.001)

    run(forget_in_loop() if run.is_async else forget())
    gc.collect()
    assert pool() is None
    assert http.is_closed


@pytest.mark.parametrize("again", [lambda c: pickle.loads(pickle.dumps(c)), copy.deepcopy])
def test_a_client_travels(run: Run, again: Callable[[Any], Any]) -> None:
    """A used client pickles and copies, with its settings and without its connections."""
    client = run.client("http://h:5", timeout=7, max_retries=4, headers={"x-a": "1"})
    run(http_of(client))
    back = again(client)
    assert type(back) is type(client)
    assert back.settings == client.settings
    assert back.config.endpoint == client.config.endpoint
    assert (back.timeouts, back.retry) == (client.timeouts, client.retry)
    close(run, back)


def test_a_client_on_somebody_elses_connections_does_not_pickle(run: Run) -> None:
    """An httpx client cannot travel: the error says what to give instead."""
    http = httpx.Client()
    client = run.client(URL, http_client=http)
    with pytest.raises(TypeError, match="give settings"):
        pickle.dumps(client)
    assert copy.deepcopy(client).http_client is http
    http.close()


def test_a_transport_gone_through_deepcopy_still_answers(run: Run) -> None:
    """A deep copy talks over the same injected transport."""
    network = Network("chat/tiny-chat/hello-whole")
    copied = copy.deepcopy(run.client(transport=network))
    assert run(copied.chat(ChatRequest("m"))).done
    close(run, copied)
    assert len(network.requests) == 1


def test_a_fork_does_not_use_its_parents_connections(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another process, new connections are opened instead of inherited ones."""
    client = run.client(URL)
    before = client.pool()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert client.pool() is not before
    assert run.client(URL).pool() is client.pool()
    monkeypatch.undo()
    before.release(client)


@pytest.mark.parametrize(
    ("url", "trusts"), [("http://127.0.0.1:1", False), ("http://gpu.example", True)]
)
def test_proxies_of_the_environment_are_no_way_to_this_machine(
    run: Run, monkeypatch: pytest.MonkeyPatch, url: str, trusts: bool
) -> None:
    """Loopback is reached directly; other hosts through the proxy that the environment names."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    http = run(http_of(run.client(url)))
    assert http.trust_env is trusts
    through = [mount for mount in http._mounts.values() if mount is not None]
    assert bool(through) is trusts
