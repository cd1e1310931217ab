"""The life of a model: made without I/O, used from many loops, asked for tokens and profile."""

import asyncio
import base64
import json
import socket
import ssl
import subprocess
import sys
import time
import warnings
from typing import Any

import pytest
from chat_ways import body, model_on, whole
from core_ways import call, pieces
from faked import status
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, trim_messages
from langchain_core.runnables import ConfigurableField
from running import Run

from langchain_ollama_ext import ChatOllama
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Gate, Reply
from ollama_transport import (
    ConfigError,
    ModelNotFoundError,
    OllamaTimeoutError,
    ProtocolError,
    ServerBusyError,
    UnsupportedContentError,
)

_PNG = b"\x89PNG\r\n\x1a\n" + bytes(9)


def test_a_constructor_does_no_io(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a model opens no socket and reads no certificates (c18)."""

    def forbidden(*_: Any, **__: Any) -> Any:
        raise AssertionError("a constructor did I/O")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(ssl, "create_default_context", forbidden)
    monkeypatch.setattr(ssl, "SSLContext", forbidden)
    ChatOllama(model="m", base_url="http://nowhere.invalid")


def test_a_missing_model_is_reported_by_the_first_call(run: Run, server: EmbeddedOllama) -> None:
    """A constructor asks nobody; the first call tells."""
    model = ChatOllama(model="nope", base_url=server.url)
    with pytest.raises(ModelNotFoundError, match="ollama pull nope"):
        call(run, model, "invoke", "x")
    call(run, model, "close")


def test_one_model_serves_many_loops(server: EmbeddedOllama) -> None:
    """Each asyncio.run may use the same model, and nothing leaks (c10)."""
    model = ChatOllama(model="demo", base_url=server.url)
    answers = [asyncio.run(model.ainvoke("Hello")).content for _ in range(3)]
    assert len(set(answers)) == 1


def test_configured_models_share_connections(
    server: EmbeddedOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """configurable_fields makes a model for each call, and no connection (c18)."""
    opened: list[Any] = []
    connect = socket.create_connection

    def counted(*given: Any, **how: Any) -> socket.socket:
        opened.append(given)
        return connect(*given, **how)

    monkeypatch.setattr(socket, "create_connection", counted)
    with ChatOllama(model="demo", base_url=server.url) as model:
        model.invoke("x")
        chosen = model.configurable_fields(temperature=ConfigurableField(id="heat"))
        for heat in (0, 0.5, 1):
            chosen.invoke("x", config={"configurable": {"heat": heat}})
        asked = [one.json.get("options") for one in server.requests]
        assert asked == [None, {"temperature": 0}, {"temperature": 0.5}, {"temperature": 1}]
    assert len(opened) == 1


def test_the_way_to_the_server_can_be_changed_per_call(run: Run) -> None:
    """Headers merge, a key replaces what authenticates, and the model keeps its own (c4)."""
    model, network = model_on(whole(), headers={"X-Team": "blue", "X-One": "1"}, api_key="mine")
    how = {"headers": {"x-team": "red"}, "api_key": "yours", "max_retries": 0, "timeout": 5}
    call(run, model, "invoke", "x", **how)
    asked = network.requests[0].headers
    assert (asked["x-team"], asked["x-one"]) == ("red", "1")
    assert asked["authorization"] == "Bearer yours"
    model, network = model_on(whole(), api_key="mine")
    call(run, model, "invoke", "x")
    assert network.requests[0].headers["authorization"] == "Bearer mine"


def test_a_timeout_per_call_holds(run: Run, server: EmbeddedOllama) -> None:
    """A timeout given to one call ends it (c6)."""
    gate = Gate()
    server.script("POST", "/api/chat", Reply.json({}, gate=gate))
    model = ChatOllama(model="demo", base_url=server.url)
    with pytest.raises(OllamaTimeoutError):
        call(run, model, "invoke", "x", timeout=0.05, max_retries=0)
    gate.set()
    call(run, model, "close")


def test_a_busy_server_is_asked_again(run: Run) -> None:
    """max_retries tries again on 503, and 0 does not (c6)."""
    busy = "server busy, please try again.  maximum pending requests exceeded"
    model, network = model_on(status(503, busy, retry_after="0"), whole())
    assert call(run, model, "invoke", "x").content == "ok"
    assert len(network.requests) == 2
    model, network = model_on(status(503, busy, retry_after="0"), whole(), max_retries=0)
    with pytest.raises(ServerBusyError):
        call(run, model, "invoke", "x")
    assert len(network.requests) == 1


def _image(url: str) -> HumanMessage:
    return HumanMessage([{"type": "text", "text": "what?"}, {"type": "image", "url": url}])


class TestFetching:
    """Images behind addresses are fetched only if allowed, within limits."""

    @pytest.fixture
    def web(self) -> Any:
        with EmbeddedOllama() as web:
            yield web

    def _serve(self, web: EmbeddedOllama, data: bytes = _PNG, kind: str = "image/png") -> str:
        web.script("GET", "/a.png", Reply.raw(data, headers={"content-type": kind}))
        return f"{web.url}/a.png"

    def test_allowed(self, run: Run, web: EmbeddedOllama) -> None:
        """An allowed image is sent as base64, and the server's key stays at home."""
        url = self._serve(web)
        model, network = model_on(whole(), fetch_image_urls=True, api_key="sesame")
        call(run, model, "invoke", [_image(url)])
        assert body(network)["messages"][0]["images"] == [base64.b64encode(_PNG).decode()]
        assert "authorization" not in web.requests[0].headers

    def test_streaming_too(self, run: Run, web: EmbeddedOllama) -> None:
        """A stream fetches as well."""
        model, network = model_on(whole(), fetch_image_urls=True)
        pieces(run, model, [_image(self._serve(web))])
        assert body(network)["messages"][0]["images"]

    @pytest.mark.parametrize(
        ("how", "data", "kind", "said"),
        [
            ({"fetch_max_bytes": 10}, _PNG, "image/png", "larger than"),
            ({}, b"<html>", "text/html", "text/html"),
        ],
    )
    def test_limits(
        self, run: Run, web: EmbeddedOllama, how: Any, data: bytes, kind: str, said: str
    ) -> None:
        """What is too large or no image is refused, and nothing is sent to the model."""
        model, network = model_on(whole(), fetch_image_urls=True, **how)
        with pytest.raises(UnsupportedContentError, match=said):
            call(run, model, "invoke", [_image(self._serve(web, data, kind))])
        assert network.requests == []

    def test_missing(self, run: Run, web: EmbeddedOllama) -> None:
        """A missing image is told with its status."""
        model, _ = model_on(whole(), fetch_image_urls=True)
        with pytest.raises(UnsupportedContentError, match="404"):
            call(run, model, "invoke", [_image(f"{web.url}/nothing.png")])

    def test_slow(self, run: Run, web: EmbeddedOllama) -> None:
        """A download that hangs ends with its time."""
        gate = Gate()
        web.script("GET", "/a.png", Reply.raw(_PNG, gate=gate))
        model, _ = model_on(whole(), fetch_image_urls=True, fetch_timeout_s=0.05)
        with pytest.raises(UnsupportedContentError, match="not fetched"):
            call(run, model, "invoke", [_image(f"{web.url}/a.png")])
        gate.set()


def test_a_large_image_does_not_hold_the_loop() -> None:
    """While 5 MB are made ready, other tasks of the loop go on (c19)."""
    data = base64.b64encode(bytes(range(256)) * 20_000).decode()
    block = {"type": "image", "base64": data, "mime_type": "image/png"}
    model, _ = model_on(*[whole() for _ in range(10)])

    async def longest_silence() -> float:
        worst = 0.0

        async def watch() -> None:
            nonlocal worst
            while True:
                begun = time.thread_time()
                await asyncio.sleep(0)
                worst = max(worst, time.thread_time() - begun)

        await model.ainvoke("warm up")
        watching = asyncio.create_task(watch())
        await model.ainvoke([HumanMessage([block])])
        watching.cancel()
        return worst

    def writing_json() -> float:
        begun = time.thread_time()
        json.dumps({"images": [data]}).encode()
        return time.thread_time() - begun

    # The body is written in one go, which takes 1.3 of these; CPU time, whatever else runs.
    silence = min(asyncio.run(longest_silence()) for _ in range(5))
    assert silence < 4 * min(writing_json() for _ in range(5))


class TestTokens:
    """Tokens are counted without any tokenizer on this side (c15)."""

    def test_approximate(self) -> None:
        """By default langchain-core's rule of thumb counts, and asks nobody."""
        model, network = model_on(whole())
        assert model.get_num_tokens("a" * 40) == 10
        few = model.get_num_tokens_from_messages([HumanMessage("hi")])
        assert few < model.get_num_tokens_from_messages([HumanMessage("hi")], tools=[_tool])
        assert network.requests == []

    def test_by_the_server(self, server: EmbeddedOllama) -> None:
        """The server counts what it would read, by one token of an answer."""
        with ChatOllama(model="demo", base_url=server.url, token_counter="server") as model:
            said = model.invoke("one two three").usage_metadata
            assert said is not None
            counted = model.get_num_tokens_from_messages([HumanMessage("one two three")])
            assert counted == said["input_tokens"]
            assert server.requests[-1].json["options"]["num_predict"] == 1
            assert model.get_num_tokens("one two three") > 2
            assert server.requests[-1].json["raw"] is True
            assert model.get_num_tokens("") == 0
            more = model.get_num_tokens_from_messages([HumanMessage("x")], tools=[_tool])
            assert more > model.get_num_tokens_from_messages([HumanMessage("x")])

    def test_a_prompt_beyond_the_context(self) -> None:
        """A prompt that does not fit is counted all the same."""
        tiny = EmbeddedModel("tiny", ("completion",), context_length=32)
        with EmbeddedOllama([tiny]) as server:
            model = ChatOllama(model="tiny", base_url=server.url, token_counter="server")
            with model:
                assert model.get_num_tokens_from_messages([HumanMessage("word " * 99)]) > 99

    def test_a_server_that_does_not_count(self) -> None:
        """Without a count there is an error, not a guess."""
        model, _ = model_on(whole(prompt_eval_count=None), token_counter="server")
        with pytest.raises(ProtocolError, match="approximate"):
            model.get_num_tokens_from_messages([HumanMessage("x")])

    def test_an_own_tokenizer(self) -> None:
        """custom_get_token_ids goes before all; without it there are no ids."""
        own = ChatOllama(model="m", custom_get_token_ids=lambda text: list(range(len(text))))
        assert own.get_num_tokens("abc") == 3
        with pytest.raises(ConfigError, match="custom_get_token_ids"):
            ChatOllama(model="m").get_token_ids("abc")

    def test_trimming(self) -> None:
        """trim_messages takes the model as its counter."""
        model = ChatOllama(model="m")
        kept = trim_messages(
            [HumanMessage("a" * 400), HumanMessage("b")], max_tokens=20, token_counter=model
        )
        assert [message.content for message in kept] == ["b"]


def _tool(place: str) -> str:
    """Tell the weather of a place."""
    return place


def _from_server(run: Run, model: str, **fields: Any) -> ChatOllama:
    make = ChatOllama.afrom_server if run.is_async else ChatOllama.from_server
    made: ChatOllama = run(make(model, **fields))
    return made


class TestProfile:
    """What agents read of a model before they call it."""

    def test_true_to_the_model(self, run: Run, server: EmbeddedOllama) -> None:
        """Tools, thinking, images and context are the model's."""
        thinks = _from_server(run, "demo", base_url=server.url)
        sees = _from_server(run, "demo-vision", base_url=server.url, num_ctx=100)
        for made, facts in (
            (thinks, (True, True, False, True, 32768)),
            (sees, (True, False, True, True, 100)),
        ):
            assert made.profile is not None
            keys = ("tool_calling", "reasoning_output", "image_inputs", "structured_output")
            found = tuple(made.profile[key] for key in (*keys, "max_input_tokens"))
            assert found == facts
            call(run, made, "close")

    def test_a_given_profile_wins(self, run: Run, server: EmbeddedOllama) -> None:
        """What the caller says of a model goes over what the server says."""
        given = {"max_input_tokens": 7}
        made = _from_server(run, "demo", base_url=server.url, profile=given)
        assert made.profile is not None
        assert (made.profile["max_input_tokens"], made.profile["tool_calling"]) == (7, True)
        call(run, made, "close")

    def test_a_missing_model(self, run: Run, server: EmbeddedOllama) -> None:
        """A model that is not there is told at once."""
        with pytest.raises(ModelNotFoundError):
            _from_server(run, "nope", base_url=server.url)


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )


def test_a_missing_langchain_names_the_extra() -> None:
    """Without langchain-core the import says what to install."""
    done = _python("import sys; sys.modules['langchain_core'] = None; import langchain_ollama_ext")
    assert 'pip install "ollama-ext[langchain]"' in done.stderr


def test_the_import_brings_no_http_and_no_parsers() -> None:
    """What only some programs need is loaded when they need it (c18)."""
    heavy = ["httpx", "tenacity", "langchain_core.utils.function_calling", "llama_index"]
    done = _python(
        "import langchain_core.language_models.chat_models, sys; before = set(sys.modules)\n"
        "from langchain_ollama_ext import ChatOllama; ChatOllama(model='m')\n"
        f"print([name for name in {heavy} if name in sys.modules and name not in before])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_it_is_a_chat_model_of_langchain() -> None:
    """Chains and agents take it for what it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(ChatOllama(model="m"), BaseChatModel)
