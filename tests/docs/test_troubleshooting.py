"""The page on troubleshooting quotes what the code says."""

import ast
import re
from pathlib import Path

import pytest

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
