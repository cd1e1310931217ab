"""`Ollama` answers, blocking and asynchronous, whole and streamed; what it asks, and when."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from faked import status
from llama_index.core.base.llms.types import ThinkingBlock
from llama_index.core.llms import ChatMessage, MessageRole
from llama_ways import Played, Way, answer
from running import Run

from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Gate, Reply
from ollama_transport import ConfigError, ModelNotFoundError

Make = Callable[..., Ollama]


def test_chat_answers_from_a_real_socket(server: EmbeddedOllama, way: Way) -> None:
    """The joined deltas of a stream, and the text of the last response, are the whole answer."""
    responses = way.chat(Ollama("demo", server.url), "What can you do?")
    text = responses[-1].message.content
    assert text is not None
    assert text.startswith("I am the demo model of ollama-ext")
    assert responses[-1].message.role == MessageRole.ASSISTANT
    if way.streams:
        assert len(responses) > 10
        assert "".join(response.delta or "" for response in responses) == text


def test_complete_answers_from_a_real_socket(server: EmbeddedOllama, way: Way) -> None:
    """A completion streams as it grows and ends with the whole text."""
    responses = way.complete(Ollama("demo", server.url), "hello")
    assert responses[-1].text.startswith("Hello! I am the demo model")
    if way.streams:
        assert "".join(response.delta or "" for response in responses) == responses[-1].text


@pytest.mark.parametrize(
    ("thinking", "think", "thinks"),
    [(True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
def test_thinking_on_and_off(
    server: EmbeddedOllama, way: Way, thinking: bool, think: bool | None, thinks: bool
) -> None:
    """D10: a call's word on reasoning counts over the model's; it is a block of its own."""
    llm = Ollama("demo", server.url, thinking=thinking)
    blocks = way.chat(llm, "What can you do?", think=think)[-1].message.blocks
    assert any(isinstance(block, ThinkingBlock) for block in blocks) is thinks


def test_num_ctx_is_not_sent_unless_set(ollama: Make, way: Way) -> None:
    """D1: nothing about the context is sent by default, though the server names a maximum."""
    network = Played(answer({"content": "hi"}, streams=way.streams))
    way.chat(ollama(network), "hi")
    assert "options" not in network.body


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({"context_window": 8192}, 8192),
        ({"num_ctx": 4096}, 4096),
        ({"context_window": 4096, "num_ctx": 4096}, 4096),
        ({"additional_kwargs": {"num_ctx": 2048}}, 2048),
        ({"context_window": 8192, "additional_kwargs": {"num_ctx": 2048}}, 2048),
    ],
)
def test_num_ctx_is_sent_when_set(
    ollama: Make, way: Way, settings: dict[str, object], sent: int
) -> None:
    """D1: whichever way it is set, it is sent, and is the context window of the metadata."""
    network = Played(answer({"content": "hi"}, streams=way.streams))
    llm = ollama(network, **settings)
    way.chat(llm, "hi")
    assert network.body["options"] == {"num_ctx": sent}
    assert llm.metadata.context_window == sent


@pytest.mark.parametrize("value", [-1, None])
def test_context_window_left_to_the_server(ollama: Make, way: Way, value: int | None) -> None:
    """D1: -1 and None send nothing."""
    network = Played(answer({"content": "hi"}, streams=way.streams))
    way.chat(ollama(network, context_window=value), "hi")
    assert "options" not in network.body


def test_metadata_sends_no_request() -> None:
    """D7: metadata works where no server is, and LlamaIndex's default stands in."""
    llm = Ollama("nowhere", "http://127.0.0.1:1")
    assert llm.metadata.context_window == 3900
    assert llm.metadata.is_function_calling_model
    assert llm.metadata.is_chat_model
    assert llm.metadata.model_name == "nowhere"


def test_server_facts_are_fetched_once_and_reused(ollama: Make, way: Way) -> None:
    """D7: the first call asks what the model is, later ones do not, and metadata follows."""
    network = Played(answer({"content": "hi"}, streams=way.streams))
    network.shown = httpx.Response(
        200,
        json={
            "capabilities": ["completion"],
            "model_info": {
                "general.architecture": "llama",
                "llama.rope.scaling.original_context_length": 512,
                "llama.context_length": 131072,
            },
        },
    )
    llm = ollama(network)
    for _ in range(2):
        way.chat(llm, "hi")
    assert network.shows == 1
    assert llm.metadata.context_window == 131072
    assert not llm.metadata.is_function_calling_model


def test_metadata_follows_the_modelfile(run: Run) -> None:
    """D1, D11: num_ctx and num_predict of the Modelfile come before the trained length."""
    model = EmbeddedModel(
        "small", ("completion", "tools"), 32768, {"num_ctx": 8192, "num_predict": 99}
    )
    with EmbeddedOllama([model]) as server:
        llm = run(
            Ollama.afrom_server("small", base_url=server.url)
            if run.is_async
            else Ollama.from_server("small", base_url=server.url)
        )
    assert llm.metadata.context_window == 8192
    assert llm.metadata.num_output == 99


@pytest.mark.parametrize("written", ["-1", "-2", "many", "0x10"])
def test_a_modelfile_that_bounds_no_answer(ollama: Make, way: Way, written: str) -> None:
    """D11: an answer of any length is no length to keep clear of."""
    parameters = f'num_predict                    {written}\nstop    "x"'
    shown = httpx.Response(200, json={"parameters": parameters, "model_info": {}})
    llm = ollama(Played(answer({"content": "hi"}, streams=way.streams), shown=shown))
    way.chat(llm, "hi")
    assert llm.metadata.num_output == 256


def test_facts_that_could_not_be_asked_are_asked_again(ollama: Make, way: Way) -> None:
    """D7: a model that was missing at the first chat is known after the second."""
    network = Played(answer({"content": "hi"}, streams=way.streams), shown=status(404, "not found"))
    network.shown = httpx.Response(404, json={"error": "model 'm' not found"})
    llm = ollama(network)
    way.chat(llm, "hi")
    network.shown = httpx.Response(200, json={"capabilities": ["completion"]})
    way.chat(llm, "hi")
    assert network.shows == 2
    assert not llm.metadata.is_function_calling_model


def test_the_other_wire_is_not_asked_for_facts(way: Way) -> None:
    """Servers of OpenAI's wire have no such endpoint: the chat is the only request."""
    with EmbeddedOllama() as server:
        llm = Ollama("demo", f"{server.url}/v1")
        way.chat(llm, "hi")
        assert [request.path for request in server.requests] == ["/v1/chat/completions"]


def test_num_output_follows_num_predict() -> None:
    """D11: num_predict is the output that prompts keep clear of; -1 leaves LlamaIndex's default."""
    assert Ollama("m", num_predict=2048).metadata.num_output == 2048
    assert Ollama("m", additional_kwargs={"num_predict": 77}).metadata.num_output == 77
    assert Ollama("m", num_predict=-1).metadata.num_output == 256


def test_is_function_calling_model_false_stays(server: EmbeddedOllama) -> None:
    """D11: False is the user's word, whatever the model can."""
    llm = Ollama.from_server("demo", base_url=server.url, is_function_calling_model=False)
    assert not llm.metadata.is_function_calling_model


@pytest.mark.parametrize(
    "shown",
    [
        status(404, "404 page not found"),
        status(500, "boom"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"model_info": None}),
        httpx.Response(200, json={}),
    ],
    ids=["404", "500", "html", "null", "empty"],
)
def test_no_facts_no_harm(ollama: Make, way: Way, shown: httpx.Response) -> None:
    """D7: a server that does not tell about its models chats all the same, and is asked once."""
    network = Played(answer({"content": "hi"}, streams=way.streams), shown=shown)
    llm = ollama(network)
    for _ in range(2):
        assert way.chat(llm, "hi")[-1].message.content == "hi"
    assert network.shows == 1
    assert llm.metadata.context_window == 3900


def test_asking_for_facts_leaves_the_loop_free(server: EmbeddedOllama) -> None:
    """D7: while the server thinks about /api/show, other tasks of the loop run."""
    gate = Gate()
    server.script("POST", "/api/show", Reply.json({}, gate=gate))
    llm = Ollama("demo", server.url, request_timeout=10)

    async def both() -> str:
        task = asyncio.create_task(llm.achat([ChatMessage("What can you do?")]))
        assert await asyncio.to_thread(server.wait_for_requests, 1)
        assert not task.done()
        gate.set()
        return str((await task).message.content)

    assert asyncio.run(both()).startswith("I am the demo model")


def test_first_chats_at_once_ask_for_facts_once(server: EmbeddedOllama) -> None:
    """D7: twenty first chats at a time ask once what the model is."""
    llm = Ollama("demo", server.url)

    async def many() -> None:
        await asyncio.gather(*(llm.achat([ChatMessage("hello")]) for _ in range(20)))

    asyncio.run(many())
    paths = [request.path for request in server.requests]
    assert paths.count("/api/show") == 1
    assert paths.count("/api/chat") == 20


def test_one_object_in_many_loops(server: EmbeddedOllama) -> None:
    """D3: asyncio.run after asyncio.run on one object works, blocking calls between them too."""
    llm = Ollama("demo", server.url)

    async def ask() -> str:
        return str((await llm.achat([ChatMessage("hello")])).message.content)

    answers = {asyncio.run(ask()), asyncio.run(ask()), str(llm.chat([ChatMessage("hello")]))[11:]}
    answers.add(asyncio.run(ask()))
    assert len(answers) == 1
    llm.close()


def test_one_object_in_many_threads(server: EmbeddedOllama) -> None:
    """D3: threads share one object, blocking ones and ones with loops of their own."""
    llm = Ollama("demo", server.url)

    def blocking(_: int) -> str | None:
        return llm.chat([ChatMessage("hello")]).message.content

    def looping(_: int) -> str | None:
        return asyncio.run(llm.achat([ChatMessage("hello")])).message.content

    with ThreadPoolExecutor(8) as threads:
        answers = {*threads.map(blocking, range(8)), *threads.map(looping, range(8))}
    assert len(answers) == 1
    llm.close()


def test_from_server_says_what_is_missing(server: EmbeddedOllama, run: Run) -> None:
    """D7, D13: a model that is not there is an error when its facts are asked for by name."""
    make = Ollama.afrom_server if run.is_async else Ollama.from_server
    with pytest.raises(ModelNotFoundError, match="ollama pull nope"):
        run(make("nope", base_url=server.url))


def test_the_auth_header_goes_with_every_request(run: Run, way: Way) -> None:
    """D7, D16: the question for the model's facts carries the header as the chat does."""
    with EmbeddedOllama(api_key="sesame") as server:
        llm = Ollama("demo", server.url, headers={"Authorization": "Bearer sesame"})
        way.chat(llm, "hello")
        assert [request.status for request in server.requests] == [200, 200]


@pytest.mark.parametrize(
    ("arguments", "read_s"),
    [
        ({}, 300.0),
        ({"request_timeout": 12.5}, 12.5),
        ({"timeout": 7}, 7.0),
        ({"request_timeout": None}, None),
    ],
)
def test_request_timeout(arguments: dict[str, object], read_s: float | None) -> None:
    """D2: the default bears a model being loaded; None lifts the limit; both names work."""
    assert Ollama("m", **arguments).request_timeout == read_s  # type: ignore[arg-type] # a table


def test_request_timeout_can_be_set_later() -> None:
    """D2: as the field of that name could."""
    llm = Ollama("m")
    llm.request_timeout = 9
    assert llm.server_settings().timeouts.read_s == 9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"reasoning": True}, "here it is 'thinking'"),
        ({"api_base": "http://h"}, "here it is 'base_url'"),
        ({"temperature": -1}, "temperature"),
        ({"context_window": 0}, "-1 to leave it to the server"),
        ({"context_window": 8192, "num_ctx": 4096}, "mean the same"),
        ({"request_timeout": 1, "timeout": 2}, "mean the same"),
        ({"keep_alive": "5 minutes"}, "keep_alive"),
        ({"thinking": "very high"}, "thinking"),
        ({"client": httpx.Client}, "ollama_transport.Client"),
        ({"async_client": object()}, "ollama_transport.AsyncClient"),
        ({"top_logprobs": 21}, "top_logprobs"),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments: dict[str, object], words: str) -> None:
    """A wrong argument is an error that says what to do, before anything is sent."""
    with pytest.raises(ConfigError, match=words):
        Ollama("m", **arguments)  # type: ignore[arg-type] # a table


def test_clients_given_are_used(ollama: Make) -> None:
    """The clients given to the constructor are the ones that send."""
    from ollama_transport import AsyncClient, Client

    network = Played(answer({"content": "hi"}, streams=False))
    sync, asynchronous = Client(transport=network), AsyncClient(transport=network)
    llm = Ollama("m", client=sync, async_client=asynchronous)
    assert llm.client is sync
    assert llm.async_client is asynchronous
    assert llm.chat([ChatMessage("x")]).message.content == "hi"
    sync.close()


def test_leaving_a_stream_stops_the_server(server: EmbeddedOllama, run: Run) -> None:
    """Closing a stream closes the connection at once, so that the server stops."""
    line = {"model": "m", "message": {"role": "assistant", "content": "x"}, "done": False}
    server.script("POST", "/api/chat", Reply.lines([line], forever=True))
    llm = Ollama("demo", server.url)

    async def leave() -> None:
        stream = await llm.astream_chat([ChatMessage("go on")])
        assert (await anext(stream)).delta == "x"
        await stream.aclose()

    if run.is_async:
        asyncio.run(leave())
    else:
        stream = llm.stream_chat([ChatMessage("go on")])
        assert next(stream).delta == "x"
        stream.close()
    assert server.wait_for_disconnects(1)
