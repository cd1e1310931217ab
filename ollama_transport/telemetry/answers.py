"""The attributes of an answer, under the names of the GenAI semantic conventions."""

from collections.abc import Sequence
from typing import Any

from ollama_transport.errors import ResponseError
from ollama_transport.telemetry.requests import Attributes
from ollama_transport.wire.values.messages import ToolCall
from ollama_transport.wire.values.usage import Usage

_COUNTS = (
    ("gen_ai.usage.input_tokens", "prompt_tokens"),
    ("gen_ai.usage.output_tokens", "completion_tokens"),
    ("gen_ai.usage.cache_read.input_tokens", "cached_prompt_tokens"),
    ("gen_ai.usage.reasoning.output_tokens", "reasoning_tokens"),
    ("ollama.total_duration", "total_duration_s"),
    ("ollama.load_duration", "load_duration_s"),
    ("ollama.prompt_eval_duration", "prompt_duration_s"),
    ("ollama.eval_duration", "completion_duration_s"),
)


def used(usage: Usage | None) -> Attributes:
    """Return the tokens and the server's durations in seconds; unknown ones are left out."""
    if usage is None:
        return {}
    known = {name: getattr(usage, field) for name, field in _COUNTS}
    estimated = {"ollama_ext.usage.estimated": True} if usage.estimated else {}
    return {name: value for name, value in known.items() if value is not None} | estimated


def answered(last: Any, tool_calls: Sequence[ToolCall]) -> Attributes:
    """Return the attributes of an answer, given its last line, or None if there was no answer."""
    found: Attributes = {}
    # By getattr, since an answer may be a line, vectors, or nothing at all.
    if model := getattr(last, "model", ""):
        found["gen_ai.response.model"] = model
    if reason := getattr(last, "done_reason", None):
        found["gen_ai.response.finish_reasons"] = [reason]
    ident = getattr(last, "raw", {}).get("id")
    if isinstance(ident, str) and ident:
        found["gen_ai.response.id"] = ident
    # Names only: arguments may contain private data.
    if tool_calls:
        found["ollama_ext.response.tool_calls"] = [call.name for call in tool_calls]
    return found


def failed(error: BaseException) -> Attributes:
    """Return the attributes of a failure: its class and the server's status."""
    # Without its message, which may quote the conversation.
    found: Attributes = {"error.type": type(error).__qualname__}
    if isinstance(error, ResponseError) and error.status_code > 0:
        found["http.response.status_code"] = error.status_code
    return found
