"""What an answer cost: tokens, and time in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NS_PER_S = 1e9
MAX_COUNT = 2**63 - 1
"""No server counts further (wire reference 1.17): a larger number is unknown."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens and the time of one answer; None is unknown, which is not 0.

    Durations are in seconds. ``prompt_tokens`` includes the cached ones, while
    ``prompt_duration_s`` covers only those that were not (wire reference 3.2).
    ``estimated`` is True when the server sent no counts and they are an estimate.

    ```python
    from ollama_transport import Client

    with Client() as client:
        usage = client.chat(model="llama3.2", messages=[{"role": "user", "content": "Hello"}]).usage
    print(usage.prompt_tokens, usage.completion_tokens)
    ```
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_prompt_tokens: int | None = None
    reasoning_tokens: int | None = None
    total_duration_s: float | None = None
    load_duration_s: float | None = None
    prompt_duration_s: float | None = None
    completion_duration_s: float | None = None
    estimated: bool = False

    @property
    def total_tokens(self) -> int | None:
        """Return prompt plus completion tokens, unknown ones as 0; None if both are unknown."""
        known = [n for n in (self.prompt_tokens, self.completion_tokens) if n is not None]
        return sum(known) if known else None

    @property
    def tokens_per_second(self) -> float | None:
        """Return completion tokens per second of generation; None when either is unknown."""
        if self.completion_tokens is None or not self.completion_duration_s:
            return None
        return self.completion_tokens / self.completion_duration_s

    def as_openai(self) -> dict[str, int]:
        """Return the known counts as ``prompt_tokens``, ``completion_tokens``, ``total_tokens``."""
        counts = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
        }
        return {name: count for name, count in counts.items() if count is not None}

    @classmethod
    def from_native(cls, raw: Mapping[str, Any]) -> "Usage | None":
        """Read the metrics of a native answer's last line; None when it has none of them.

        A count that the server left out is unknown: it omits zeros, and older servers omit
        ``prompt_eval_count`` when the whole prompt was cached. Newer ones than the wire reference
        describes send ``prompt_eval_cached_count``, a part of it.
        """
        usage = cls(
            prompt_tokens=_count(raw, "prompt_eval_count"),
            # For a rendered model that thinks and has a `format`: of the last pass only (3.6).
            completion_tokens=_count(raw, "eval_count"),
            cached_prompt_tokens=_count(raw, "prompt_eval_cached_count"),
            total_duration_s=_seconds(raw, "total_duration"),
            load_duration_s=_seconds(raw, "load_duration"),
            prompt_duration_s=_seconds(raw, "prompt_eval_duration"),
            completion_duration_s=_seconds(raw, "eval_duration"),
        )
        return None if usage == cls() else usage

    @classmethod
    def from_openai(cls, raw: Mapping[str, Any]) -> "Usage | None":
        """Read the ``usage`` object of an OpenAI-compatible answer; None when it is empty."""
        usage = cls(
            prompt_tokens=_count(raw, "prompt_tokens"),
            completion_tokens=_count(raw, "completion_tokens"),
            cached_prompt_tokens=_count(_part(raw, "prompt_tokens_details"), "cached_tokens"),
            reasoning_tokens=_count(_part(raw, "completion_tokens_details"), "reasoning_tokens"),
        )
        return None if usage == cls() else usage


def _count(raw: Mapping[str, Any], key: str) -> int | None:
    value = raw.get(key)
    # bool is a subclass of int; Go's counts have 64 bits, so anything larger is not a count.
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > MAX_COUNT:
        return None
    return value


def _seconds(raw: Mapping[str, Any], key: str) -> float | None:
    value = _count(raw, key)
    # Nanoseconds (wire reference 1.17).
    return None if value is None else value / _NS_PER_S


def _part(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}
