"""The embedded server refuses the schemas that a real Ollama refuses, in its words."""

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from recorded import grammar_names, recording
from schemas import schemas

from ollama_ext.embedded import EmbeddedOllama
from ollama_ext.embedded.answers.grammar import check_grammar
from ollama_transport.schema.grammar import grammar_safe


@pytest.mark.parametrize("name", grammar_names())
def test_a_recorded_schema_is_refused_in_the_same_words_or_taken(
    ollama_server: EmbeddedOllama, name: str
) -> None:
    """Each of 45 schemas is asked again: the status, the text and its content type are equal."""
    recorded = recording(f"grammars/{name}")
    body = {**recorded.body, "model": "demo"}
    answer = httpx.post(ollama_server.url + recorded.path, json=body)
    assert answer.status_code == recorded.status
    if recorded.status != 200:
        assert answer.content.strip() == recorded.data.strip()


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(schemas())
def test_schemas_written_for_the_grammar_are_accepted(schema: dict[str, object]) -> None:
    """The double refuses what the engine does, and our requests have none of it."""
    check_grammar(grammar_safe(schema))
