"""The models of weights that tests run, and what they say by heart (tests/models/README.md)."""

from importlib.util import find_spec
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[1] / "models"
HELLO = "Hello! How can I help you today?"
GREEDY = {"temperature": 0, "seed": 1}
NO_ENGINE = 'the engine is an extra: pip install ".[local]" installs it'

needs_engine = pytest.mark.skipif(find_spec("xllamacpp") is None, reason=NO_ENGINE)
