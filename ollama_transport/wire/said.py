"""Check the content of a whole answer: none is an error, reasoning alone is worth a warning."""

import warnings
from collections.abc import Sequence
from typing import Any

from ollama_transport.callers import caller_level
from ollama_transport.errors import EmptyAnswerError


class OnlyThoughtsWarning(UserWarning):
    """Warns that an answer was cut while the model was still thinking, so that it has no text."""


def empty_answer() -> EmptyAnswerError:
    """Return (not raise) the error for a success without content, whole or streamed."""
    return EmptyAnswerError(
        "the answer is empty: status 200 without any content. A proxy may have dropped it, or "
        "that is another kind of server: check base_url."
    )


def says_something(line: Any) -> bool:
    """Return whether a line holds text, thoughts, a call or a picture, or says why it ends."""
    return bool(
        line.text
        or line.thinking
        or line.tool_calls
        or getattr(line, "tool_call_deltas", ())
        or getattr(line, "image", None)
        or (line.done and line.done_reason is not None)
    )


def check_said(lines: Sequence[Any]) -> None:
    """Check all lines of an answer, the last of which has ``done``.

    Raises:
        EmptyAnswerError: when they say nothing, not even why the answer ended.

    Warns:
        OnlyThoughtsWarning: when the answer was cut for its length and holds only thoughts.
    """
    if not any(says_something(line) for line in lines):
        raise empty_answer()
    if lines[-1].done_reason != "length" or not any(line.thinking for line in lines):
        return
    usage = lines[-1].usage
    # Requests for one token only serve to count those of a prompt: their text does not matter.
    if usage is not None and usage.completion_tokens == 1:
        return
    if not any(line.text.strip() or line.tool_calls for line in lines):
        warnings.warn(
            "the model was cut off while it was thinking: the answer has no text. Raise "
            "num_predict (max_tokens), or let it think less "
            "(LangChain: reasoning=False, LlamaIndex: thinking=False).",
            OnlyThoughtsWarning,
            stacklevel=caller_level(),
        )
