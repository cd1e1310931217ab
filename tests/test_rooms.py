"""The rooms of the house: what each offers, and what the adapters take."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for path in (ROOT / "ollama_transport").rglob("__init__.py")
)
ADAPTERS = ("langchain_ollama_ext", "llamaindex_ollama_ext")


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_says_what_lives_there(name: str) -> None:
    """Each room's docstring begins with one sentence."""
    doc = importlib.import_module(name).__doc__
    assert doc
    assert doc.splitlines()[0].endswith(".")


@pytest.mark.parametrize("name", ROOMS)
def test_public_names_of_each_room_can_be_imported(name: str) -> None:
    """`__all__` names each thing once (ruff keeps it sorted), and each can be imported."""
    room = importlib.import_module(name)
    offered = getattr(room, "__all__", [])
    assert len(offered) == len(set(offered))
    for each in offered:
        assert getattr(room, each) is not None


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_adapters_take_public_names_only(adapter: str) -> None:
    """An adapter imports from the transport what a room or the package lists in `__all__`."""
    found = []
    for path in (ROOT / adapter).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("ollama_transport"):
                found += [(path.name, str(node.module), alias.name) for alias in node.names]
    assert found
    private = [
        (file, module, name)
        for file, module, name in found
        if name not in getattr(importlib.import_module(module), "__all__", [])
    ]
    assert private == []
