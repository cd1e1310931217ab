"""Starting and stopping: threads, sockets, warnings, several servers, many clients, auth."""

import asyncio
import gc
import json
import socket
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from importlib.metadata import entry_points
from types import SimpleNamespace

import httpx
import pytest

from ollama_ext.embedded import (
    Answer,
    EmbeddedModel,
    EmbeddedOllama,
    Gate,
    Prompt,
    Reply,
    demo_models,
)
from ollama_ext.embedded.endpoints import embed as embed_endpoints
from ollama_ext.embedded.server.uvicorn_server import bind

pytest_plugins = ["pytester"]
DEADLINE_S = 60
HI = [{"role": "user", "content": "Hello"}]
WHOLE = {"model": "demo", "messages": HI, "stream": False}


@pytest.fixture
def server_threads():
    """Return what tells the threads of servers that this test started."""

    def running():
        return {t for t in threading.enumerate() if t.name == "embedded-ollama"}

    before = running()
    return lambda: running() - before


def test_start_and_stop(server_threads):
    """After stop the thread is gone, the port closed, and the URL with it; twice is fine."""
    server = EmbeddedOllama()
    with pytest.raises(RuntimeError, match="is not running"):
        _ = server.url
    server.start()
    url = server.url
    assert server.port == int(url.rpartition(":")[2])
    assert httpx.get(url, trust_env=False).text == "Ollama is running"
    assert server_threads()
    with pytest.raises(RuntimeError, match="is already running"):
        server.start()
    server.stop()
    server.stop()
    assert not server_threads()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


def test_starts_again():
    """A stopped server can start again."""
    server = EmbeddedOllama()
    for _ in range(2):
        with server:
            assert (
                httpx.post(f"{server.url}/api/chat", json=WHOLE, trust_env=False).status_code == 200
            )


def test_stops_while_clients_hold_on(server_threads):
    """Keep-alive connections, endless streams and held answers do not keep a server up."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with EmbeddedOllama(load_gate=Gate()) as server:
            server.script("POST", "/api/show", Reply.lines([{}], forever=True))
            client = httpx.Client(base_url=server.url, trust_env=False)
            assert client.get("/").status_code == 200
            stream = client.stream("POST", "/api/show", json={})
            next(stream.__enter__().iter_raw())
            failed = []

            def wait():
                try:
                    httpx.post(f"{server.url}/api/chat", json=WHOLE, trust_env=False)
                except httpx.HTTPError as error:
                    failed.append(error)

            waiting = threading.Thread(target=wait)
            waiting.start()
            assert server.wait_for_requests(3)
        waiting.join(timeout=10)
        assert isinstance(failed[0], httpx.RemoteProtocolError | httpx.ReadError)
        stream.gen.close()
        client.close()
        gc.collect()
    assert not server_threads()


def test_no_call_waits_for_a_stopped_server():
    """Clients that connect while the server stops are hung up on, not left waiting."""
    late = []

    def knock(port, gone):
        # A bare client, because the moment to hit is short.
        while not gone.is_set():
            client = HTTPConnection("127.0.0.1", port, timeout=10)
            with closing(client):
                try:
                    client.request("POST", "/api/chat", json.dumps(WHOLE))
                    client.getresponse().read()
                except TimeoutError as error:
                    late.append(error)
                except (OSError, HTTPException):
                    pass

    for _ in range(10):
        gone = threading.Event()
        with EmbeddedOllama() as server, ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(knock, server.port, gone)
            assert server.wait_for_requests(20)
            server.stop()
            gone.set()
        assert all(request.outcome != "pending" for request in server.requests)
    gc.collect()
    assert late == []


def test_no_resource_leaks():
    """Neither a socket nor an event loop is left behind for the garbage collector."""
    code = """
import gc, warnings, sys
warnings.simplefilter("error")
import httpx
from ollama_ext.embedded import EmbeddedOllama
for _ in range(3):
    with EmbeddedOllama() as server, httpx.Client(trust_env=False) as http:
        http.post(server.url + "/api/chat", json={"model": "demo", "messages": [], "stream": True})
gc.collect()
"""
    run = [sys.executable, "-X", "dev", "-W", "error", "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_several_at_once():
    """Servers do not know of each other."""
    with EmbeddedOllama() as one, EmbeddedOllama([EmbeddedModel("own")]) as other:
        assert one.url != other.url
        assert "own:latest" not in httpx.get(f"{one.url}/api/tags", trust_env=False).text
        assert "own:latest" in httpx.get(f"{other.url}/api/tags", trust_env=False).text
        assert other.requests != []
        assert len(one.requests) == 1


def test_port_and_host():
    """A port can be chosen, and a taken one is an OSError."""
    with EmbeddedOllama(host="127.0.0.1") as server:
        with pytest.raises(OSError, match="in use"):
            EmbeddedOllama(port=server.port).start()
        port = server.port
    with EmbeddedOllama(port=port) as again:
        assert again.port == port


def test_no_delay_on_kept_connections():
    """The listening socket is plainly TCP, so that asyncio turns Nagle's delay off."""
    listening = bind("127.0.0.1", 0)
    with listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_twenty_clients_at_once():
    """Twenty clients get whole streams, each its own."""
    with EmbeddedOllama() as server, ThreadPoolExecutor(20) as pool:

        def talk(number):
            messages = [{"role": "user", "content": f'Say "number {number}"'}]
            body = {"model": "demo", "messages": messages, "think": False}
            text = httpx.post(f"{server.url}/api/chat", json=body, trust_env=False).text
            lines = [json.loads(line) for line in text.split("\n")[:-1]]
            assert lines[-1]["done"]
            return "".join(line["message"]["content"] for line in lines)

        assert list(pool.map(talk, range(20))) == [f"number {n}" for n in range(20)]
        assert len(server.requests) == 20


def test_a_big_batch_delays_no_other_call(monkeypatch):
    """Between two texts of a batch other requests are answered."""
    embedding, answered = threading.Event(), threading.Event()

    async def sleep(seconds):
        # Where the batch gives way it stays until the other request was answered.
        embedding.set()
        await asyncio.to_thread(answered.wait, DEADLINE_S)

    monkeypatch.setattr(embed_endpoints, "asyncio", SimpleNamespace(sleep=sleep))
    with EmbeddedOllama() as server, ThreadPoolExecutor(1) as pool:
        how = {"trust_env": False, "timeout": DEADLINE_S}
        embed = {"model": "demo-embed", "input": ["a", "b", "c"]}
        batch = pool.submit(httpx.post, f"{server.url}/api/embed", json=embed, **how)
        assert embedding.wait(DEADLINE_S)
        httpx.get(f"{server.url}/api/version", **how)
        first, second = server.requests
        answered.set()
        assert (first.outcome, second.outcome) == ("pending", "complete")
        assert len(batch.result().json()["embeddings"]) == 3


async def test_from_an_event_loop():
    """A test that runs in an event loop can use it too."""
    with EmbeddedOllama() as server:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
            answers = await asyncio.gather(*(http.post("/api/chat", json=WHOLE) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5


def test_api_key():
    """With api_key every request has to bring it."""
    with EmbeddedOllama(api_key="secret") as server:
        refused = httpx.get(f"{server.url}/api/tags", trust_env=False)
        assert (refused.status_code, refused.json()) == (401, {"error": "unauthorized"})
        headers = {"Authorization": "Bearer secret"}
        assert (
            httpx.get(f"{server.url}/api/tags", headers=headers, trust_env=False).status_code == 200
        )


def test_own_models():
    """A model's declaration decides what it can do and how long its context is."""
    model = EmbeddedModel("small", parameters={"num_ctx": 64}, system="You are small.")
    with (
        EmbeddedOllama([model]) as server,
        httpx.Client(base_url=server.url, trust_env=False) as http,
    ):
        shown = http.post("/api/show", json={"model": "small"}).json()
        assert shown["parameters"].split() == ["num_ctx", "64"]
        assert shown["capabilities"] == ["completion"]
        long = [{"role": "user", "content": "word " * 100}]
        body = {"model": "small", "messages": long, "truncate": False, "stream": False}
        refused = http.post("/api/chat", json=body)
        assert '"n_ctx\\\\":64' in refused.text or '\\"n_ctx\\":64' in refused.text
        asked = http.post("/api/chat", json=body | {"tools": [{"function": {"name": "f"}}]})
        assert asked.status_code == 400


def test_own_engine_sees_the_prompt():
    """An engine gets messages, tools, format, think and options as the server decoded them."""
    seen: list[Prompt] = []

    def engine(prompt):
        seen.append(prompt)
        return Answer("ok", thinking="hm")

    model = EmbeddedModel("own", ("completion", "thinking"), engine=engine, system="Be kind.")
    with EmbeddedOllama([model]) as server:
        body = {**WHOLE, "model": "own", "options": {"seed": 4, "nonsense": 1}, "format": "json"}
        answer = httpx.post(f"{server.url}/api/chat", json=body, trust_env=False).json()
    (prompt,) = seen
    assert [(m.role, m.content) for m in prompt.messages] == [
        ("system", "Be kind."),
        ("user", "Hello"),
    ]
    assert (prompt.format, prompt.think, prompt.options) == ("json", True, {"seed": 4})
    assert answer["message"] == {"role": "assistant", "content": "ok", "thinking": "hm"}


def test_pullable_models():
    """A pull adds a model that the server offers, with its progress, and others it does not."""
    with (
        EmbeddedOllama(pullable=[EmbeddedModel("later")]) as server,
        httpx.Client(base_url=server.url, trust_env=False) as http,
    ):
        assert http.post("/api/show", json={"model": "later"}).status_code == 404
        lines = [
            json.loads(x)
            for x in http.post("/api/pull", json={"model": "later"}).text.split("\n")[:-1]
        ]
        assert lines[0] == {"status": "pulling manifest"}
        layers = [
            line for line in lines if line["status"].startswith("pulling ") and "digest" in line
        ]
        assert layers[0]["status"] == f"pulling {layers[0]['digest'].removeprefix('sha256:')[:12]}"
        assert "completed" not in layers[0]
        assert layers[-1]["completed"] == layers[-1]["total"]
        assert lines[-1] == {"status": "success"}
        assert http.post("/api/show", json={"model": "later"}).status_code == 200
        whole = http.post("/api/pull", json={"model": "demo", "stream": False})
        assert whole.json() == {"status": "success"}


def test_keep_alive_ends():
    """A model that is kept for no time is gone after its answer."""
    with EmbeddedOllama() as server, httpx.Client(base_url=server.url, trust_env=False) as http:
        http.post("/api/chat", json=WHOLE | {"keep_alive": 0})
        assert http.get("/api/ps").json() == {"models": []}
        http.post("/api/chat", json=WHOLE | {"keep_alive": "1h"})
        assert len(http.get("/api/ps").json()["models"]) == 1


@pytest.mark.parametrize(
    "wrong", [{"capabilities": ("fly",)}, {"context_length": 0}, {"dimensions": 0}]
)
def test_models_that_make_no_sense(wrong):
    """A model that cannot be is refused when it is declared."""
    with pytest.raises(ValueError, match=r"unknown capabilities|at least 1"):
        EmbeddedModel("x", **wrong)


def test_model_sets():
    """Both placements of tool calls exist among the ready models."""
    with_tools = [model for model in demo_models() if "tools" in model.capabilities]
    assert {model.tool_call_placement for model in with_tools} == {"final", "own"}


def test_missing_dependency():
    """Without starlette the import says what to install."""
    code = (
        "import sys; sys.modules['starlette'] = None\n"
        "from ollama_ext.embedded import EmbeddedOllama"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'pip install "ollama-ext[embedded]"' in done.stderr
    assert done.stderr.rstrip().split("\n")[-1].startswith("ImportError")


_PLUGIN = "ollama_ext.embedded.pytest_plugin"


def test_plugin_is_light(pytester, monkeypatch):
    """A test run that does not ask for the fixture loads nothing of ours but the plugin itself."""
    pytester.makepyfile(
        f"""
        import sys

        def test_modules():
            homes = ("ollama_transport", "langchain_ollama_ext", "llamaindex_ollama_ext")
            mine = [name for name in sys.modules if name.partition(".")[0] in homes]
            assert mine == []
            packages = ["ollama_ext", "ollama_ext.embedded", {_PLUGIN!r}]
            assert sorted(name for name in sys.modules if "ollama_ext" in name) == packages
            assert not {{"pydantic", "httpx", "starlette", "uvicorn"}} & sys.modules.keys()
        """
    )
    # Plugins of others may load what they like: of those, the entry points are left out here.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.runpytest_subprocess("-p", _PLUGIN).assert_outcomes(passed=1)


def test_fixture(pytester):
    """The fixture gives each test a fresh server."""
    pytester.makepyfile(
        """
        import httpx

        def test_one(ollama_server):
            assert httpx.get(ollama_server.url, trust_env=False).status_code == 200
            assert len(ollama_server.requests) == 1

        def test_two(ollama_server):
            assert ollama_server.requests == []
        """
    )
    # Where the distribution is installed its entry point loads the plugin already.
    is_loaded = any(point.value == _PLUGIN for point in entry_points(group="pytest11"))
    options = ["-p", "no:cacheprovider", "-p", "no:asyncio"]
    result = pytester.runpytest_subprocess(*options, *([] if is_loaded else ["-p", _PLUGIN]))
    result.assert_outcomes(passed=2)


def test_serve_stops_on_ctrl_c():
    """serve() answers until it is interrupted, and then returns."""
    code = """
import os, signal, threading, httpx
from ollama_ext.embedded import serve
def interrupt(url):
    print(httpx.get(url, trust_env=False).text, flush=True)
    os.kill(os.getpid(), signal.SIGINT)
serve(port=0, announce=lambda url: threading.Thread(target=interrupt, args=(url,)).start())
print("returned")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Ollama is running\nreturned\n"), done.stderr
