"""What the README says of costs is no better than what docs/performance.md has measured."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EVIDENCE = (ROOT / "docs/evidence.md").read_text()
MEASURED = (ROOT / "docs/performance.md").read_text().partition("## Time")[0]
CLAIM = (
    "a streamed token costs at most 0.4 of the peers' instructions, a short call 0.4 (LangChain) "
    "and 0.8 (LlamaIndex), a chunk of a structured stream 0.06"
)
BOUNDS = {
    "LangChain stream, sync/async": 0.4,
    "LlamaIndex stream_chat, sync/async": 0.4,
    "LangChain short call, sync/async": 0.4,
    "LlamaIndex short call, sync/async": 0.8,
    "structured streams, LlamaIndex/LangChain": 0.06,
}


@pytest.mark.parametrize(("row", "bound"), BOUNDS.items())
def test_a_cost_is_as_low_as_it_is_said_to_be(row: str, bound: float) -> None:
    """Each ratio to the peer, by instructions, is within the bound that the pages name."""
    cells = re.search(rf"^\| {re.escape(row)} \|(.+)$", MEASURED, re.MULTILINE)
    assert cells
    ratios = cells[1].split(" | ")[3]
    assert max(float(one) for one in ratios.split("/")) <= bound


def test_the_pages_say_these_bounds() -> None:
    """A figure of the README is one of those above."""
    assert CLAIM in README
    assert "a token at most 0.4 of the instructions in both frameworks" in EVIDENCE
    assert "at most 0.06 of its instructions" in EVIDENCE
