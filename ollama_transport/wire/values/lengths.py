"""Read the context length of models from the lists of OpenAI-compatible servers."""

from collections.abc import Mapping
from typing import Any

# What a model runs with goes before what it could run with.
_NAMES = (
    "loaded_context_length",  # LM Studio
    "max_model_len",  # vLLM, SGLang
    "context_length",  # OpenRouter, Together
    "context_window",  # Groq
    "max_context_length",  # Mistral, LM Studio
)
_META_NAMES = ("n_ctx", "n_ctx_train")  # llama.cpp


def listed_length(raw: Mapping[str, Any]) -> int | None:
    """Return the context of an entry of ``/v1/models``, in tokens; None if it has none.

    What a model was started with, or else what it was trained for.
    """
    meta = raw.get("meta")
    found = [raw.get(name) for name in _NAMES]
    if isinstance(meta, Mapping):
        found += [meta.get(name) for name in _META_NAMES]
    return next((length for length in found if _is_length(length)), None)


def _is_length(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
