"""What an OpenAI-compatible server reads of the options, and under which names."""

from collections.abc import Mapping
from typing import Any

from ollama_transport.errors import UnsupportedOptionError
from ollama_transport.settings.options import Think
from ollama_transport.wire.requests import UnsupportedOptions

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
    # The first is what llama.cpp, LM Studio and LocalAI read, the second what vLLM reads.
    "repeat_penalty": ("repeat_penalty", "repetition_penalty"),
}
"""The names of an option on the wire; top_k, min_p and repeat_penalty are extensions.

Those are carried because vLLM and llama.cpp both read them; Ollama's own ``/v1`` and other
servers that do not know them pass them over.
"""

_ELSEWHERE = {
    "num_ctx": "The context is set where the server is started (vLLM: --max-model-len)",
    "keep_alive": "Such a server keeps its model loaded",
    "system": "Chat instead, with a system message",
    "template": "Write the whole prompt yourself",
    "context": "Chat instead, with the earlier messages",
    "images": "Chat instead, with the images in a message",
    "format": "Chat instead, or send the server's own field as `extra`",
    "think": "Chat instead",
}


def write_options(options: Mapping[str, Any], policy: UnsupportedOptions) -> dict[str, Any]:
    """Return sampling options under their names on the wire; None values are left out.

    A negative num_predict means no limit, which is what a chat has without ``max_tokens``.

    Raises:
        UnsupportedOptionError: for an option the wire does not carry, unless they are dropped.
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
    """Check that nothing is asked for that this wire cannot carry; None is not asked for.

    Raises:
        UnsupportedOptionError: for the first that is, unless they are dropped.
    """
    for name, value in given.items():
        if value is not None and policy == "error":
            raise UnsupportedOptionError(_message(name), option=name)


def _message(name: str) -> str:
    where = _ELSEWHERE.get(
        name, "If the server has a field of its own for it, send that as `extra`"
    )
    return (
        f"an OpenAI-compatible server (/v1) cannot be sent {name!r}. {where}; or leave it out, "
        "speak Ollama's native wire (a base URL without /v1), or say unsupported_options='drop'."
    )


def reasoning_effort(think: Think | None) -> str | None:
    """Return ``reasoning_effort``: True is "medium", False is "none", levels are themselves.

    Servers that only know an on and off of the chat template (vLLM, llama.cpp) take
    ``extra={"chat_template_kwargs": {"enable_thinking": False}}`` instead.
    """
    if isinstance(think, bool):
        # True has no word of its own there (wire reference 10.1).
        return "medium" if think else "none"
    return think
