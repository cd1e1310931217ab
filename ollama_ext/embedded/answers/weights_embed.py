"""Vectors of a model with weights (wire reference 5.1)."""

from collections.abc import Sequence
from typing import Any

from ollama_ext.embedded.llama.process import Runner
from ollama_ext.embedded.protocol.failures import TOO_LONG, WireError

# Small, so that a client that has disconnected does not keep the model busy for long.
_BATCH = 32


async def embed_weights(
    runner: Runner, texts: Sequence[str], *, truncate: bool
) -> tuple[list[list[float]], int]:
    """Return the unit vectors of texts, in order, and the number of their tokens."""
    vectors: list[list[float]] = []
    count = 0
    for start in range(0, len(texts), _BATCH):
        inputs: list[Any] = [
            await _fitting(runner, text, truncate=truncate)
            for text in texts[start : start + _BATCH]
        ]
        answer = await runner.ask("/v1/embeddings", {"input": inputs})
        found = sorted(answer["data"], key=lambda item: item["index"])
        vectors += [item["embedding"] for item in found]
        count += answer["usage"]["prompt_tokens"]
    return vectors, count


async def _fitting(runner: Runner, text: str, *, truncate: bool) -> str | list[int]:
    limit = runner.settings.num_ctx
    # A token is at least one byte, and few models add more than two to a text.
    if len(text.encode("utf-8", "replace")) + 2 <= limit:
        return text
    tokens = await runner.tokenize(text)
    if len(tokens) <= limit:
        return tokens
    if not truncate:
        raise WireError(400, TOO_LONG)
    # The last one closes a text in models that have such a token, and is a token in the others.
    return [*tokens[: limit - 1], tokens[-1]]
