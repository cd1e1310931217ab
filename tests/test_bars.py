"""The bars of the house: short functions, short files, in all packages."""

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = [
    "ollama_transport",
    "langchain_ollama_ext",
    "llamaindex_ollama_ext",
    "ollama_ext",
    "benchmarks",
]
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

MEDIAN, P95, LONGEST, FILE_LINES = 8, 40, 60, 400

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each function of a file with its length: from `def` to its end, no docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function) and node.end_lineno is not None:
            yield f"{path.relative_to(ROOT)}:{node.name}", lines(node) - docstring_lines(node)


def lines(node: Function) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


def docstring_lines(node: Function) -> int:
    first = node.body[0]
    if ast.get_docstring(node) is None or first.end_lineno is None:
        return 0
    return first.end_lineno - first.lineno + 1


@pytest.mark.parametrize("package", PACKAGES)
def test_functions_are_short(package: str) -> None:
    """Half of the functions have at most 8 lines, nearly all at most 40, none more than 60."""
    found = dict(pair for path in FILES if package in path.parts for pair in functions(path))
    lengths = sorted(found.values())
    assert statistics.median(lengths) <= MEDIAN
    assert statistics.quantiles(lengths, n=20)[-1] <= P95
    assert {name: length for name, length in found.items() if length > LONGEST} == {}


def test_files_are_short() -> None:
    """No file has more than 400 lines."""
    counted = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in FILES}
    assert {name: count for name, count in counted.items() if count > FILE_LINES} == {}


AWKWARD = (
    r'^\s*r?"""Be ',
    r"(?<!there )\b(?:is|are) no (?:text|JSON|object|mapping|list|number|tool|schema|image)\b",
    r"\bis said to\b",
    r"\bno way to think\b",
    r"\b[Ww]ho would\b",
    r"\b[Ww]hoever asks\b",
    r"\b(?:do|does) not go together\b",
    r"\bso many seconds\b",
    r"\bby turns\b",
    r"\b[Tt]ake note of\b",
    r'"""Tell (?:whether|that) ',
    r'"""Hold (?:the|what) ',
    r"\bof one's own\b",
    r"\b[Ss]o often is\b",
    r"\bproxy before the server\b",
    r"\b[Ww]hoever\b",
    r"\b(?:some|no)body\b",
    r"\banew\b",
    r"\b(?:is|are|was) told (?!apart)",
    r"\bhears? (?:of|no)\b",
    r"\bwithout a word\b",
    r"\bat the most\b",
    r"\bwhen it is none\b",
)
"""Patterns of prose that a reader stumbles over, each with a plain way to say it."""


@pytest.mark.parametrize("pattern", AWKWARD)
def test_prose_is_plain(pattern: str) -> None:
    """Docstrings, comments and messages are written as a native engineer would say it."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert found == []
