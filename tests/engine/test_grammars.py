"""Schemas on the real engine: the recorded table, and what is written for the grammar."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from recorded import grammar_names, recording
from schemas import schemas
from weights import needs_engine

from ollama_ext.embedded import EmbeddedOllama
from ollama_transport.schema.grammar import grammar_safe


def post(engine: EmbeddedOllama, path: str, body: Any) -> httpx.Response:
    return httpx.post(engine.url + path, json=body, timeout=120, trust_env=False)


@pytest.mark.parametrize("name", grammar_names())
def test_the_recorded_table_holds_on_the_engine(engine: EmbeddedOllama, name: str) -> None:
    """What a real Ollama refused is refused in its words; what it took the engine takes."""
    recorded = recording(f"grammars/{name}")
    short = {"num_predict": 8, "temperature": 0}
    body = {**recorded.body, "model": "tiny-chat", "options": short, "max_tokens": 8}
    answer = post(engine, recorded.path, body)
    assert answer.status_code == recorded.status, answer.text
    if recorded.status != 200:
        assert answer.content.strip() == recorded.data.strip()


@needs_engine
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(schema=schemas())
def test_the_engine_takes_what_is_written_for_the_grammar(
    engine: EmbeddedOllama, schema: dict[str, Any]
) -> None:
    """No schema of our requests is refused by the engine itself."""
    body = {
        "model": "tiny-chat",
        "messages": [{"role": "user", "content": "Hello!"}],
        "format": grammar_safe(schema),
        "stream": False,
        "options": {"num_predict": 1},
    }
    answer = post(engine, "/api/chat", body)
    assert answer.status_code == 200, json.dumps(schema) + answer.text
