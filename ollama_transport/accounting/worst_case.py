"""The most tokens that a call can cost: what a budget holds for it."""

from collections.abc import Mapping
from typing import Any

from ollama_transport.errors import ConfigError
from ollama_transport.wire.calls import Call

_MARKS = 2
"""Tokens that an embedding model puts at the start and the end of a text."""
_LEAST_CONTEXT, _LEAST_CONTEXT_VISION = 4, 2048
"""The server raises a smaller num_ctx to these (wire reference 3.8)."""

WorstCase = tuple[int, int]
"""Tokens of the prompt, and of the answer."""


def worst_case(call: Call[Any], context_length: int | None = None) -> WorstCase:
    """Return the most tokens that the prompt and the answer of a call can have.

    A prompt is more than its text: the template, the model's own system message and its tools are
    added by the server, and images count as tokens. All of that stands in the context together, so
    the context's length is what bounds it. ``context_length`` is that length, in tokens, for calls
    that set no ``num_ctx``; None is unknown. A text to embed has no template, and no more tokens
    than bytes.

    Raises:
        ConfigError: for a call whose prompt or whose answer nothing bounds.
    """
    body: Mapping[str, Any] = call.body if call.body is not None else {}
    given = body.get("options")
    options: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    context = _context(body, options, context_length)
    if call.capability == "embedding":
        return _embedding(body, context), 0
    if context is None:
        raise ConfigError(
            "a budget with reserve=True holds the longest prompt that the server can read: set "
            "num_ctx, or context_length of the budget where the server takes no num_ctx."
        )
    limits = (body.get("max_completion_tokens"), body.get("max_tokens"), options.get("num_predict"))
    limit = next((value for value in limits if value is not None), None)
    # 0 means no limit for a chat (wire reference 14).
    if not isinstance(limit, int) or limit < 1:
        raise ConfigError(
            "a budget with reserve=True holds the longest answer of each call: set num_predict to "
            "1 or more."
        )
    return context, limit * _answers(body)


def _context(
    body: Mapping[str, Any], options: Mapping[str, Any], context_length: int | None
) -> int | None:
    asked = options.get("num_ctx")
    if not isinstance(asked, int):
        return context_length
    return max(asked, _LEAST_CONTEXT_VISION if _has_images(body) else _LEAST_CONTEXT)


def _has_images(body: Mapping[str, Any]) -> bool:
    messages = body.get("messages")
    parts = [body, *(messages if isinstance(messages, list) else [])]
    return any(isinstance(part, Mapping) and part.get("images") for part in parts)


def _answers(body: Mapping[str, Any]) -> int:
    """Return how many answers some servers of the OpenAI kind make, to keep the best."""
    asked = body.get("best_of")
    return max(1, asked) if isinstance(asked, int) else 1


def _embedding(body: Mapping[str, Any], context: int | None) -> int:
    given = body.get("input", body.get("prompt"))
    texts = given if isinstance(given, list) else [given]
    bounds = [len(str(text).encode("utf-8", "replace")) + _MARKS for text in texts]
    return sum(bound if context is None else min(bound, context) for bound in bounds)
