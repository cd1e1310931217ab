"""The page on troubleshooting quotes what the code says."""

import ast
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from langchain_core.exceptions import OutputParserException
from llama_index.core.types import PydanticProgramMode
from pydantic import BaseModel

from langchain_ollama_ext import ChatOllama
from llamaindex_ollama_ext import Ollama, StructuredOutputError
from ollama_ext.embedded import EmbeddedOllama, Reply

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guides/troubleshooting.md").read_text()
OURS = PAGE.partition("## In the server's own words")[0]
PACKAGES = ("ollama_transport", "langchain_ollama_ext", "llamaindex_ollama_ext", "ollama_ext")
# Tables of our messages: the next ones are of a server's words (test_server_texts) and of symptoms
# that come without a message.
ROWS = re.findall(r"^\| (`.*?) \|", OURS, re.MULTILINE)
FRAGMENTS = sorted({fragment for row in ROWS for fragment in re.findall(r"`([^`]+)`", row)})


@pytest.fixture(scope="module")
def texts() -> str:
    """Every text of the packages, those that are written in several pieces whole."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    nodes = [node for path in paths for node in ast.walk(ast.parse(path.read_text()))]
    constants = (node.value for node in nodes if isinstance(node, ast.Constant))
    return "\0".join(value for value in constants if isinstance(value, str))


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_quoted_message_is_one_of_ours(fragment: str, texts: str) -> None:
    """Who searches the page for the message on the screen finds it."""
    assert fragment in texts


def test_the_page_quotes_messages() -> None:
    """The rows above were read from the page."""
    assert len(FRAGMENTS) > 30


FRAMEWORKS = {
    "llama-index-llms-openai": "llama_index.core.llms.utils",
    "llama-index-embeddings-openai": "llama_index.core.embeddings.utils",
    "asyncio.run() cannot be called from a running event loop": "asyncio.runners",
    "requires numpy to be installed": "langchain_core.vectorstores.utils",
    "which is not installed: pip install": "ollama_ext.ray",
}


@pytest.mark.parametrize(("fragment", "module"), FRAMEWORKS.items())
def test_a_quoted_message_of_others_is_theirs(fragment: str, module: str) -> None:
    """What Python and the frameworks say to a newcomer stands in their code, and on the page."""
    found = find_spec(module)
    assert found is not None
    assert found.origin is not None
    assert fragment in Path(found.origin).read_text()
    assert f"`{fragment}`" in PAGE


def test_a_positional_model_gives_the_message_of_the_page() -> None:
    """LangChain's models take keywords alone, and Python says so in its own words."""
    kind: Any = ChatOllama
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given") as raised:
        kind("llama3.2")
    assert str(raised.value).partition("() ")[2] in PAGE


class Person(BaseModel):
    name: str
    age: int


def by_langchain(url: str, calls: bool) -> object:
    model = ChatOllama(model="demo", base_url=url)
    method = "function_calling" if calls else "json_schema"
    return model.with_structured_output(Person, method=method).invoke("Who?")


def by_llamaindex(url: str, calls: bool) -> object:
    mode = PydanticProgramMode.FUNCTION if calls else PydanticProgramMode.DEFAULT
    model = Ollama("demo", base_url=url, pydantic_program_mode=mode)
    return model.as_structured_llm(Person).complete("Who?")


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedOllama]:
    """A server whose answers are scripted."""
    with EmbeddedOllama() as running:
        yield running


@pytest.mark.parametrize("ask", [by_langchain, by_llamaindex])
@pytest.mark.parametrize("calls", [False, True])
@pytest.mark.parametrize("content", ["I do not know.", '{"name": "Ada", "age": "old"}', ""])
def test_the_page_has_each_failure_of_structured_output(
    server: EmbeddedOllama, content: str, calls: bool, ask: Callable[[str, bool], object]
) -> None:
    """Words in place of JSON, JSON that does not fit, and nothing: the page quotes the message."""
    server.reset()
    server.script([Reply.chat(content)] * 3)
    with pytest.raises((OutputParserException, StructuredOutputError)) as raised:
        ask(server.url, calls)
    assert [fragment for fragment in FRAGMENTS if fragment in str(raised.value)] != []
