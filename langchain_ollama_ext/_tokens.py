"""How many tokens a text or a conversation has: by a rule of thumb, or as the server counts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ollama_transport import (
    ChatLine,
    ChatRequest,
    ContextOverflowError,
    GenerateLine,
    GenerateRequest,
    ProtocolError,
)

_CHARACTERS_PER_TOKEN = 4.0  # langchain-core's own rule of thumb

R = TypeVar("R", ChatRequest, GenerateRequest)
Line = TypeVar("Line", ChatLine, GenerateLine)


def approximate_text(text: str) -> int:
    """Return about how many tokens a text has."""
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def approximate_messages(messages: Sequence[Any], tools: Sequence[Any] | None) -> int:
    """Return about how many tokens messages have, and the schemas of tools with them."""
    from langchain_core.messages.utils import count_tokens_approximately

    return count_tokens_approximately(messages, tools=list(tools) if tools else None)


def counting(request: R) -> R:
    """Return a request that has the server read the prompt and generate one token.

    With 0 tokens the server would generate a whole answer (wire reference 14).
    """
    options = {**request.options, "num_predict": 1}
    return replace(
        request, options=options, format=None, truncate=None, on_context_overflow="error"
    )


def count(send: Callable[[R], Line], request: R) -> int:
    """Return how many tokens a prompt has, by sending it; a prompt may exceed the context.

    Raises:
        ProtocolError: when the server does not count.
        OllamaError: and its kinds, when the request fails.
    """
    try:
        usage = send(counting(request)).usage
    except ContextOverflowError as error:
        if error.prompt_tokens is None:
            raise
        return error.prompt_tokens
    if usage is None or usage.prompt_tokens is None:
        raise ProtocolError(
            "the server did not say how many tokens the prompt has: use "
            'token_counter="approximate".'
        )
    return usage.prompt_tokens
