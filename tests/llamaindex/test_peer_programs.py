"""What programs written for the peers do with a model: dump it, load it, name it, tell its size."""

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
from faked import Network
from httpx import Response
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, DocumentBlock, TextBlock
from llama_index.core.embeddings.loading import load_embed_model
from llama_index.core.llms.loading import load_llm
from llama_ways import Played, Way, answer
from pydantic import BaseModel
from running import Run

from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from llamaindex_ollama_ext._options import EmbeddingOptions, LLMOptions
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import ConfigError

Make = Callable[..., Ollama]

_MADE: list[Any] = [
    Ollama("m", "http://h:1", temperature=0.5, num_ctx=9, timeout=(1, 2), thinking="high"),
    OllamaEmbedding("m", "http://h:1", prefixes="auto", timeout=(1, 2)),
]


class Settings(BaseModel):
    """A user's own model with ours inside."""

    llm: Ollama
    embedding: OllamaEmbedding


@pytest.mark.parametrize("model", _MADE)
def test_a_model_comes_back_from_its_own_dumps(model: Any) -> None:
    """Dumps name the class, which is no unknown argument."""
    kind = type(model)
    for again in (
        kind(**model.model_dump()),
        kind(**model.to_dict()),
        kind.model_validate(model.model_dump()),
        kind.model_validate_json(model.model_dump_json()),
        kind.from_dict(model.to_dict()),
        kind.from_json(model.to_json()),
    ):
        assert again.model_dump() == model.model_dump()
        assert again.server_settings() == model.server_settings()


def test_a_model_inside_a_users_own_model() -> None:
    """Configurations that hold models are read from their dumps and from JSON."""
    made = Settings(llm=_MADE[0], embedding=_MADE[1])
    for again in (
        Settings.model_validate(made.model_dump()),
        Settings.model_validate_json(made.model_dump_json()),
        Settings.model_validate(json.loads(made.model_dump_json())),
    ):
        assert again.model_dump() == made.model_dump()


def test_an_unknown_argument_is_still_refused() -> None:
    """The class's name is the one that is let through."""
    with pytest.raises(ConfigError, match="temprature"):
        Ollama(model="m", class_name="Ollama_llm", temprature=1)


@pytest.mark.parametrize("name", ["Ollama_llm", "OllamaExt"])
def test_names_of_stored_models(name: str) -> None:
    """load_llm knows the peer's name, and the one that our early versions wrote."""
    assert Ollama.class_name() == "Ollama_llm"
    assert isinstance(load_llm({"class_name": name, "model": "m"}), Ollama)
    # OpenLLMetry names the provider by this one, in small letters.
    assert Ollama("m").to_payload()["class_name"] == "Ollama"
    assert isinstance(load_embed_model(OllamaEmbedding("m").to_dict()), OllamaEmbedding)


@pytest.mark.parametrize(
    ("kind", "options"), [(Ollama, LLMOptions), (OllamaEmbedding, EmbeddingOptions)]
)
def test_every_field_is_a_typed_argument(kind: Any, options: Any) -> None:
    """Signature and options name each field once, so that editors and checkers know it."""
    # Found by ours in base_url and headers; nobody gives them.
    inner = {"credentials", "secret_headers", "secrets_lost"}
    signed = set(inspect.signature(kind.__init__).parameters) - {"self", "kwargs"}
    named = set(options.__annotations__)
    assert signed & named == set()
    assert set(kind.model_fields) - inner - signed == named - {"class_name"} - _newer(kind)
    assert signed - set(kind.model_fields) <= {"request_timeout", "client", "async_client"}


def _newer(kind: Any) -> set[str]:
    # Older versions of LlamaIndex have no such field.
    return {"rate_limiter", "embeddings_cache"} - set(kind.model_fields)


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (DocumentBlock(data=b"One line.", document_mimetype="text/plain"), "One line."),
        (DocumentBlock(data=b"# A", title="a.md", document_mimetype="text/markdown"), "a.md\n# A"),
        (DocumentBlock(data=b'{"a": 1}', document_mimetype="application/json"), '{"a": 1}'),
        (DocumentBlock(data="é".encode(), title="a.txt"), "a.txt\né"),
    ],
)
def test_a_document_of_text_is_sent_as_text(
    ollama: Make, way: Way, block: DocumentBlock, text: str
) -> None:
    """It stands in its place among the other texts."""
    network = Played(answer({"content": "ok"}, streams=way.streams))
    way.chat(ollama(network), [ChatMessage(blocks=[TextBlock(text="Read:"), block])])
    assert network.body["messages"][0]["content"] == f"Read:\n{text}"


def test_the_request_timeout_reads_and_writes() -> None:
    """The peer's name for the timeout may be set later too."""
    llm = Ollama("m", request_timeout=7)
    assert llm.request_timeout == 7
    llm.request_timeout = 9
    assert (llm.request_timeout, llm.server_settings().timeouts.read_s) == (9, 9)


def _openai(*answers: Response, **fields: Any) -> tuple[Ollama, Network]:
    network = Network(*answers)
    return Ollama("m", "http://h/v1", client_kwargs={"transport": network}, **fields), network


def _chatted() -> Response:
    message = {"role": "assistant", "content": "ok"}
    return Response(200, json={"choices": [{"message": message, "finish_reason": "stop"}]})


def test_the_context_window_is_reported_and_not_sent_on_v1(run: Run) -> None:
    """LlamaIndex reads the size; the server, which has no word for it, is sent none."""
    llm, network = _openai(_chatted(), context_window=4096, count_tokens=False)
    assert llm.metadata.context_window == 4096
    messages = [ChatMessage("hi")]
    run(llm.achat(messages)) if run.is_async else llm.chat(messages)
    assert "4096" not in network.requests[-1].content.decode()
    with pytest.raises(ConfigError, match="num_ctx"):
        llm.chat(messages, num_ctx=4096)


@pytest.mark.parametrize(
    ("listed", "window"),
    [
        ({"max_model_len": 32768}, 32768),
        ({"meta": {"n_ctx_train": 131072}}, 131072),
        ({"meta": {"n_ctx_train": 131072, "n_ctx": 8192}}, 8192),
        ({}, 3900),
    ],
)
def test_the_other_wire_lists_its_context(run: Run, listed: dict[str, Any], window: int) -> None:
    """VLLM's and llama.cpp's lists tell the size; /api/show is not asked there."""
    network = Network(Response(200, json={"data": [{"id": "m", **listed}, {"id": "n"}]}))
    make = Ollama.afrom_server if run.is_async else Ollama.from_server
    llm = run(make("m", base_url="http://h/v1", client_kwargs={"transport": network}))
    assert network.paths == ["/v1/models"]
    assert llm.metadata.context_window == window


# LlamaIndex's workflows look at each attribute of an agent, deprecated ones of pydantic included.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211")
def test_nothing_about_tools_is_sent_without_tools(run: Run) -> None:
    """An agent without tools asks a plain question, over either wire."""
    with EmbeddedOllama() as server:
        for address in (server.url, f"{server.url}/v1"):
            with Ollama("demo", address) as llm:

                async def ask(llm: Ollama = llm) -> None:
                    await FunctionAgent(tools=[], llm=llm, streaming=False).run("Hello")
                    await llm.aclose()

                run(ask())
            said = server.requests[-1].json
            assert isinstance(said, dict)
            assert {"tools", "tool_choice", "parallel_tool_calls"}.isdisjoint(said)


def test_a_forced_call_without_tools_is_a_mistake() -> None:
    """What cannot be done is told, and not left out."""
    with pytest.raises(ConfigError):
        Ollama("m").chat([ChatMessage("hi")], tools=[], tool_choice="required")
