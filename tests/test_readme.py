"""The READMEs keep their word: what they name exists, and their code runs."""

import importlib
import re
from pathlib import Path

import pytest
from pages import found_by_environment

from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TABLES = [
    "README.md",
    "docs/evidence.md",
    "tests/langchain/README.md",
    "tests/llamaindex/README.md",
]
OF_OTHERS = {"test_stream_time"}  # a test of langchain-tests, which the suite here inherits

IMPORTS = re.findall(r"`from (\w+_ext) import (\w+)`", README)
LINKS = re.findall(r"\]\((?!https?:)([^)#]+)", README)
CAPABILITIES = ("completion", "tools", "thinking")
MODELS = [
    EmbeddedModel("llama3.2", capabilities=CAPABILITIES),
    EmbeddedModel("qwen3:8b", capabilities=CAPABILITIES),
    EmbeddedModel("nomic-embed-text", capabilities=("embedding",)),
]
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("name", TABLES)
def test_every_test_that_is_named_exists(name: str) -> None:
    """A table of tests names no test and no file that is not there."""
    text = (ROOT / name).read_text()
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    named = set(re.findall(r"\b(test_[a-z0-9_]+|Test[A-Z]\w+)\b(?!\.py)", text)) - OF_OTHERS
    assert {test for test in named if not re.search(rf"(def|class) {test}\b", sources)} == set()
    files = set(re.findall(r"((?:tests/[\w/]+|test_\w+)\.py)", text))
    assert {file for file in files if not list((ROOT / "tests").rglob(Path(file).name))} == set()


@pytest.mark.parametrize("link", sorted(set(LINKS)))
def test_every_link_leads_somewhere(link: str) -> None:
    """What the README links to is there."""
    assert (ROOT / link).exists()


@pytest.mark.parametrize(("module", "name"), sorted(set(IMPORTS)))
def test_every_import_line_works(module: str, name: str) -> None:
    """What the README tells to import is there."""
    assert hasattr(importlib.import_module(module), name)


# LlamaIndex and core warn of their own past.
@pytest.mark.filterwarnings("ignore:`langchain-community` is being sunset:DeprecationWarning")
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_block_of_code_runs(
    block: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The README's code runs as printed: each block has what it imports."""
    with EmbeddedOllama(MODELS) as server, found_by_environment(server, monkeypatch):
        exec(block, {})
    assert "print(" not in block or capsys.readouterr().out.strip()
