"""A hostile text costs time in proportion to its length, whatever pattern of ours reads it."""

import re
import time
from typing import Any

import pytest
from patterns import hostile_texts, patterns_of

from ollama_transport.wire.errors.mapping import status_error
from ollama_transport.wire.errors.text import MAX_ERROR_CHARACTERS

SHORT, FACTOR = 3_000, 4
LINEAR, QUADRATIC = FACTOR, FACTOR**2
MOST_GROWTH = (LINEAR + QUADRATIC) / 2
"""Between the growth of a pattern that is linear and that of one that is quadratic."""

NEGLIGIBLE_S = 0.003
"""What costs less over SHORT * FACTOR characters is not quadratic; clocks are coarse below it."""

PATTERNS = patterns_of(
    "ollama_transport", "ollama_ext", "langchain_ollama_ext", "llamaindex_ollama_ext"
)


def seconds(pattern: re.Pattern[Any], text: Any) -> float:
    """Return the CPU time of this thread for all matches: other processes do not count."""
    begun = time.thread_time()
    for _ in pattern.finditer(text):
        pass
    return time.thread_time() - begun


def growth(pattern: re.Pattern[Any], short: Any, long: Any) -> float:
    """Return how much longer the long text takes; the best of several, 0 where it is nothing."""
    if seconds(pattern, long) < NEGLIGIBLE_S:
        return 0.0
    best = min(seconds(pattern, long) for _ in range(3))
    return best / max(min(seconds(pattern, short) for _ in range(5)), 1e-6)


@pytest.mark.parametrize("place", PATTERNS, ids=lambda place: place.partition(" ")[0])
def test_a_longer_text_takes_no_more_than_its_share(place: str) -> None:
    """No pattern takes quadratic time over a text that was made to be nearly a match."""
    pattern = PATTERNS[place]
    texts = zip(hostile_texts(pattern, SHORT), hostile_texts(pattern, SHORT * FACTOR), strict=True)
    for short, long in texts:
        assert growth(pattern, short, long) < MOST_GROWTH, f"{place}: {short[:80]!r}"


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"length is (?P<n>\d+) tokens.*?\((?P<m>\d+) in", "a gap without bounds"),
        (r"\s*hello", "a repeat that is tried at each place"),
        (r'"(?:[^"\\]|\\.)*"', "a string that never ends"),
    ],
)
def test_the_measure_finds_patterns_that_are_quadratic(pattern: str, reason: str) -> None:
    """The test above would fail for each of these."""
    found = re.compile(pattern)
    texts = zip(hostile_texts(found, SHORT), hostile_texts(found, SHORT * FACTOR), strict=True)
    assert any(growth(found, *pair) > MOST_GROWTH for pair in texts), reason


def test_patterns_are_found_in_every_package() -> None:
    """Compiled ones, those in tables, and those that stand in a call."""
    places = " ".join(PATTERNS)
    for part in (
        "overflow_counts._PATTERNS",
        "prefixes._PATTERNS",
        "ollama_transport.wire.values.json_text._FENCED",
        "ollama_transport.net.http11._SIZE",
        "ollama_transport.schema.notes:",
    ):
        assert part in places


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize(
    "text",
    [
        "maximum context length is 1 tokens ( ",
        "maximum context length is 1 tokens",
        "passed 1 input tokens ",
        "(1 tokens) is too large to process",
        "model 'x",
        "does not support ",
        "1" * 100,
    ],
)
def test_an_error_body_is_read_in_bounded_time(text: str, status: int) -> None:
    """A text of megabytes is cut before any pattern sees it; the body is kept whole."""
    body = b'{"error": "%s"}' % (text.encode() * (4_000_000 // len(text)))
    begun = time.thread_time()
    error = status_error(
        method="POST", url="http://h/api/chat", status=status, headers={}, body=body
    )
    # The quadratic pattern took minutes for a tenth of this.
    assert time.thread_time() - begun < 5
    assert len(error.error) < MAX_ERROR_CHARACTERS + 40
    assert len(error.body) == len(body)
