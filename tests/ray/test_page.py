"""What the page on scaling and the docstrings show of Ray runs on a cluster, block by block."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason='no Ray: pip install -e ".[test-ray]"')

import pyarrow.parquet as pq

from ollama_ext import ray as bulk
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama

PAGE = Path(__file__).parents[2] / "docs/scaling.md"
TITLE = "needs: a Ray cluster"
BLOCK = re.compile(rf'^```python title="{re.escape(TITLE)}"\n(.*?)^```', re.MULTILINE | re.DOTALL)
MODELS = [
    EmbeddedModel("llama3.2", capabilities=("completion",)),
    EmbeddedModel("nomic-embed-text", capabilities=("embedding",)),
]


@pytest.fixture
def servers() -> Iterator[list[EmbeddedOllama]]:
    """The two servers of the page."""
    with EmbeddedOllama(MODELS) as first, EmbeddedOllama(MODELS) as second:
        yield [first, second]


def at_servers(text: str, servers: list[EmbeddedOllama]) -> str:
    for number, server in enumerate(servers, 1):
        text = text.replace(f"http://gpu{number}:11434", server.url)
    return text


@pytest.mark.usefixtures("cluster")
def test_the_blocks_of_the_page_run(
    servers: list[EmbeddedOllama], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who copies them gets vectors, answers and totals, and no error."""
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(at_servers(PAGE.read_text(), servers))
    assert len(blocks) == 5
    names: dict[str, Any] = {"__name__": "__guide__"}
    for block in blocks:
        exec(block, names)
    assert pq.read_table("vectors").num_rows == 100
    assert names["ledger"].snapshot().models["nomic-embed-text"].failures == 0
    assert list((tmp_path / "vectors").glob("answered-*.parquet"))


DESCRIBED = [bulk.BulkOptions, bulk.SharedLedger, bulk.chat_dataset, bulk.embed_dataset]


def test_every_public_name_shows_an_example() -> None:
    """All but the constant, which has no docstring."""
    assert {one.__name__ for one in DESCRIBED} == set(bulk.__all__) - {"BULK_RETRY"}


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("described", DESCRIBED, ids=lambda one: one.__name__)
def test_the_example_of_a_docstring_runs(
    described: object,
    servers: list[EmbeddedOllama],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who copies it out of an editor's help gets an answer, and no error."""
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", inspect.getdoc(described) or "", re.DOTALL)
    exec(at_servers(example, servers), {"__name__": "__example__"})
    said = capsys.readouterr().out
    assert said.strip()
    assert "None" not in said
