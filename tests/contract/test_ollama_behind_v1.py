"""``base_url="http://host:port/v1"`` of an Ollama works with everything, over its own wire."""

import contextlib
import functools
import json
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from faked import Network
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.tools import FunctionTool
from running import Run

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import ContextOverflowError, OllamaError
from ollama_transport.client import memory

both = pytest.mark.parametrize("kind", [ChatOllama, Ollama], ids=["LangChain", "LlamaIndex"])
forms = pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
EMBEDDERS = [(OllamaEmbeddings, "embed_query"), (OllamaEmbedding, "get_query_embedding")]


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as server:
        yield server


@pytest.fixture
def server(running: EmbeddedOllama) -> EmbeddedOllama:
    running.reset()
    return running


@pytest.fixture
def v1(server: EmbeddedOllama) -> str:
    return f"{server.url}/v1"


def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def paths(server: EmbeddedOllama) -> list[str]:
    # LlamaIndex asks for a model's facts on Ollama's own wire.
    return [request.path for request in server.requests if request.path != "/api/show"]


async def _listed(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


async def _awaited(items: Any) -> list[Any]:
    return await _listed(await items)


def said(run: Run, model: Any, prompt: str, streams: bool, *, forced: bool = False) -> Any:
    """Return the answer of a model of either framework, in one of the four ways."""
    if isinstance(model, ChatOllama):
        bound: Any = model.bind_tools([double], tool_choice="double") if forced else model
        if not streams:
            return run(bound.ainvoke(prompt)) if run.is_async else bound.invoke(prompt)
        chunks = run(_listed(bound.astream(prompt))) if run.is_async else list(bound.stream(prompt))
        return functools.reduce(lambda a, b: a + b, chunks)
    name = f"{'a' * run.is_async}{'stream_' * streams}chat_with_tools"
    tools = [FunctionTool.from_defaults(double)] if forced else []
    begun = getattr(model, name)(tools, user_msg=prompt, tool_required=forced)
    if not streams:
        return run(begun)
    return (run(_awaited(begun)) if run.is_async else list(begun))[-1]


def called(answer: Any) -> list[str]:
    if hasattr(answer, "tool_calls"):
        return [call["name"] for call in answer.tool_calls]
    return [b.tool_name for b in answer.message.blocks if isinstance(b, ToolCallBlock)]


@contextlib.contextmanager
def closing(run: Run, model: Any) -> Iterator[Any]:
    try:
        yield model
    finally:
        run(model.aclose() if run.is_async else model.close())


@both
@forms
def test_a_call_is_forced_where_v1_ignores_the_choice(
    run: Run, server: EmbeddedOllama, v1: str, kind: Any, streams: bool
) -> None:
    """The very first request has its call: what ``/v1`` wrote instead is given up."""
    with closing(run, kind(model="demo", base_url=v1)) as model:
        assert called(said(run, model, "Hi", streams, forced=True)) == ["double"]
        assert called(said(run, model, "Hi", streams, forced=True)) == ["double"]
    wanted = ["/v1/chat/completions", "/api/version", "/api/chat", "/api/chat"]
    assert paths(server) == wanted


@both
@forms
def test_options_that_v1_lacks_are_allowed_for_an_ollama(
    run: Run, server: EmbeddedOllama, v1: str, kind: Any, streams: bool
) -> None:
    """Before such an error the server is asked whether it is an Ollama."""
    with closing(run, kind(model="demo", base_url=v1, keep_alive="5m")) as model:
        said(run, model, "Hi", streams)
    assert paths(server) == ["/api/version", "/api/chat"]
    assert server.requests[-1].json["keep_alive"] == "5m"


@both
@forms
def test_a_complete_first_answer_is_used(
    run: Run, server: EmbeddedOllama, v1: str, kind: Any, streams: bool
) -> None:
    """The wire changes with the second call; the question is asked once, of copies too."""
    with closing(run, kind(model="demo", base_url=v1)) as model:
        for asked in (model, model, model.model_copy()):
            said(run, asked, "Hi", streams)
    wanted = ["/v1/chat/completions", "/api/version", "/api/chat", "/api/chat"]
    assert paths(server) == wanted


@both
def test_a_wire_that_was_named_stays(server: EmbeddedOllama, v1: str, kind: Any) -> None:
    """With ``api="openai"`` nothing is asked, and nothing else is spoken."""
    with kind(model="demo", base_url=v1, api="openai") as model, warnings.catch_warnings():
        for _ in range(2):
            said(Run(asynchronous=False), model, "Hi", streams=False)
        assert set(paths(server)) == {"/v1/chat/completions"}


def test_an_ollama_whose_own_wire_is_not_used_is_told_once(
    v1: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for a server, not for each model: a program may make one for each request."""
    memory.tell_ollama.cache_clear()  # the address may have been another server's
    for kind in (ChatOllama, Ollama, ChatOllama):
        with kind(model="demo", base_url=v1, api="openai") as model:
            said(Run(asynchronous=False), model, "Hi", streams=False)
    told = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert [text.partition(" is an Ollama, whose /v1 ignores")[1] != "" for text in told] == [True]


@pytest.mark.parametrize(("kind", "method"), EMBEDDERS)
def test_embeddings_take_every_option_as_well(
    server: EmbeddedOllama, v1: str, kind: Any, method: str
) -> None:
    """Embeddings bear no mark: what ``/v1`` cannot carry leads to the question."""
    with (
        kind("demo-embed", base_url=v1, keep_alive="5m")
        if kind is OllamaEmbedding
        else kind(model="demo-embed", base_url=v1, keep_alive="5m") as model
    ):
        assert getattr(model, method)("a cat")
    assert paths(server) == ["/api/version", "/api/embed"]


Refusal = Callable[[], httpx.Response | Exception]
REFUSALS: dict[str, Refusal] = {
    "404": lambda: httpx.Response(404, json={"detail": "Not Found"}),
    "a page": lambda: httpx.Response(200, text="<html>hello</html>"),
    "LM Studio": lambda: httpx.Response(200, json={"error": "Unexpected endpoint. (GET)"}),
    "no version": lambda: httpx.Response(200, json={"status": "ok"}),
    "a number": lambda: httpx.Response(200, json={"version": 3}),
    "a list": lambda: httpx.Response(200, json=[]),
    "401": lambda: httpx.Response(401, json={"error": "unauthorized"}),
    "500": lambda: httpx.Response(500, text="oops"),
    "cut off": lambda: httpx.ReadError("reset"),
    "slow": lambda: httpx.ReadTimeout("slow"),
}


class Behind(Network):
    """A server with ``/v1``; any other request has the one answer that it was made with."""

    def __init__(self, version: Refusal, mark: str | None) -> None:
        super().__init__(version())
        self.mark = mark

    def _play(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/chat/completions"):
            return super()._play(request)
        self.requests.append(request)
        choice = {"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 2050, "completion_tokens": 1, "total_tokens": 2051}
        body = {"choices": [choice], "usage": usage, "system_fingerprint": self.mark}
        return httpx.Response(200, json=body)


class Cutting(Behind):
    """An Ollama whose ``/v1`` cuts a long prompt in silence, as a real one does."""

    def __init__(self) -> None:
        super().__init__(lambda: httpx.Response(200, json={"version": "0.33.0"}), "fp_ollama")

    def _play(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/api/chat"):
            return super()._play(request)
        self.requests.append(request)
        return httpx.Response(400, json={"error": "the input length exceeds the context length"})


@both
@forms
def test_a_long_prompt_is_refused_instead_of_cut(run: Run, kind: Any, streams: bool) -> None:
    """Where that is wanted, though ``/v1`` has answered already."""
    network = Cutting()
    settings = {"base_url": "http://h/v1", "client_kwargs": {"transport": network}}
    made = kind(model="m", on_context_overflow="error", max_retries=0, **settings)
    with closing(run, made) as model, pytest.raises(ContextOverflowError):
        said(run, model, "word " * 16_000, streams)
    chats = [path for path in network.paths if path != "/api/show"]
    assert chats == ["/v1/chat/completions", "/api/version", "/api/chat"]


@both
@pytest.mark.parametrize("name", REFUSALS)
def test_a_question_that_fails_in_any_way_means_no_ollama(run: Run, kind: Any, name: str) -> None:
    """A proxy that serves ``/v1`` alone is asked once, and goes on to be spoken to there."""
    network = Behind(REFUSALS[name], "fp_ollama")
    made = kind(model="m", base_url="http://h/v1", client_kwargs={"transport": network})
    with closing(run, made) as model:
        for _ in range(3):
            said(run, model, "Hi", streams=False)
    chat = "/v1/chat/completions"
    assert network.paths == [chat, "/api/version", chat, chat]


@both
@pytest.mark.parametrize("mark", ["fp_vllm", None])
def test_other_servers_are_asked_nothing(run: Run, kind: Any, mark: str | None) -> None:
    """Neither before nor after an answer, whatever is forced."""
    network = Behind(lambda: httpx.ConnectError("nobody"), mark)
    made = kind(model="m", base_url="http://h/v1", client_kwargs={"transport": network})
    with closing(run, made) as model, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for forced in (False, True):
            with contextlib.suppress(OllamaError):
                said(run, model, "word " * 4000, streams=False, forced=forced)
    assert set(network.paths) == {"/v1/chat/completions"}
    assert json.loads(network.requests[-1].content)["tool_choice"]


@both
def test_an_option_that_no_server_of_v1_takes_is_still_an_error(run: Run, kind: Any) -> None:
    """The question costs one request; then it is as it was."""
    network = Behind(REFUSALS["404"], None)
    settings = {"base_url": "http://h/v1", "client_kwargs": {"transport": network}}
    with closing(run, kind(model="m", keep_alive="5m", **settings)) as model:
        for _ in range(2):
            with pytest.raises(OllamaError, match="keep_alive"):
                said(run, model, "Hi", streams=False)
    assert network.paths == ["/api/version"]
