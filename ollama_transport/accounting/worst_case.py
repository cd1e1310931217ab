"""The maximum number of tokens that a call can use, which a budget reserves."""

from collections.abc import Mapping
from typing import Any

from ollama_transport.errors import ConfigError
from ollama_transport.wire.calls.call import Call

_MARKS = 2
"""Tokens that an embedding model adds at the start and the end of a text."""
_LEAST_CONTEXT, _LEAST_CONTEXT_VISION = 4, 2048
"""Minimum num_ctx; the server raises smaller values (wire reference 3.8)."""

WorstCase = tuple[int, int]
"""Tokens of the prompt and of the answer."""


def worst_case(call: Call[Any], context_length: int | None = None) -> WorstCase:
    """Return the most tokens that the prompt and the answer of a call can have.

    A prompt is more than its text: the server adds the template, the model's own system message
    and the tools, and images count as tokens. All of it must fit into the context, so the context
    length is the upper bound. ``context_length`` is that length, in tokens, for calls without
    ``num_ctx``; None means unknown. A text to embed has no template, and at most as many tokens as
    bytes.

    Raises:
        ConfigError: for a call whose prompt or answer has no upper bound.
    """
    body: Mapping[str, Any] = call.body if call.body is not None else {}
    given = body.get("options")
    options: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    context = _context(body, options, context_length)
    if call.capability == "embedding":
        return _embedding(body, context), 0
    if context is None:
        raise ConfigError(
            "a budget with reserve=True reserves the longest possible prompt: set num_ctx, or "
            "context_length of the budget if the server does not accept num_ctx."
        )
    # Each wire has its own name for the limit.
    limits = (body.get("max_completion_tokens"), body.get("max_tokens"), options.get("num_predict"))
    limit = next((value for value in limits if value is not None), None)
    # 0 means no limit for a chat (wire reference 14).
    if not isinstance(limit, int) or limit < 1:
        raise ConfigError(
            "a budget with reserve=True reserves the longest possible answer: set num_predict to "
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
    """Return how many answers an OpenAI-compatible server generates for ``best_of``."""
    asked = body.get("best_of")
    return max(1, asked) if isinstance(asked, int) else 1


def _embedding(body: Mapping[str, Any], context: int | None) -> int:
    given = body.get("input", body.get("prompt"))
    texts = given if isinstance(given, list) else [given]
    bounds = [len(str(text).encode("utf-8", "replace")) + _MARKS for text in texts]
    return sum(bound if context is None else min(bound, context) for bound in bounds)
