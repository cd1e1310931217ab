"""Each difference to the peers has a test; here are those that no other room tests."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool

import langchain_ollama_ext
import llamaindex_ollama_ext
import ollama_transport
from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama
from ollama_transport import Client, ConfigError, ResponseError

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (.+?) \| ", re.MULTILINE)
CAPABILITIES = ("completion", "tools", "thinking")


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama([EmbeddedModel("m", capabilities=CAPABILITIES)]) as running:
        yield running


def rows(page: str, after: str, before: str) -> list[str]:
    """Return the first cell of each row of the tables between two texts, heads left out."""
    text = (ROOT / page).read_text().partition(after)[2].partition(before)[0]
    heads = {"What", "difference", "in the README", "---"}
    return [cell for cell in ROW.findall(text) if cell not in heads]


def test_each_difference_of_the_guide_has_its_test() -> None:
    """The table of evidence has each row; `tests/test_readme.py` sees that its tests exist."""
    told = rows("docs/guides/migrating.md", "## LangChain", "\0")
    held = rows("docs/evidence.md", "## The differences of the migration guide", "\n## ")
    assert told == held


def test_each_advantage_of_the_readme_has_its_test() -> None:
    """The same for the README's own table."""
    told = rows("README.md", "## What is better", "\n## ")
    assert told == rows("docs/evidence.md", "## What the README says", "\n## ") != []


def test_a_response_format_of_a_wrong_type_is_refused() -> None:
    """The peer ignores it."""
    with pytest.raises(ConfigError, match="invalid format=7"):
        ChatOllama(model="m").invoke("Hello", response_format=7)


def test_an_empty_reasoning_of_a_history_is_not_sent(server: EmbeddedOllama) -> None:
    """An empty text is no reasoning."""
    earlier = AIMessage("Hi.", additional_kwargs={"reasoning_content": ""})
    model = ChatOllama(model="m", base_url=server.url)
    model.invoke([HumanMessage("Hello"), earlier, HumanMessage("And now?")])
    sent = server.requests[-1].json["messages"]
    assert sent[1] == {"role": "assistant", "content": "Hi."}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_langchain_classic_keeps_its_class() -> None:
    """`register` reaches the tables of langchain alone."""
    pytest.importorskip("langchain_ollama")
    classic = pytest.importorskip("langchain_classic.chat_models")
    with langchain_ollama_ext.register():
        assert type(classic.init_chat_model("ollama:m")).__module__.startswith("langchain_ollama.")


def test_private_names_are_not_there() -> None:
    """What the guide names as missing is missing, and what it names instead is there."""
    model = ChatOllama(model="m")
    private = (
        *("_client", "_chat_params", "_create_chat_stream"),
        "_convert_messages_to_ollama_messages",
    )
    assert [name for name in private if hasattr(model, name)] == []
    for other in (Ollama(model="m"), OllamaEmbedding("m")):
        assert not hasattr(other, "_client")
        assert isinstance(other.sync_client(), Client)
    assert isinstance(model.sync_client(), Client)
    assert not hasattr(ollama_transport, "_utils")
    with Client() as client:
        assert [name for name in ("_client", "_request") if hasattr(client, name)] == []
        assert (client.config.endpoint.url, dict(client.config.headers)) != ("", {})


def test_inner_classes_and_functions_of_modules_are_not_there() -> None:
    """Programs for ollama-python and LlamaIndex use these by name; the guide names ours."""
    assert not hasattr(ollama_transport.ListResponse, "Model")
    assert not hasattr(ollama_transport.Message, "ToolCall")
    assert {"ModelSummary", "ToolCall"} <= set(ollama_transport.__all__)
    functions = ("force_single_tool_call", "get_additional_kwargs")
    assert [name for name in functions if hasattr(llamaindex_ollama_ext, name)] == []


def test_requests_say_who_asks_and_what_is_read(server: EmbeddedOllama) -> None:
    """Streams of both wires are named in Accept; `headers` replaces the name of the client."""
    for client, agent in (
        (Client(server.url), "ollama-ext/"),
        (Client(server.url, headers={"User-Agent": "mine"}), "mine"),
    ):
        with client:
            client.version()
        sent = server.requests[-1].headers
        assert sent["user-agent"].startswith(agent)
        assert sent["accept"] == "application/json, application/x-ndjson, text/event-stream"


def test_texts_of_errors_name_the_server_and_a_way_out(server: EmbeddedOllama) -> None:
    """`error` and `status_code` are as ollama-python has them; the text says more."""
    with Client(server.url) as client, pytest.raises(ResponseError) as caught:
        client.chat("missing", messages=[{"role": "user", "content": "Hi"}])
    assert (caught.value.error, caught.value.status_code) == ("model 'missing' not found", 404)
    text = str(caught.value)
    assert [part for part in (server.url, "ollama pull missing") if part not in text] == []
    with pytest.raises(ResponseError) as there:
        ChatOllama(model="missing", base_url=server.url).invoke("Hi")
    assert "ollama pull missing" in str(there.value)


def test_the_environment_names_the_server_of_llamaindex(
    server: EmbeddedOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for Ollama's own programs."""
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    assert Ollama("m").complete("Hello").text


def test_a_history_does_not_grow_by_the_question(server: EmbeddedOllama) -> None:
    """The caller's list is the caller's."""

    def weather(city: str) -> str:
        """Tell the weather of a city."""
        return city

    history = [ChatMessage("Hello")]
    llm = Ollama("m", base_url=server.url)
    llm.chat_with_tools([FunctionTool.from_defaults(weather)], "Hello", chat_history=history)
    assert history == [ChatMessage("Hello")]


def test_a_list_of_models_is_iterated_for_its_models(server: EmbeddedOllama) -> None:
    """The pairs of ollama-python come with `dict`."""
    with Client(server.url) as client:
        listed = client.list()
        assert "m:latest" in [model.name for model in listed]
        assert list(dict(listed)) == ["models"]
        assert client.embeddings("demo-embed", "x").model_dump().keys() >= {"embeddings"}
