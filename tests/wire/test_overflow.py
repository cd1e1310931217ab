"""Each prompt and each text that is cut is told, and told apart, without a word of what it says."""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from running import Run

from ollama_ext.embedded import EmbeddedOllama, Reply
from ollama_transport import (
    ChatRequest,
    ContextTruncatedWarning,
    EmbedRequest,
    GenerateRequest,
    Message,
)

REFUSAL = Reply.error(400, "the input length exceeds the context length")


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as found:
        yield found


def told(run: Run, server: EmbeddedOllama, path: str, *calls: Any) -> list[str]:
    """Return what a user sees of calls each of which is refused once, with Python's own filters."""
    done = {
        "/api/embed": Reply.json({"embeddings": [[1.0]] * 3}),
        "/api/chat": Reply.json({"message": {"content": "x"}, "done": True}),
        "/api/generate": Reply.json({"response": "x", "done": True}),
    }[path]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        for call in calls:
            server.script("POST", path, REFUSAL, done)
            run(call())
    assert {warning.category for warning in seen} == {ContextTruncatedWarning}
    return [str(warning.message) for warning in seen]


def test_each_cut_text_warns(run: Run, server: EmbeddedOllama) -> None:
    """Python shows equal warnings of one place once: no two texts are told in equal words."""
    client = run.client(server.url)
    batches = [["x" * length, "secret", ""] for length in (5000, 6000)]
    first, second = told(
        run,
        server,
        "/api/embed",
        *(
            lambda texts=texts: client.embed(EmbedRequest("m", texts, on_context_overflow="warn"))
            for texts in batches
        ),
    )
    assert "a text for m (one of 3, the longest of 5000 characters) is longer than" in first
    assert "6000 characters" in second
    assert "secret" not in first


def test_a_cut_prompt_is_reported_with_its_length(run: Run, server: EmbeddedOllama) -> None:
    """Chats and completions name the model and how long the prompt is."""
    client = run.client(server.url)
    chat = ChatRequest(
        "m", [Message("system", "ab"), Message("user", "secret")], on_context_overflow="warn"
    )
    (said,) = told(run, server, "/api/chat", lambda: client.chat(chat))
    assert "the prompt for m (8 characters) is longer than the context" in said
    assert "secret" not in said
    completion = GenerateRequest("m", "secret", on_context_overflow="warn")
    (said,) = told(run, server, "/api/generate", lambda: client.generate(completion))
    assert "the prompt for m (6 characters)" in said
