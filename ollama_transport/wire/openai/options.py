"""Which options OpenAI-compatible servers read, and under which names."""

from collections.abc import Mapping
from typing import Any

from ollama_transport.errors import UnsupportedOptionError
from ollama_transport.settings.options import Think
from ollama_transport.wire.values.requests import UnsupportedOptions

WIRE_NAMES: Mapping[str, tuple[str, ...]] = {
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "seed": ("seed",),
    "stop": ("stop",),
    "presence_penalty": ("presence_penalty",),
    "frequency_penalty": ("frequency_penalty",),
    # max_completion_tokens is newer, but Ollama's /v1 does not read it (wire reference 10.1).
    "num_predict": ("max_tokens",),
    "top_k": ("top_k",),
    "min_p": ("min_p",),
    # llama.cpp, LM Studio and LocalAI read the first name, vLLM the second.
    "repeat_penalty": ("repeat_penalty", "repetition_penalty"),
}
"""The names of an option on the wire; top_k, min_p and repeat_penalty are extensions.

Those are sent because vLLM and llama.cpp both read them; Ollama's own ``/v1`` and other servers
that do not know them ignore them.
"""

_ELSEWHERE = {
    "num_ctx": "The context is set where the server is started (vLLM: --max-model-len)",
    "keep_alive": "Such a server keeps its model loaded",
    "system": "Chat instead, with a system message",
    "template": "Write the whole prompt yourself",
    "context": "Chat instead, with the earlier messages",
    "images": "Chat instead, with the images in a message",
    "format": "Chat instead, or send the server's own field in `extra_body`",
    "think": "Chat instead",
}


def write_options(options: Mapping[str, Any], policy: UnsupportedOptions) -> dict[str, Any]:
    """Return sampling options under their names on the wire; None values are left out.

    A negative num_predict means no limit, which is the default of a chat without ``max_tokens``.

    Raises:
        UnsupportedOptionError: for an option that /v1 does not have, unless the policy is "drop".
    """
    unknown = {name: value for name, value in options.items() if name not in WIRE_NAMES}
    refuse(unknown, policy)
    return {
        wire_name: value
        for name, value in options.items()
        for wire_name in WIRE_NAMES.get(name, ())
        if value is not None and not (name == "num_predict" and value < 0)
    }


def refuse(given: Mapping[str, Any], policy: UnsupportedOptions) -> None:
    """Refuse options that this wire does not have; None means that an option is not set.

    Raises:
        UnsupportedOptionError: for the first that is set, unless the policy is "drop".
    """
    for name, value in given.items():
        if value is not None and policy == "error":
            raise UnsupportedOptionError(_message(name), option=name)


def _message(name: str) -> str:
    own = "If the server has its own field for it, send that in `extra_body` (a request: `extra`)"
    where = _ELSEWHERE.get(name, own)
    return (
        f"OpenAI-compatible servers (/v1) do not take {name!r}. {where}; or leave it out, use "
        "Ollama's native wire (a base URL without /v1), or set unsupported_options='drop'."
    )


def reasoning_effort(think: Think | None) -> str | None:
    """Return ``reasoning_effort``: True is "medium", False is "none", levels stay unchanged.

    Servers that can only switch reasoning on and off in the chat template (vLLM, llama.cpp) take
    ``extra={"chat_template_kwargs": {"enable_thinking": False}}`` instead.
    """
    if isinstance(think, bool):
        # /v1 has levels only, none of which means "on" (wire reference 10.1).
        return "medium" if think else "none"
    return think
