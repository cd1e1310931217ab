"""The page on scaling keeps its word about Ray: its blocks run in their order on a cluster."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason='no Ray: pip install -e ".[test-ray]"')

import pyarrow.parquet as pq

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


@pytest.mark.usefixtures("cluster")
def test_the_blocks_of_the_page_run(
    servers: list[EmbeddedOllama], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who copies them gets vectors, answers and totals, and no error."""
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text()
    for number, server in enumerate(servers, 1):
        text = text.replace(f"http://gpu{number}:11434", server.url)
    blocks = BLOCK.findall(text)
    assert len(blocks) == 5
    names: dict[str, Any] = {"__name__": "__guide__"}
    for block in blocks:
        exec(block, names)
    assert pq.read_table("vectors").num_rows == 100
    assert names["ledger"].snapshot().models["nomic-embed-text"].failures == 0
    assert list((tmp_path / "vectors").glob("answered-*.parquet"))
