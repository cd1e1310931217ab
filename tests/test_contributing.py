"""What CONTRIBUTING says of the code is there."""

import importlib
import re
from functools import reduce
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
PACKAGES = ("ollama_transport", "langchain_ollama_ext", "llamaindex_ollama_ext", "ollama_ext")


def test_each_named_step_exists() -> None:
    """Each function or class that is named with its module can be imported from there."""
    names = re.findall(rf"`((?:{'|'.join(PACKAGES)})\.[\w.]+)`", TEXT)
    assert len(names) > 10
    for name in names:
        parts = name.split(".")
        # The longest part that is a module; what follows are attributes.
        for end in range(len(parts), 0, -1):
            try:
                module = importlib.import_module(".".join(parts[:end]))
            except ModuleNotFoundError:
                continue
            assert reduce(getattr, parts[end:], module) is not None
            break


def test_each_named_file_exists() -> None:
    """Each path of a Python file that is named is there, below the transport or the root."""
    for path in re.findall(r"`([\w/]+/[\w]+\.py)`", TEXT):
        assert (ROOT / path).is_file() or (ROOT / "ollama_transport" / path).is_file(), path
