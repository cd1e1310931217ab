"""SECURITY.md promises nothing that no test holds."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "SECURITY.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def names_in(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_each_test_that_is_named_exists(file: str, name: str) -> None:
    """A test that was renamed or removed is missed here."""
    assert name in names_in(ROOT / file)


def test_each_claim_names_its_test() -> None:
    """Every line of the defended part is a claim with a test, each named once."""
    defended = PAGE.split("## Who attacks, and what holds")[1].split("## What is not defended")[0]
    claims = re.split(r"^- ", defended, flags=re.MULTILINE)[1:]
    assert len(claims) > 10
    assert [claim for claim in claims if not re.search(r"::test_\w+`", claim)] == []
    assert len(NAMED) == len(set(NAMED))


def test_it_is_one_page() -> None:
    """Who looks for it reads it."""
    assert len(PAGE.splitlines()) <= 100
