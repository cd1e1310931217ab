"""How each server says that a prompt does not fit: its words, and the counts in them.

One table recognises the refusal and finds its counts. Sources are the servers' code, or reports
with their date; "OpenAI's words" are those that most gateways repeat.
"""

import re
from collections.abc import Mapping
from typing import Any

_ROWS = (
    # How most servers say it, in one form or another: llama.cpp (wire reference 7.3), and so Ollama
    # and LocalAI (open-notebook #470, 2026-01-25), vLLM (#525, 2023-08-02; #12600, 2025-01-31; of
    # 2026, for chats that name no max_tokens), SGLang (#8096, 2025-07-16; QwenLM/Qwen3 #1321,
    # 2025-04-29), TabbyAPI, LMDeploy, TensorRT-LLM, Poolside (pi #4943, 2026-05-24), Copilot
    r"\b(?:prompts?|inputs?|requests?)(?: token)?(?: length| count| tokens)?(?: of)? "
    r"\(?(?:(?:total )?length )?<P>(?: tokens)?\)?[^.\n]{0,30}? "
    r"(?:exceeds?|(?:is )?(?:longer|larger|greater) than|is too (?:long|large))[^\n]{0,80}?\D<N>",
    # Anthropic (continue #6080, 2025-06-11), Fireworks, Ollama's cloud, oMLX
    r"\bprompt (?:is )?too long: ?<P>[^.\n\d]{1,60}<N>",
    r"exceed_context_size_error|exceeds the available context size",
    r"too large to process\. increase the physical batch size",  # llama.cpp's embeddings
    # Ollama's embeddings and its cloud; llama.cpp while it writes, and so LM Studio
    r"longer than the context length|exceeded (?:max |maximum )?context (?:size|length)",
    r"context (?:window|size|length) (?:has been |was )?exceeded|context window exceeds",
    # llama.cpp's heir ds4 (antirez/ds4 #150, 2026-05-14)
    r"tokens \(<P>\) exceeds context size \(<N>\)",
    # llama-cpp-python (doc-comments-ai #54, 2025-01-14), Xinference
    r"tokens \(<P>\) exceed context window of <N>",
    r"exceed context window of",
    # gpt4all, in older LocalAIs (gpt4all #664, 2023-07-09); LM Studio's engine
    r"\bprompt (?:is|has) ?<P> ?tokens,? (?:and|but) the context window is ?<N>",
    # SGLang (#4048, 2025-06-20; opencode #25230, 2026-05-01)
    r"maximum context length of <N> tokens.{0,200}?: <P> tokens from the input",
    r"max_(?:completion_)?tokens must be at least 1, got -\d{1,15}",
    # OpenAI's words, and vLLM's (vllm #20409, 2025-07-03; vllm #33425, 2026-01-30; pi #5929,
    # 2026-06-21), OpenRouter's (openclaw #85921, 2026-05-23), xAI's
    r"maximum context length is <N> tokens.{0,300}?"
    r"(?:prompt contains (?:at least )?|\()<P> "
    r"(?:input|in (?:the|your)|of text input, \d{1,15} in) ",
    r"maximum context length is <N> tokens\D{1,300}(?:requested|has|contains|resulted in) <P>"
    r"(?! (?:output|characters))",
    r"maximum (?:context|prompt) length is <N>(?:\D{1,60} contains <P> tokens)?",
    r"passed <P> input tokens.{0,300}?context length is only <N>",
    r"maximum context length is|maximum model length|context length is only",
    # LM Studio (bug tracker #546, 2025-03-24; opencode #11141, 2026-01-29; openclaude #353,
    # 2026-04-04; bug tracker #2205, 2026-07-25)
    r"keep the first <P> tokens.{0,200}?with context length of only <N>",
    r"with context length of only <N>",
    r"n_keep \(<P>\) >= n_ctx \(<N>\)",
    r"n_keep: <P> ?>= ?n_ctx: <N>",
    r"tokens to keep from the initial prompt is greater than the context length",
    r"reached context length of <N> tokens",
    # Text Embeddings Inference (#356, 2024-07-26) and Text Generation Inference (chat-ui #340,
    # 2023-07-11)
    r"must have less than <N> tokens\. Given: <P>",
    r"tokens \+ `?max_new_tokens`? must be <= <N>\. Given: <P>",
    # What gateways repeat from Anthropic, Google, Mistral, Groq and Cerebras, Cohere (pydantic-ai
    # #4221, 2026-08-04), Moonshot, DashScope, GitHub, Workers AI, Voyage, Jina and Bedrock
    # (openclaw #58839, 2026-04-01); and the name that LiteLLM gives them all
    r"exceed context limit: <P> \+ \d{1,15} > <N>",
    r"input token count.{0,20}? exceeds the maximum number of tokens allowed \(?<N>",
    r"contains <P> tokens.{0,60}? too large for model with <N> maximum context",
    r"current length is <P> while limit is <N>",
    r"too many tokens: .{0,80}?cannot exceed <N> - received <P>",
    r"too many tokens: .{0,200}?limit for this model is <N>",
    r"exceeded model token limit: <N>(?: \(requested: <P>\))?",
    r"range of input length should be \[\d{1,3}, ?<N>\]",
    r"request body too large for .{1,80}? max size: <N> tokens",
    r"tokens \(<P>\) exceeded this model context window limit \(<N>\)",
    r"too many tokens .{0,40}? context window of <N>",
    r"text exceeds maximum length of <N> tokens",
    r"(?:^|[:\"'] ?)(?:the |your |multimodal )?(?:prompt|input) (?:is )?too long\b",
    r"\b(?:prompt|input) exceeds (?:the )?max(?:imum)? (?:length|input token)",
    r"tokens in request more than max tokens allowed",
    r"please reduce the length of the (?:messages|prompt|input)",
    r"maximum context limit of <N>",
    r"longer than the model's context length of <N>",
    r"ContextWindowExceededError",
    # TensorRT-LLM
    r"prompt length \(<P>(?:\.0)?\).{0,120}? exceed max_\w{1,20} \(<N>\)",
    r"max_seq_len \(<N>\) - splited_prompt_len \(<P>\)",
    r"default_max_tokens \(-\d{1,15}\) (?:must|should) be greater than 0",
    # What others may say
    r"\(<P>(?: tokens)?\).{0,40}? exceeds?.{0,60}? context.{0,30}? \(<N>(?: tokens)?\)",
    r"(?:exceeds?|exceeding|longer than|larger than|greater than) (?:the |this |its )?"
    r"(?:model'?s? |available |allowed |maximum |max ){0,3}(?:context|sequence) "
    r"(?:length|window|size|limit)",
)

CODES = frozenset(
    {
        "context_length_exceeded",
        "context_exceeded",
        "exceed_context_size_error",
        "model_max_prompt_tokens_exceeded",
        "tokens_limit_reached",
    }
)
"""The values of ``code`` or ``type`` in a refusal because of length."""

# Limits of use say "too many tokens" and "exceeds the limit" as well; a filter quotes the prompt.
_OF_USE = re.compile(
    r"\b(?:tokens?|requests?)[ -]per[ -](?:second|minute|hour|day|month)\b|\brate[ _-]limit|"
    r"\b[tr]p[md]\b",
    re.IGNORECASE,
)
_OTHER_CODES = frozenset({"content_filter", "rate_limit_exceeded"})
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def _pattern(words: str) -> re.Pattern[str]:
    """Return a pattern from a server's words, where <P> and <N> stand for prompt and context."""
    # Bounded: int() refuses thousands of digits with an error.
    for letter, name in (("<P>", "prompt"), ("<N>", "length")):
        words = words.replace(letter, rf"(?P<{name}>\d{{1,15}})(?!\d)")
    return re.compile(words, re.DOTALL | re.IGNORECASE)


_PATTERNS = tuple(_pattern(words) for words in _ROWS)


def is_overflow(text: str, codes: frozenset[str] | set[str] = frozenset()) -> bool:
    """Return whether a server refused a prompt because of its length."""
    if not _OTHER_CODES.isdisjoint(codes) or _OF_USE.search(text) is not None:
        return False
    return not CODES.isdisjoint(codes) or any(pattern.search(text) for pattern in _PATTERNS)


def overflow_counts(text: str, facts: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the prompt's tokens and the context's, each None where the server did not say."""
    prompt, length = facts.get("n_prompt_tokens"), facts.get("n_ctx")
    if _is_count(prompt) and _is_count(length):
        return prompt, length
    # The first match with the most counts: an error's bare name may precede the words with them.
    plain = _THOUSANDS.sub("", text)
    found = (match.groupdict() for p in _PATTERNS if (match := p.search(plain)))
    told = max(found, key=_told_counts, default={})
    return _number(told.get("prompt")), _number(told.get("length"))


def _told_counts(found: Mapping[str, str | None]) -> int:
    return sum(value is not None for value in found.values())


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
