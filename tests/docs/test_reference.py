"""The API reference has every public name."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

from ollama_transport import errors

PAGE = (Path(__file__).parents[2] / "docs/reference.md").read_text()
SHOWN = set(re.findall(r"^::: (\S+)$", PAGE, re.MULTILINE))
# Another name of something shown is a word in a table.
NAMED = set(re.findall(r"`(\w+)`", PAGE))
PACKAGES = (
    *("ollama_transport", "langchain_ollama_ext", "llamaindex_ollama_ext"),
    *("ollama_ext", "ollama_ext.embedded", "ollama_ext.ray"),
)


def imported(package: str) -> ModuleType:
    if package == "ollama_ext.ray":
        pytest.importorskip("ray", reason='no Ray: pip install -e ".[test-ray]"')
    return importlib.import_module(package)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_in_the_reference(package: str) -> None:
    """By a directive of its own, in the module of errors, or as another name of one of these."""
    module = imported(package)
    missing = [
        name
        for name in module.__all__
        if f"{package}.{name}" not in SHOWN
        and getattr(module, name) is not getattr(errors, name, None)
        and name not in NAMED
    ]
    assert missing == []


@pytest.mark.parametrize("shown", sorted(SHOWN))
def test_the_reference_lists_public_names_only(shown: str) -> None:
    """Nothing is shown that a program cannot import, or should not."""
    package, _, name = shown.rpartition(".")
    module = imported(package)
    assert name in module.__all__ or shown == "ollama_transport.errors"


@pytest.mark.parametrize("row", re.findall(r"^\| (`\w+`.*?) \| `(\w+)` \|$", PAGE, re.MULTILINE))
def test_other_names_are_what_the_table_says(row: tuple[str, str]) -> None:
    """A name of ollama-python is the class beside it."""
    package = importlib.import_module("ollama_transport")
    for name in re.findall(r"`(\w+)`", row[0]):
        assert getattr(package, name) is getattr(package, row[1])
