"""The list of models for an app's picker: by URL or environment, cached for a settable time."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from running import Run

from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Gate, Reply
from ollama_transport import (
    AuthenticationError,
    ConfigError,
    OllamaConnectionError,
    aget_models,
    get_models,
)
from ollama_transport.client.listing import ModelListing


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    models = [EmbeddedModel("embedder:v1", ("embedding",)), EmbeddedModel("talker:8b")]
    with EmbeddedOllama(models, demo=False) as running:
        yield running


class Picker:
    """A listing with a clock of its own, asked blocking or not."""

    def __init__(self, run: Run) -> None:
        self.now = 0.0
        self.run = run
        self.listing = ModelListing(clock=lambda: self.now)

    def __call__(self, base_url: str | None = None, **settings: Any) -> list[str]:
        method: Callable[..., Any] = self.listing.aget if self.run.is_async else self.listing.get
        names: list[str] = self.run(method(base_url, **settings))
        return names


@pytest.fixture
def picker(run: Run) -> Picker:
    return Picker(run)


def lists(server: EmbeddedOllama) -> int:
    return sum(request.path in ("/api/tags", "/v1/models") for request in server.requests)


@pytest.mark.parametrize("suffix", ["", "/v1"])
@pytest.mark.parametrize(
    ("capability", "names"),
    [
        (None, {"embedder:v1", "talker:8b"}),
        ("embedding", {"embedder:v1"}),
        ("completion", {"talker:8b"}),
    ],
)
def test_names_by_what_the_models_can(
    picker: Picker, server: EmbeddedOllama, suffix: str, capability: str | None, names: set[str]
) -> None:
    """All of them, or those with a capability, on either wire."""
    assert set(picker(server.url + suffix, capability=capability)) == names


def test_a_list_is_kept_for_so_long(picker: Picker, server: EmbeddedOllama) -> None:
    """It is asked for anew when it is as old as was said."""
    for now, expected in ((0, 1), (59.9, 1), (60, 2), (61, 2)):
        picker.now = now
        picker(server.url)
        assert lists(server) == expected
    picker(server.url, cache_s=0.5)
    assert lists(server) == 3


def test_no_cache_asks_every_time(picker: Picker, server: EmbeddedOllama) -> None:
    """A cache of 0 seconds is none."""
    for expected in (1, 2, 3):
        picker(server.url, cache_s=0)
        assert lists(server) == expected


def test_a_list_belongs_to_its_caller(picker: Picker, server: EmbeddedOllama) -> None:
    """Who changes a list changes no other."""
    picker(server.url).clear()
    assert len(picker(server.url)) == 2


def test_servers_are_distinguished(picker: Picker, server: EmbeddedOllama) -> None:
    """Each address has a list, and so has each key."""
    with EmbeddedOllama([EmbeddedModel("other:1b")], demo=False, api_key="key") as other:
        picker(server.url)
        assert picker(other.url, api_key="key") == ["other:1b"]
        with pytest.raises(AuthenticationError):
            picker(other.url, api_key="wrong")


def test_the_environment_names_the_server(
    picker: Picker, server: EmbeddedOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a URL it is OLLAMA_HOST, and OLLAMA_PORT where that names no port."""
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1")
    monkeypatch.setenv("OLLAMA_PORT", str(server.port))
    assert len(picker()) == 2


def test_a_failure_is_not_kept(picker: Picker, server: EmbeddedOllama) -> None:
    """The next one asks again."""
    server.script("GET", "/api/tags", Reply.error(401, "no"))
    with pytest.raises(AuthenticationError):
        picker(server.url)
    assert len(picker(server.url)) == 2


def test_a_server_that_is_not_there_is_an_error(picker: Picker) -> None:
    """An empty list would say something else."""
    with pytest.raises(OllamaConnectionError):
        picker("http://127.0.0.1:1", max_retries=0)


@pytest.mark.parametrize("cache_s", [-1, float("nan")])
def test_a_time_that_is_none_is_refused(picker: Picker, cache_s: float) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigError, match="cache_s"):
        picker("http://127.0.0.1:1", cache_s=cache_s)


def test_threads_and_tasks_that_ask_at_once_cost_one_request(server: EmbeddedOllama) -> None:
    """Who comes while the list is being fetched waits for it."""
    gate, start = Gate(), threading.Barrier(4)
    answer = {"models": [{"name": "one"}]}
    server.script("GET", "/api/tags", Reply.json(answer, gate=gate))
    listing = ModelListing(clock=lambda: 0.0)

    def blocking() -> list[str]:
        start.wait()
        return listing.get(server.url)

    async def tasks() -> list[list[str]]:
        await asyncio.to_thread(start.wait)
        return await asyncio.gather(*(listing.aget(server.url) for _ in range(3)))

    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(blocking) for _ in range(3)]
        rest = pool.submit(lambda: asyncio.run(tasks()))
        server.wait_for_requests(1)
        gate.set()
        names = [*(one.result(20) for one in found), *rest.result(20)]
    assert names == [["one"]] * 6
    assert lists(server) == 1


def test_the_public_functions_share_a_cache(server: EmbeddedOllama) -> None:
    """An app may ask blocking here and not blocking there."""
    assert get_models(server.url) == asyncio.run(aget_models(server.url))
    assert lists(server) == 1
