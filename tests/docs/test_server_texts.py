"""The troubleshooting page says what we answer to a server's own words: a server says them."""

import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_ext.embedded import EmbeddedOllama, Reply
from ollama_transport import OllamaError

PAGE = (Path(__file__).parents[2] / "docs/guides/troubleshooting.md").read_text()
SECTION = PAGE.partition("## In the server's own words")[2].partition("\n## ")[0]
ROWS = re.findall(
    r"^\| `(?P<words>[^`]+)` \| (?P<where>[^|]+) \| `(?P<advice>[^`]+)` \|", SECTION, re.MULTILINE
)
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedOllama]:
    """A server whose answers are scripted."""
    with EmbeddedOllama() as running:
        yield running


def say(server: EmbeddedOllama, words: str, where: str) -> str:
    """Have the next answers be the words with the row's status; return the base URL to ask."""
    status = int(where.split()[0])
    failing = Reply.json({"error": words}) if status == 200 else Reply.error(words, status)
    server.reset()
    server.script([failing] * 20)
    return f"{server.url}/v1" if "/v1" in where else server.url


def by_langchain(url: str, where: str) -> object:
    if "embeddings" in where:
        return OllamaEmbeddings(model="demo", base_url=url, max_retries=0).embed_query("Hello")
    return ChatOllama(model="demo", base_url=url, max_retries=0).invoke("Hello")


def by_llamaindex(url: str, where: str) -> object:
    if "embeddings" in where:
        model = OllamaEmbedding("demo", base_url=url, max_retries=0)
        return model.get_query_embedding("Hello")
    return Ollama("demo", base_url=url, max_retries=0).complete("Hello")


@every_row
@pytest.mark.parametrize("ask", [by_langchain, by_llamaindex])
def test_the_message_has_the_server_s_words_and_the_advice(
    row: tuple[str, str, str], ask: Callable[[str, str], object], server: EmbeddedOllama
) -> None:
    """Both adapters give the advice that the row of the page shows."""
    words, where, advice = row
    url = say(server, words, where)
    with warnings.catch_warnings():
        # An overflow is a warning first, on Ollama's own wire.
        warnings.simplefilter("ignore")
        with pytest.raises(OllamaError) as raised:
            ask(url, where)
    assert words in str(raised.value)
    assert advice in str(raised.value)


def test_the_page_has_such_rows() -> None:
    """The rows above were read from the page."""
    assert len(ROWS) >= 15
