"""The guides keep their word: each block of Python runs, in its order, on the embedded server."""

import re
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pages import found_by_environment

from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
# A block that names a package which not everybody has: ```python title="needs: deepagents"
BLOCK = re.compile(r"^```python(?P<info>[^\n]*)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r'needs: ([^"]+)"')
PACKAGES = {"deepagents", "fastapi", "xllamacpp"}
# Starting one takes minutes: tests/ray does what these blocks do.
CLUSTER = "a Ray cluster"
# tests/stores runs these blocks on one.
DATABASE = "a PostgreSQL"
# Where an Ollama listens that nobody configured: in these tests, the embedded server does.
USUAL_URL = "http://127.0.0.1:11434"
# As a real one of that name: models that see have another least context.
MODELS = {
    "llama3.2": ("completion", "tools", "thinking"),
    "qwen3:8b": ("completion", "tools", "thinking"),
    "llava": ("completion", "vision"),
}
EMBEDDING_MODELS = ("nomic-embed-text",)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedOllama]:
    """A server that has the models of the guides, all of which follow rules."""
    models = [EmbeddedModel(name, capabilities=can) for name, can in MODELS.items()]
    vectors = [EmbeddedModel(name, capabilities=("embedding",)) for name in EMBEDDING_MODELS]
    with EmbeddedOllama([*models, *vectors]) as running:
        yield running


# Core loads langchain-community where it is installed, and that warns of its own end.
@pytest.mark.filterwarnings("ignore:`langchain-community` is being sunset:DeprecationWarning")
# LlamaIndex's workflows look at each attribute of an agent, deprecated ones of pydantic included.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211")
# A guide shows what a small num_predict does.
@pytest.mark.filterwarnings("ignore::ollama_transport.OnlyThoughtsWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_each_block_of_a_page_runs(
    page: Path,
    server: EmbeddedOllama,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A reader who copies the blocks of a page, in their order, sees what they print, no error."""
    monkeypatch.chdir(tmp_path)
    # Pages name files of a checkout.
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    names: dict[str, Any] = {"__name__": "__guide__"}
    text = page.read_text()
    lacking = []
    with found_by_environment(server, monkeypatch):
        for block in BLOCK.finditer(text):
            needed = NEEDS.search(block["info"])
            if needed and not is_here(needed[1]):
                lacking.append(needed[1])
                continue
            line = text[: block.start()].count("\n") + 2
            code = block["code"].replace(USUAL_URL, server.url)
            # The lines of the page stand in a traceback.
            exec(compile("\n" * (line - 1) + code, str(page), "exec"), names)
            shown = capsys.readouterr().out
            assert "print(" not in code or shown.strip(), line
            # None among words is a piece that the code of the page should have left out.
            assert not re.search(r"\wNone|None\w|\n\s*None", shown), (line, shown)
    if lacking:
        pytest.skip(f"all other blocks ran; not here: {', '.join(dict.fromkeys(lacking))}")


def is_here(needed: str) -> bool:
    return needed in PACKAGES and find_spec(needed) is not None


def test_no_block_asks_for_more_than_a_package() -> None:
    """Every block runs where its package is installed, but those of a cluster or a database."""
    needed = {name for page in PAGES for name in NEEDS.findall(page.read_text())}
    assert needed == PACKAGES | {CLUSTER, DATABASE}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_each_extra_that_a_page_installs_exists(page: Path) -> None:
    """`pip install ".[name]"` only warns of an extra that it does not know."""
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    named = re.findall(r"(?:pip install \"?\.|ollama-ext)\[([\w,-]+)\]", page.read_text())
    extras = {extra for names in named for extra in names.split(",")}
    assert extras <= project["optional-dependencies"].keys()
