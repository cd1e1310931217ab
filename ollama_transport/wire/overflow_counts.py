"""The counts that refusals for length tell, in the words of each server."""

import re
from collections.abc import Mapping
from typing import Any


def _counting(words: str) -> re.Pattern[str]:
    """Return a pattern from a server's words, where <P> and <N> stand for prompt and context."""
    # Of digits without end, Python makes no number (and no server has such a context).
    for letter, name in (("<P>", "prompt"), ("<N>", "length")):
        words = words.replace(letter, rf"(?P<{name}>\d{{1,15}})(?!\d)")
    return re.compile(words)


_COUNTS = (
    # llama.cpp, and so Ollama (wire reference 7.3)
    _counting(r"\(<P> tokens\) exceeds the available context size \(<N> tokens\)"),
    # vLLM, and what follows OpenAI's words
    _counting(
        r"maximum context length is <N> tokens.{0,300}?"
        r"(?:prompt contains (?:at least )?|\()<P> (?:input|in (?:the|your)) "
    ),
    _counting(
        r"maximum context length is <N> tokens\D{1,300}(?:requested|has|resulted in) <P>",
    ),
    _counting(r"maximum context length is <N>"),
    # newer vLLM
    _counting(r"passed <P> input tokens.{0,300}?context length is only <N>"),
    _counting(r"length <P>\) is longer than the maximum model length of <N>"),
    # llama-cpp-python
    _counting(r"tokens \(<P>\) exceed context window of <N>"),
    # LM Studio
    _counting(r"with context length of only <N>"),
    _counting(r"\(<P> tokens\) is too large to process\D{1,300}<N>"),
)


def overflow_counts(text: str, facts: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the prompt's tokens and the context's, each None where the server did not say."""
    prompt, length = facts.get("n_prompt_tokens"), facts.get("n_ctx")
    if _is_count(prompt) and _is_count(length):
        return prompt, length
    for pattern in _COUNTS:
        if match := pattern.search(text):
            found = match.groupdict()
            return _number(found.get("prompt")), _number(found.get("length"))
    return None, None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
