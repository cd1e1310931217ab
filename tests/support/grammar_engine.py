"""The grammar of a real engine: what llama.cpp says of a schema."""

from functools import cache
from pathlib import Path
from typing import Any

MODEL = Path(__file__).parents[1] / "models" / "tiny-chat.gguf"


@cache
def _server() -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(MODEL)
    params.n_ctx = 16384
    params.n_parallel = 1
    return xllamacpp.Server(params)


def refusal(schema: dict[str, Any]) -> str | None:
    """Return why the engine refuses a schema, None when it takes it.

    It is asked by way of a forced tool: this build gives ``response_format`` to another grammar
    (llguidance), and the arguments of tools to the one that Ollama's engine has.
    """
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    try:
        answer = _server().handle_chat_completions(
            {
                "messages": [{"role": "user", "content": "hi"}],
                "max_tokens": 1,
                "tools": [tool],
                "tool_choice": "required",
            }
        )
    except ValueError as error:
        return str(error)
    return str(answer["error"]["message"]) if "error" in answer else None
