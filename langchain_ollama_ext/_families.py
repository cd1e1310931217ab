"""The capabilities of common model families, for a profile without a request.

Source: the models that Ollama itself tests with tools and images (ollama/ollama, integration/),
its page on thinking, and the labels of ollama.com/library; gathered in November 2026. A family is
listed with what all its tags can do; tags that can do less have their own lines. Anything not
listed is unknown, which does not mean "cannot". `ChatOllama.from_server` asks the server, which
knows the actual model.
"""

from collections.abc import Mapping
from functools import lru_cache

_T, _R, _V = "tools", "thinking", "vision"

FAMILIES: Mapping[str, frozenset[str]] = {
    "command-r": frozenset({_T}),
    "command-r-plus": frozenset({_T}),
    "command-r7b": frozenset({_T}),
    "deepseek-r1": frozenset({_R}),
    "deepseek-v3.1": frozenset({_T, _R}),
    "devstral": frozenset({_T}),
    "firefunction-v2": frozenset({_T}),
    "gemma3": frozenset({_V}),
    "gemma3:1b": frozenset(),
    "gemma3:270m": frozenset(),
    "gemma4": frozenset({_T, _R, _V}),
    "glm-4.7-flash": frozenset({_T, _R}),
    "gpt-oss": frozenset({_T, _R}),
    "granite3.3": frozenset({_T}),
    "granite4": frozenset({_T}),
    "granite4.1": frozenset({_T}),
    "hermes3": frozenset({_T}),
    "lfm2.5": frozenset({_T}),
    "llama3-groq-tool-use": frozenset({_T}),
    "llama3.1": frozenset({_T}),
    "llama3.2": frozenset({_T}),
    "llama3.2-vision": frozenset({_V}),
    "llama3.3": frozenset({_T}),
    "llama4": frozenset({_T, _V}),
    "llava": frozenset({_V}),
    "llava-llama3": frozenset({_V}),
    "llava-phi3": frozenset({_V}),
    "magistral": frozenset({_T, _R}),
    "minicpm-v": frozenset({_V}),
    "ministral-3": frozenset({_T, _V}),
    "mistral": frozenset({_T}),
    "mistral-large": frozenset({_T}),
    "mistral-nemo": frozenset({_T}),
    "mistral-small": frozenset({_T}),
    "mistral-small3.1": frozenset({_T, _V}),
    "mistral-small3.2": frozenset({_T, _V}),
    "mixtral": frozenset({_T}),
    "moondream": frozenset({_V}),
    "nemotron-mini": frozenset({_T}),
    "nemotron3": frozenset({_T, _V}),
    "phi4-mini": frozenset({_T}),
    "qwen2": frozenset({_T}),
    "qwen2.5": frozenset({_T}),
    "qwen2.5-coder": frozenset({_T}),
    "qwen2.5vl": frozenset({_V}),
    "qwen3": frozenset({_T, _R}),
    # The 2507 tags that do not think have "instruct" in their names.
    "qwen3:4b-instruct": frozenset({_T}),
    "qwen3:30b-a3b-instruct": frozenset({_T}),
    "qwen3:235b-a22b-instruct": frozenset({_T}),
    "qwen3:30b-instruct": frozenset({_T}),
    "qwen3:235b-instruct": frozenset({_T}),
    "qwen3-coder": frozenset({_T}),
    "qwen3-vl": frozenset({_T, _V}),
    "qwen3.5": frozenset({_T, _V}),
    "qwen3.6": frozenset({_T, _V}),
    "qwq": frozenset({_T}),
    "smollm2": frozenset({_T}),
}
"""The capabilities of a family by its name in the library, or by name and tag if those differ."""

_LIBRARY = ("", "library", "registry.ollama.ai/library")


@lru_cache(maxsize=256)
def family_can(model: str) -> frozenset[str]:
    """Return the known capabilities of a model ("tools", "thinking", "vision"); empty if unknown.

    A model outside the library's namespace is unknown, whatever its name.
    """
    place, _, name = model.lower().rpartition("/")
    if place not in _LIBRARY:
        return frozenset()
    family, _, tag = name.partition(":")
    for known, capabilities in FAMILIES.items():
        of, _, prefix = known.partition(":")
        if prefix and of == family and tag.startswith(prefix):
            return capabilities
    return FAMILIES.get(family, frozenset())
