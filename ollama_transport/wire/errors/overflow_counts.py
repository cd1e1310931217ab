"""How each server says that a prompt does not fit: its words, and the counts in them.

One table recognises the refusal and finds its counts. Sources are the servers' code, or reports
with their date; "OpenAI's words" are those that most gateways repeat.
"""

import re
from collections.abc import Mapping
from typing import Any

_ROWS = (
    # llama.cpp, and so Ollama (wire reference 7.3) and LocalAI (open-notebook #470, 2026-01-25)
    r"\(<P> tokens\) exceeds (?:the available )?context size \(<N> tokens\)",
    r"exceed_context_size_error|exceeds the available context size",
    r"\(<P> tokens\) is too large to process\D{1,300}<N>",  # its embeddings
    r"too large to process\. increase the physical batch size",
    r"longer than the context length",  # Ollama's embeddings
    # llama.cpp's heir ds4 (antirez/ds4 #150, 2026-05-14)
    r"tokens \(<P>\) exceeds context size \(<N>\)",
    # llama-cpp-python (doc-comments-ai #54, 2025-01-14)
    r"tokens \(<P>\) exceed context window of <N>",
    r"exceed context window of",
    # gpt4all, in older LocalAIs (gpt4all #664, 2023-07-09)
    r"prompt is ?<P> ?tokens and the context window is ?<N>",
    # SGLang (QwenLM/Qwen3 #1321, 2025-04-29; sglang #8096, 2025-07-16; sglang #4048, 2025-06-20)
    r"\(<P> tokens\) is longer than the model's context length \(<N> tokens\)",
    r"[Ii]nput length \(<P> tokens\) exceeds the maximum allowed length \(<N> tokens\)",
    r"maximum context length of <N> tokens.{0,200}?: <P> tokens from the input",
    # vLLM of 2026, for chats that name no max_tokens
    r"[Ii]nput length \(<P>\) exceeds (?:the )?model's maximum context length \(<N>\)",
    r"max_(?:completion_)?tokens must be at least 1, got -\d{1,15}",
    # OpenAI's words, and vLLM's (vllm #20409, 2025-07-03; vllm #33425, 2026-01-30)
    r"maximum context length is <N> tokens.{0,300}?"
    r"(?:prompt contains (?:at least )?|\()<P> (?:input|in (?:the|your)) ",
    r"maximum context length is <N> tokens\D{1,300}(?:requested|has|resulted in) <P>",
    r"maximum context length is <N>",
    r"passed <P> input tokens.{0,300}?context length is only <N>",
    r"length <P>\) is longer than the maximum model length of <N>",
    r"maximum context length is|maximum model length|context length is only",
    r"prompt \(<P> tokens\) is too long and exceeds limit of <N>",  # vllm #525, 2023-08-02
    # LM Studio (bug tracker #546, 2025-03-24; opencode #11141, 2026-01-29; openclaude #353,
    # 2026-04-04; bug tracker #2205, 2026-07-25)
    r"keep the first <P> tokens.{0,200}?with context length of only <N>",
    r"with context length of only <N>",
    r"n_keep \(<P>\) >= n_ctx \(<N>\)",
    r"n_keep: <P> ?>= ?n_ctx: <N>",
    r"tokens to keep from the initial prompt is greater than the context length",
    r"[Rr]eached context length of <N> tokens",
    # Text Embeddings Inference (#356, 2024-07-26) and Text Generation Inference (chat-ui #340,
    # 2023-07-11)
    r"must have less than <N> tokens\. Given: <P>",
    r"tokens \+ `?max_new_tokens`? must be <= <N>\. Given: <P>",
    # What LiteLLM repeats from Anthropic (continue #6080, 2025-06-11), Google and Mistral, and the
    # name that it gives them all (its test of exception_mapping_utils, read 2026-11-28)
    r"exceed context limit: <P> \+ \d{1,15} > <N>",
    r"prompt is too long: <P> tokens > <N>",
    r"input token count \(?<P>\)? exceeds the maximum number of tokens allowed \(<N>\)",
    r"contains <P> tokens.{0,60}? too large for model with <N> maximum context",
    r"maximum context limit of <N>",
    r"longer than the model's context length of <N>",
    r"ContextWindowExceededError",
    # TensorRT-LLM
    r"prompt length \(<P>(?:\.0)?\).{0,120}? exceed max_\w{1,20} \(<N>\)",
    r"default_max_tokens \(-\d{1,15}\) must be greater than 0",
    # What others may say
    r"\(<P>(?: tokens)?\).{0,40}? exceeds?.{0,60}? context.{0,30}? \(<N>(?: tokens)?\)",
    r"(?:exceeds?|exceeding|longer than|larger than|greater than) (?:the |this |its )?"
    r"(?:model'?s? |available |allowed |maximum |max ){0,3}(?:context|sequence) "
    r"(?:length|window|size|limit)",
    r"\b(?:prompt|input) is too long\b",
)

CODES = frozenset({"context_length_exceeded", "context_exceeded", "exceed_context_size_error"})
"""The values of ``code`` or ``type`` in a refusal because of length."""


def _pattern(words: str) -> re.Pattern[str]:
    """Return a pattern from a server's words, where <P> and <N> stand for prompt and context."""
    # Bounded: int() refuses thousands of digits with an error.
    for letter, name in (("<P>", "prompt"), ("<N>", "length")):
        words = words.replace(letter, rf"(?P<{name}>\d{{1,15}})(?!\d)")
    return re.compile(words, re.DOTALL)


_PATTERNS = tuple(_pattern(words) for words in _ROWS)


def is_overflow(text: str, codes: frozenset[str] | set[str] = frozenset()) -> bool:
    """Return whether a server refused a prompt because of its length."""
    return not CODES.isdisjoint(codes) or any(pattern.search(text) for pattern in _PATTERNS)


def overflow_counts(text: str, facts: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the prompt's tokens and the context's, each None where the server did not say."""
    prompt, length = facts.get("n_prompt_tokens"), facts.get("n_ctx")
    if _is_count(prompt) and _is_count(length):
        return prompt, length
    # The first match with the most counts: an error's bare name may precede the words with them.
    found = (match.groupdict() for p in _PATTERNS if (match := p.search(text)))
    told = max(found, key=len, default={})
    return _number(told.get("prompt")), _number(told.get("length"))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
