"""Patterns are rewritten into what the engine's grammar reads, or found to have no equal."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemas import PATTERNS

from ollama_transport.schema.grammar_values import fit_pattern

# What the engine reads: no escaped class, no lazy count, no lookaround.
_READABLE = re.compile(r"(?!.*(?:\\[dwsDWSpPbB]|\(\?|[*+?}]\?)).*", re.DOTALL)


@pytest.mark.parametrize(
    ("pattern", "fit"),
    [
        (r"^\d+$", "^[0-9]+$"),
        (r"^\w{3}$", "^[0-9A-Z_a-z]{3}$"),
        (r"^a\sb$", "^a b$"),
        (r"^[\w.-]+$", "^[.0-9A-Z_a-z-]+$"),
        (r"^(?:ab)+$", "^(ab)+$"),
        (r"^a+?$", "^[a]+$"),
        (r"^a\.+$", "^a[.]+$"),
        (r"^[A-Z]{3}-[0-9]{2}$", r"^[A-Z]{3}-[0-9]{2}$"),
        (r"^(ab|cd)$", r"^(ab|cd)$"),
        (r"(^a$|^b$)", r"^(a|b)$"),
        # No equal in the grammar
        (r"^(?=a)a$", None),
        (r"^(?!a)b$", None),
        (r"^\p{L}+$", None),
        (r"\bword\b", None),
        (r"(?i)yes", None),
        (r"^(a)\1$", None),
        (r'^"$', None),
        (r"^[a-z]{1,2000}$", None),
        ("[", None),
        ("(" * 10_000, None),
        (5, None),
    ],
)
def test_a_pattern_becomes_what_the_grammar_reads(pattern: object, fit: str | None) -> None:
    """What means the same is written out; what has no equal is None."""
    assert fit_pattern(pattern) == fit


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("b+", ["b", "abc", "bb"]),
        ("^b+", ["b", "bbc"]),
        ("b+$", ["b", "ab"]),
        ("^a|b$", ["a", "ax", "xb"]),
    ],
)
def test_unanchored_patterns_allow_text_around_them(pattern: str, texts: list[str]) -> None:
    """JSON schema's patterns search; the grammar's match the whole."""
    fit = fit_pattern(pattern)
    assert fit is not None
    assert all(re.search(fit, text) for text in texts)
    assert not re.search(fit, "c")


@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from([p for p in PATTERNS if fit_pattern(p) is not None]))
def test_every_text_of_the_rewritten_pattern_fits_the_original(
    data: st.DataObject, pattern: str
) -> None:
    """The grammar lets nothing through that the schema would refuse, and only JSON."""
    fit = fit_pattern(pattern)
    assert fit is not None
    assert _READABLE.fullmatch(fit)
    text = data.draw(st.from_regex(fit, fullmatch=True))
    assert re.search(pattern, text)
    assert json.loads(f'"{text}"') == text
