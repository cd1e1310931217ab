"""Refusals for length in the shapes that servers send: status, body, and the counts in them."""

import json
from typing import Any, NamedTuple


class Refusal(NamedTuple):
    """One refusal: which server, its status and body, the prompt's tokens and the context's."""

    server: str
    status: int
    body: Any
    prompt: int | None
    length: int | None

    @property
    def data(self) -> bytes:
        return json.dumps(self.body).encode()


def _openai(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "BadRequestError", "code": 400, **more}}


_LM_STUDIO = "Try to load the model with a larger context length, or provide a shorter input"

REFUSALS = [
    Refusal(
        "llama.cpp",
        400,
        _openai(
            "request (44593 tokens) exceeds the available context size (4096 tokens), try "
            "increasing it",
            type="exceed_context_size_error",
            n_prompt_tokens=44593,
            n_ctx=4096,
        ),
        44593,
        4096,
    ),
    Refusal(
        "LocalAI",
        500,
        _openai(
            "rpc error: code = Internal desc = request (20652 tokens) exceeds the available "
            "context size (8192 tokens), try increasing it"
        ),
        20652,
        8192,
    ),
    Refusal(
        "ds4",
        400,
        {
            "error": {
                "message": "Prompt tokens (70) exceeds context size (64)",
                "type": "context_exceeded",
            }
        },
        70,
        64,
    ),
    Refusal(
        "llama-cpp-python",
        400,
        _openai("Requested tokens (590) exceed context window of 512"),
        590,
        512,
    ),
    Refusal(
        "vLLM newer",
        400,
        _openai("Input length (11680) exceeds model's maximum context length (4096)."),
        11680,
        4096,
    ),
    Refusal(
        "vLLM without room", 400, _openai("max_tokens must be at least 1, got -186."), None, None
    ),
    Refusal(
        "vLLM 0.15",
        400,
        _openai(
            "This model's maximum context length is 2048 tokens. However, your request has 3000 "
            "input tokens. Please reduce the length of the input messages. "
            "(parameter=input_tokens, value=3000)"
        ),
        3000,
        2048,
    ),
    Refusal(
        "vLLM 0.9",
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 16384 tokens. However, you "
            "requested 122946 tokens (112946 in the messages, 10000 in the completion). Please "
            "reduce the length of the messages or completion.",
            "code": 400,
        },
        112946,
        16384,
    ),
    Refusal(
        "vLLM V1",
        400,
        _openai(
            "The decoder prompt (length 5000) is longer than the maximum model length of 4096. "
            "Make sure that `max_model_len` is no smaller than the number of text tokens."
        ),
        5000,
        4096,
    ),
    Refusal(
        "SGLang",
        400,
        {
            "object": "error",
            "message": "The input (61709 tokens) is longer than the model's context length (40960 "
            "tokens).",
            "type": "BadRequestError",
            "code": 400,
        },
        61709,
        40960,
    ),
    Refusal(
        "SGLang's memory",
        400,
        _openai(
            "Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens). Use a "
            "shorter input or enable --allow-auto-truncate."
        ),
        160062,
        59862,
    ),
    Refusal(
        "SGLang with an answer",
        400,
        _openai(
            "Requested token count exceeds the model's maximum context length of 32768 tokens. You "
            "requested a total of 36000 tokens: 34000 tokens from the input messages and 2000 "
            "tokens for the completion."
        ),
        34000,
        32768,
    ),
    Refusal(
        "LM Studio 0.3",
        400,
        {
            "error": "Trying to keep the first 15857 tokens when context the overflows. However, "
            "the model is loaded with context length of only 4096 tokens, which is not enough. "
            + _LM_STUDIO
        },
        15857,
        4096,
    ),
    Refusal(
        "LM Studio 0.4",
        400,
        {
            "error": "The number of tokens to keep from the initial prompt is greater than the "
            f"context length (n_keep: 13055>= n_ctx: 4096). {_LM_STUDIO}."
        },
        13055,
        4096,
    ),
    Refusal(
        "LM Studio without counts",
        400,
        {
            "error": "The number of tokens to keep from the initial prompt is greater than the "
            f"context length. {_LM_STUDIO}"
        },
        None,
        None,
    ),
    Refusal(
        "LM Studio's engine",
        400,
        {"error": "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)"},
        15028,
        7424,
    ),
    Refusal(
        "TGI",
        422,
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 1512. "
            "Given: 1000 `inputs` tokens and 1024 `max_new_tokens`",
            "error_type": "validation",
        },
        1000,
        1512,
    ),
    Refusal(
        "LiteLLM",
        400,
        _openai(
            "litellm.BadRequestError: litellm.ContextWindowExceededError: OpenAIException - This "
            "model's maximum context length is 4096 tokens. However, you requested 5000 tokens "
            "(4800 in the messages, 200 in the completion)."
        ),
        4800,
        4096,
    ),
    Refusal(
        "OpenRouter",
        400,
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {
                    "raw": json.dumps(
                        _openai(
                            "This model's maximum context length is 262144 tokens. However, your "
                            "messages resulted in 262897 tokens."
                        )
                    ),
                    "provider_name": "P",
                },
            }
        },
        262897,
        262144,
    ),
    Refusal(
        "Cerebras",
        400,
        {
            "message": "Please reduce the length of the messages or completion. Current length is "
            "41232 while limit is 32768",
            "code": "context_length_exceeded",
        },
        41232,
        32768,
    ),
    Refusal(
        "LM Studio while it writes", 400, {"error": "Context size has been exceeded."}, None, None
    ),
    Refusal(
        "LiteLLM before Anthropic",
        400,
        _openai("litellm.BadRequestError: prompt is too long: 208310 tokens > 200000 maximum"),
        208310,
        200000,
    ),
    Refusal(
        "TensorRT-LLM",
        400,
        _openai(
            "The sum of prompt length (9000.0), query length (0) should not exceed max_num_tokens "
            "(8192)"
        ),
        9000,
        8192,
    ),
    Refusal(
        "another",
        400,
        _openai("The prompt exceeds the model's maximum context window."),
        None,
        None,
    ),
]

TEXT_TOO_LONG = Refusal(
    "TEI",
    413,
    {
        "message": "Input validation error: `inputs` must have less than 512 tokens. Given: 534",
        "type": "Validation",
    },
    534,
    512,
)
