"""The sample in the guide of the command line is what is printed, but for numbers."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def masked(text: str) -> list[str]:
    """Return the lines with versions, ports, sizes and times taken out."""
    return [re.sub(r"\d[\d.,]*", "N", line) for line in text.splitlines()]


def test_the_sample_of_doctor_is_what_it_prints() -> None:
    """`python scripts/readme_samples.py` writes it anew."""
    spec = importlib.util.spec_from_file_location(
        "readme_samples", ROOT / "scripts" / "readme_samples.py"
    )
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    found = script.SAMPLE.search(script.PAGE.read_text(encoding="utf-8"))
    assert found is not None
    assert masked(found[0]) == masked(script.doctor_sample())
