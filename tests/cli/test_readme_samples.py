"""The samples in the guide of the command line are what is printed, but for numbers."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def masked(text: str) -> list[str]:
    """Return the lines with versions, ports, sizes and times taken out."""
    return [re.sub(r"\d[\d.,]*", "N", line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that writes the samples."""
    spec = importlib.util.spec_from_file_location(
        "readme_samples", ROOT / "scripts" / "readme_samples.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("number", [0, 1], ids=["doctor", "chat"])
def test_a_sample_of_the_page_is_what_is_printed(script: ModuleType, number: int) -> None:
    """`python scripts/readme_samples.py` writes it anew."""
    pattern, make = script.SAMPLES[number]
    found = pattern.search(script.PAGE.read_text(encoding="utf-8"))
    assert found is not None
    assert masked(found[0]) == masked(make())
