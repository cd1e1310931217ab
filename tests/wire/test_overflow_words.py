"""Every server's words for a prompt that is too long, and words that only resemble them."""

import json
from pathlib import Path
from typing import Any

import pytest

from ollama_transport.errors import ContextOverflowError, StatusError
from ollama_transport.wire.errors.mapping import status_error

# The words are shortened; sources stand beside the patterns (`wire.errors.overflow_counts`).
LINES = (Path(__file__).parent / "overflow_words.tsv").read_text().splitlines()[1:]
SAID = [line.split("\t") for line in LINES]


def count(told: str) -> int | None:
    return None if told == "-" else int(told)


OTHERS = [
    (429, "This request exceeds the limit of 30000 tokens per minute"),
    (400, "Too many tokens per day, please wait before trying again."),
    (400, "Tokens per minute limit exceeded - too many tokens processed"),
    (400, "max_tokens is too large: 100000. This model supports at most 16384 completion tokens"),
    (400, "max_tokens must be at least 1, got 0."),
    (400, "Invalid 'messages[0].content': string too long. Expected a maximum length of 1048576"),
    (400, "Tool name is too long: 80 > 64"),
    (400, "batch size 60 > maximum allowed batch size 32"),
    (400, "Too many inputs in request, split into more batches."),
    (400, "Unknown parameter: 'context_length'."),
    (400, "At most 10 images may be provided in one prompt."),
    (400, "The image is too large to process"),
    (500, "model requires more system memory than is available for the context size"),
    (503, "exceeds the limit of concurrent requests"),
]


def refused(status: int, text: str, **more: Any) -> StatusError:
    body = json.dumps({"error": {"message": text, **more}}).encode()
    url = "http://h/v1/chat/completions"
    return status_error(method="POST", url=url, status=status, headers={}, body=body)


@pytest.mark.parametrize(("prompt", "length", "text"), SAID)
def test_a_prompt_that_is_too_long_is_known_by_its_words(
    prompt: str, length: str, text: str
) -> None:
    """The counts are those that the server told, and none that it did not."""
    error = refused(400, text)
    assert isinstance(error, ContextOverflowError)
    assert (error.prompt_tokens, error.context_length) == (count(prompt), count(length))
    assert isinstance(refused(500, text), ContextOverflowError)


@pytest.mark.parametrize(("status", "text"), OTHERS)
def test_words_that_only_resemble_them_are_something_else(status: int, text: str) -> None:
    """A limit of use, of texts, of names or of memory is not one of the context."""
    assert not isinstance(refused(status, text), ContextOverflowError)


def test_a_filter_that_quotes_the_prompt_is_not_an_overflow() -> None:
    """The code tells what the quoted words cannot."""
    error = refused(400, "refused: my input is too long", code="content_filter")
    assert not isinstance(error, ContextOverflowError)
