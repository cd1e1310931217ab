"""What a user of the embedded server gets wrong is said at once, in his own thread."""

import logging
import socket
import threading

import httpx
import pytest

from ollama_ext.embedded import (
    Answer,
    EmbeddedModel,
    EmbeddedOllama,
    Gate,
    Message,
    Reply,
    ToolCall,
)
from ollama_ext.embedded.answers.prompts import Window, count_prompt, fit_chat

ASK = {"messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Reply.lines("text"), r"lines\(\[...\]\)"),
        (lambda: Reply.lines({"error": "x"}), r"lines\(\[...\]\)"),
        (lambda: Reply.events("data"), r"events\(\[...\]\)"),
        (lambda: Reply.raw("text"), "bytes"),
        (lambda: Reply.raw(chunks=b"abc"), "bytes"),
        (lambda: Reply.chat(tool_calls=["weather"]), "a tool call is"),
        (lambda: Reply.chat(7), "text"),
        (lambda: Reply.cut(after=-1), "after=-1"),
        (lambda: Reply.json({}, status=50), "status=50"),
        (lambda: Reply.json({}, headers={"retry-after": 3}), "retry-after"),
        (lambda: Reply.json({}, delay_s=-1), "seconds"),
        (lambda: Reply.lines([{}], gate=Gate(), hold_at=2), "1 chunks"),
        (lambda: Reply.lines([{}], hold_at=1), "gate"),
        (lambda: Reply.recording({"chunks": []}), "response"),
    ],
)
def test_replies(wrong, said):
    """A reply that cannot be played is refused where it is written."""
    with pytest.raises((TypeError, ValueError), match=said):
        wrong()


@pytest.mark.parametrize(
    ("method", "path", "reply"),
    [
        ("/api/chat", "POST", Reply.json({})),
        ("POST", "api/chat", Reply.json({})),
        ("POST", "/api/chat?verbose=1", Reply.json({})),
        ("/api/chat", Reply.json({}), Reply.json({})),
        ("POST", "/api/chat", {"error": "x"}),
        ("POST", "/api/chat", [Reply.json({})]),
    ],
)
def test_scripts(method, path, reply):
    """A script that no request could ever play is refused."""
    with pytest.raises((TypeError, ValueError), match=r"script\(\)"):
        EmbeddedOllama().script(method, path, reply)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "bad name!"}, "not a model name"),
        ({"name": ""}, "not a model name"),
        ({"capabilities": "completion"}, "tuple"),
        ({"tool_call_placement": "last"}, "final"),
        ({"engine": "Hello"}, "function"),
    ],
)
def test_models(fields, said):
    """A model that no request could reach, or that could not answer, is refused."""
    with pytest.raises((TypeError, ValueError), match=said):
        EmbeddedModel(**({"name": "x"} | fields))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"models": ["demo"]}, "EmbeddedModel"),
        ({"models": "demo"}, "EmbeddedModel"),
        ({"models": EmbeddedModel("x")}, "list"),
        ({"pullable": ["demo"]}, "pullable="),
        ({"port": 99999}, "65535"),
        ({"token_delay_s": -1}, "negative"),
        ({"load_s": -1}, "negative"),
        ({"max_queue": -1}, "negative"),
        ({"num_parallel": 0}, "at least 1"),
        ({"load_gate": threading.Event()}, "Gate"),
    ],
)
def test_servers(arguments, said):
    """A server that could not serve is refused when it is made."""
    with pytest.raises((TypeError, ValueError), match=said):
        EmbeddedOllama(**arguments)


def test_port_that_is_taken():
    """The error says which port was wanted; the server can start once it is free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = EmbeddedOllama(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use") as caught:
            server.start()
    assert str(taken).startswith("<socket.socket [closed]")
    assert f"port {server._port}" in "".join(caught.value.__notes__)
    with server:
        assert str(server.port) in repr(server)
    assert "stopped" in repr(server)


def test_serving_while_it_runs(server):
    """A running server does not serve a second time, and goes on."""
    with pytest.raises(RuntimeError, match="is already running"):
        server.serve_forever()
    assert httpx.get(server.url, trust_env=False).status_code == 200


def test_announcement_that_fails():
    """What goes wrong in ``announce`` comes out, and leaves neither a port nor a state behind."""
    server = EmbeddedOllama()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            server.serve_forever(lambda url: 1 // 0)
    with pytest.raises(RuntimeError, match="is not running"):
        _ = server.url


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        (lambda prompt: "Hello", "engine of 'own' returned str: return an Answer"),
        (lambda prompt: {}["x"], "KeyError: 'x'"),
        (lambda prompt: Answer(tool_calls=[ToolCall("f", None)]), "TypeError"),
    ],
)
def test_engines_that_fail(engine, said, caplog):
    """The client of an engine that raises is told why; the log has where."""
    with (
        EmbeddedOllama([EmbeddedModel("own", engine=engine)]) as server,
        caplog.at_level(logging.ERROR, "uvicorn.error"),
    ):
        answer = httpx.post(f"{server.url}/api/chat", json=ASK | {"model": "own"}, trust_env=False)
        assert answer.status_code == 500
        assert said in answer.json()["error"]
    assert caplog.records[0].exc_info


def test_engine_that_fails_in_the_middle():
    """A stream whose engine raises breaks off, and no client is blamed for it."""

    def said():
        yield "one "
        raise RuntimeError("broken")

    own = EmbeddedModel("own", engine=lambda prompt: Answer(content=said()))
    with EmbeddedOllama([own]) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(f"{server.url}/api/chat", json=ASK | {"model": "own"}, trust_env=False)
        assert server.wait_until_idle()
        assert [request.outcome for request in server.requests] == ["failed"]
        assert server.disconnects == []


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 403), ("0.0.0.0", 200)])
def test_names_of_other_machines(host, status):
    """Only a server that is bound to loopback refuses foreign Host headers (1.12)."""
    with EmbeddedOllama(host=host) as server:
        url = f"http://127.0.0.1:{server.port}/api/tags"
        answer = httpx.get(url, headers={"host": "evil.com"}, trust_env=False)
    assert answer.status_code == status


@pytest.mark.parametrize("headers", [{"host": "["}, {"origin": "http://["}])
def test_invalid_header_names(http, headers):
    """A Host or Origin that cannot be read is refused like a foreign one."""
    assert http.get("/api/tags", headers=headers).status_code == 403


def test_number_beyond_float64(http):
    """A number that Go could not hold is refused as Go refuses it."""
    body = '{"model": "demo", "messages": [], "keep_alive": 1e400}'
    answer = http.post("/api/chat", content=body)
    assert answer.status_code == 400
    assert "1e400" in answer.json()["error"]


def test_cut_prompts_still_count_their_tools():
    """A last message that was cut is counted together with the tools beside it."""
    tools = [{"type": "function", "function": {"name": "look", "description": "Look around."}}]
    window = Window(num_ctx=100, native=False)
    fitted = fit_chat([Message("user", "word " * 300)], tools, window)
    assert fitted.tokens == count_prompt(fitted.messages, tools)
