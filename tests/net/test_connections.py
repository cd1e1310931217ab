"""Connections of real clients: reuse, redirects, proxies, threads, event loops and processes."""

import asyncio
import gc
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from counting import CountingServer
from running import Run

from ollama_ext.embedded import EmbeddedOllama, Reply
from ollama_transport import AsyncClient, ChatRequest, Client, Message, RequestRejectedError

ASKED = ChatRequest("demo", [Message("user", "Hello")])


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as server:
        yield server


@pytest.fixture
def server(running: EmbeddedOllama) -> EmbeddedOllama:
    running.reset()
    return running


def test_a_connection_is_used_again(run: Run) -> None:
    """Calls one after another go over one connection, of one client or of equal ones."""
    with CountingServer() as counting:
        for client in (run.client(counting.url), run.client(counting.url)):
            for _ in range(3):
                assert run(client.version()) == "1"
        assert counting.connections == 1
        run(client.aclose() if run.is_async else client.close())
        assert run(run.client(counting.url, timeout=9).version()) == "1"
        assert counting.connections == 2


def test_a_stream_read_to_its_end_gives_its_connection_back(run: Run) -> None:
    """After a complete stream the same connection serves the next call."""
    with EmbeddedOllama() as server:
        client = run.client(server.url)
        for _ in range(3):
            assert run.lines(client.chat_stream(ASKED))[-1].done
        pool = run(client._http())._transport._pool
        assert len(pool.connections) == 1
        assert pool.connections[0].is_idle()


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_on_the_same_server_keeps_everything(
    run: Run, server: EmbeddedOllama, status: int
) -> None:
    """A redirect on one origin is followed with the same body and the same key."""
    there = {"location": "/moved/api/chat"}
    server.script("POST", "/api/chat", Reply.raw(b"", status=status, headers=there))
    server.script(
        "POST", "/moved/api/chat", Reply.json({"message": {"content": "x"}, "done": True})
    )
    assert run(run.client(server.url, api_key="k3y").chat(ASKED)).text == "x"
    first, second = server.requests
    assert first.body == second.body
    assert second.headers["authorization"] == "Bearer k3y"


def test_a_redirect_to_another_server_carries_no_key(run: Run, server: EmbeddedOllama) -> None:
    """The key stays with the server it was given for."""
    with EmbeddedOllama() as other:
        there = {"location": f"{other.url}/api/chat"}
        server.script("POST", "/api/chat", Reply.raw(b"", status=307, headers=there))
        assert run(run.client(server.url, api_key="k3y").chat(ASKED)).done
        assert server.requests[0].headers["authorization"] == "Bearer k3y"
        assert "authorization" not in other.requests[0].headers


def test_a_redirected_upload_sends_its_file_again(
    run: Run, server: EmbeddedOllama, tmp_path: Path
) -> None:
    """A redirect that keeps the method gets the whole file."""
    path = tmp_path / "blob"
    path.write_bytes(b"weights" * 1000)
    client = run.client(server.url)
    digest = run(client._digest(path))
    there = {"location": "/api/moved"}
    blob = f"/api/blobs/{digest}"
    server.script("POST", blob, Reply.raw(b"", status=307, headers=there))
    server.script("POST", "/api/moved", Reply.raw(b"", status=201))
    assert run(client.upload(path)) == digest
    assert [(r.method, r.path) for r in server.requests] == [
        ("HEAD", blob),
        ("POST", blob),
        ("POST", "/api/moved"),
    ]
    assert server.requests[-1].body == path.read_bytes()


def test_a_blob_goes_up_once(run: Run, server: EmbeddedOllama, tmp_path: Path) -> None:
    """Over a real socket, a file arrives whole, and is not sent when it is there."""
    path = tmp_path / "blob"
    path.write_bytes(bytes(range(256)) * 10_000)
    client = run.client(server.url)
    digests = {run(client.upload(path)) for _ in range(2)}
    assert len(digests) == 1
    assert [request.method for request in server.requests] == ["HEAD", "POST", "HEAD"]
    assert server.requests[1].body == path.read_bytes()


def test_a_proxy_of_the_environment_is_passed_by_on_this_machine(
    run: Run, server: EmbeddedOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a proxy set that does not exist, a local server is reached all the same."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert run(run.client(server.url).version()) == "0.33.0"


def test_a_host_of_the_environment_is_asked(
    run: Run, server: EmbeddedOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OLLAMA_HOST counts at the first call, not when the client is made."""
    client = run.client(None)
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    assert run(client.version()) == "0.33.0"


def test_a_key_opens_a_server_that_asks_for_one(run: Run) -> None:
    """A server with a key refuses without it and answers with it."""
    with EmbeddedOllama(api_key="k3y") as server:
        assert run(run.client(server.url, api_key="k3y").version()) == "0.33.0"
        error = run.thrown(run.client(server.url).version)
        assert error.status == 401  # type: ignore[attr-defined] # an AuthenticationError has one


def test_many_threads_use_one_client(server: EmbeddedOllama) -> None:
    """One blocking client serves many threads at once, each with its own answer."""
    client, answers, failures = Client(server.url), [], []

    def work(number: int) -> None:
        try:
            for _ in range(5):
                asked = ChatRequest("demo", [Message("user", f"Say {number}")])
                *_, last = client.chat_stream(asked)
                answers.append((number, last.done))
        except Exception as error:  # noqa: BLE001 - any failure of a thread fails the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    assert failures == []
    assert sorted(answers) == sorted((number, True) for number in range(8) for _ in range(5))


def test_threads_that_close_do_not_disturb_each_other(server: EmbeddedOllama) -> None:
    """Clients of equal settings opened and closed in many threads go on working."""
    failures: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(10):
                with Client(server.url) as client:
                    client.version()
        except Exception as error:  # noqa: BLE001 - any failure of a thread fails the test
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_two_loops_leave_nothing_open(server: EmbeddedOllama) -> None:
    """Two `asyncio.run` on one client work; a socket left open would warn, and fail here."""

    async def use(client: AsyncClient) -> tuple[str, bool]:
        lines = [line async for line in client.chat_stream(ASKED)]
        return await client.version(), lines[-1].done

    client = AsyncClient(server.url)
    assert asyncio.run(use(client)) == ("0.33.0", True)
    assert asyncio.run(use(client)) == ("0.33.0", True)
    del client
    gc.collect()


def test_an_async_client_that_is_dropped_leaves_nothing_open(server: EmbeddedOllama) -> None:
    """Neither a client nor a stream that nobody closed warns of an open socket."""

    async def use() -> None:
        client = AsyncClient(server.url)
        async for _ in client.chat_stream(ASKED):
            break
        await client.version()

    asyncio.run(use())
    gc.collect()


def test_many_calls_at_once_on_one_loop(server: EmbeddedOllama) -> None:
    """Calls of one async client run side by side."""

    async def use() -> list[Any]:
        async with AsyncClient(server.url) as client:
            return await asyncio.gather(*(client.chat(ASKED) for _ in range(20)))

    assert len({line.text for line in asyncio.run(use())}) == 1


IN_PROCESSES = """
import os, pickle, sys
from ollama_transport import Client

client = Client(sys.argv[1], headers={"x-a": "1"})
assert client.version() == "0.33.0"
child = os.fork()
if child == 0:
    code = 0 if client.version() == "0.33.0" else 1
    client.close()
    os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert client.version() == "0.33.0"
sys.stdout.buffer.write(pickle.dumps(client))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_client_works_in_forks_and_goes_through_pickle(server: EmbeddedOllama) -> None:
    """A forked child and its parent use one client, and its pickle works in another process."""
    import pickle

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IN_PROCESSES, server.url],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    with pickle.loads(done.stdout) as arrived:
        assert arrived.version() == "0.33.0"


def test_a_wrong_path_is_named(run: Run, server: EmbeddedOllama) -> None:
    """A base URL with a path that the server does not have is suspected in the message."""
    error = run.thrown(run.client(f"{server.url}/nowhere").version)
    assert isinstance(error, RequestRejectedError)
    assert error.error == "404 page not found"
    assert "path of base_url" in str(error)


def test_request_bodies_are_plain_json(run: Run, server: EmbeddedOllama) -> None:
    """The server sees a JSON body with its length, and who is asking."""
    run(run.client(server.url).chat(ASKED))
    [request] = server.requests
    assert request.headers["content-type"] == "application/json"
    assert int(request.headers["content-length"]) == len(request.body)
    assert request.headers["user-agent"].startswith("ollama-ext/")
    assert json.loads(request.body)["model"] == "demo"


def test_a_redirect_that_loses_the_request_says_where_the_server_is(
    run: Run, server: EmbeddedOllama
) -> None:
    """After a 302 the request arrives as GET: the error names the address to use instead."""
    target = f"{server.url}/api/chat"
    server.script(
        "POST", "/proxy/api/chat", Reply.text("", status=302, headers={"location": target})
    )
    client = run.client(server.url + "/proxy", max_retries=0)
    error = run.thrown(client.chat, ASKED)
    assert isinstance(error, RequestRejectedError)
    assert f"set base_url to {server.url}" in str(error)
