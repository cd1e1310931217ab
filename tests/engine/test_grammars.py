"""A real engine's grammar takes every schema that we write for it."""

from typing import Any

import pytest
from grammar_engine import refusal
from hypothesis import HealthCheck, assume, given, settings
from recorded import grammar_names, grammar_schema
from schemas import schemas

from ollama_transport import ConfigError
from ollama_transport.schema.grammar import grammar_safe

pytest.importorskip("xllamacpp", reason='the engine is an extra: pip install ".[local]"')
TOO_LONG = "context size"
"""The schema stands in the prompt too, and the tiny model was trained on 2048 tokens."""
FIELDS = (
    {"type": "string", "maxLength": 5000},
    {"type": "array", "items": {"type": "string"}, "minItems": 1500, "maxItems": 5000},
    {"type": "integer", "minimum": 10**16},
    {"type": "integer", "maximum": -(10**18)},
    {"type": "array", "items": {"type": "string"}, "minItems": 1000, "maxItems": 1000},
    {"type": "string", "minLength": 1999, "maxLength": 1999},
    {"type": "integer", "minimum": 10**15},
)


@pytest.mark.parametrize("name", [name for name in grammar_names() if name != "empty-schema"])
def test_every_recorded_schema_is_taken_once_it_is_written_for_the_grammar(name: str) -> None:
    """A real Ollama refused a third of these as they were; mistakes of the schema are ours."""
    schema = grammar_schema(name)
    if name.endswith(("ref-unresolved", "type-unknown")):
        with pytest.raises(ConfigError):
            grammar_safe(schema)
        return
    assert refusal(grammar_safe(schema)) is None


@pytest.mark.parametrize("field", FIELDS)
def test_bounds_that_the_grammar_cannot_count_are_taken(field: Any) -> None:
    """As they were, some are refused, and some keep the engine busy for ever."""
    whole = {"type": "object", "properties": {"f": field}, "required": ["f"]}
    assert refusal(grammar_safe(whole)) is None


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(schemas())
def test_no_schema_is_refused_once_it_is_written_for_the_grammar(schema: Any) -> None:
    """What pydantic, TypedDicts and people write."""
    said = refusal(grammar_safe(schema))
    assume(said is None or TOO_LONG not in said)
    assert said is None
