"""Handle prompts that do not fit: truncate them silently only if the caller allows it."""

import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

from ollama_transport.callers import caller_level
from ollama_transport.errors import ContextOverflowError, OllamaError
from ollama_transport.wire.calls.call import Call

T = TypeVar("T")


class ContextTruncatedWarning(UserWarning):
    """Warns that a prompt was longer than the context, and that the server cut it.

    ```python
    import warnings

    import ollama_transport as ollama

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ollama.ContextTruncatedWarning)
        ollama.generate("llama3.2", "word " * 100, options={"num_ctx": 64})
    print([str(one.message) for one in caught])
    ```
    """


def recover_by_truncation(
    build: Callable[[], Call[T]], describe: Callable[[], str]
) -> Callable[[OllamaError], Call[T] | None]:
    """Return a ``recover`` that warns of a prompt that is too long and lets the server cut it.

    ``build`` makes the call that allows truncation, ``describe`` says what is too long. Other
    refusals are not recovered from.
    """

    def recover(error: OllamaError) -> Call[T] | None:
        if not isinstance(error, ContextOverflowError):
            return None
        # Python shows a warning of equal text and place only once, so the text names the counts.
        text = overflow_text(error, describe())
        warnings.warn(text, ContextTruncatedWarning, stacklevel=caller_level())
        return build()

    return recover


def overflow_text(error: ContextOverflowError, what: str) -> str:
    """Return the warning that a prompt or text is going to be cut."""
    # Some refusals come without counts (wire reference 14).
    if error.prompt_tokens is None or error.context_length is None:
        counts = "longer than the context"
    else:
        counts = f"{error.prompt_tokens} tokens long and the context {error.context_length}"
    return (
        f"{what} is {counts}: the server cuts it. Set a larger num_ctx, shorten it, "
        'or choose on_context_overflow="error" (raise instead) or "truncate" (cut in silence).'
    )


def described(kind: str, model: str | None, texts: Sequence[str]) -> str:
    """Return a description of a prompt or texts that reveals nothing of their content."""
    named = kind if model is None else f"{kind} for {model}"
    longest = max((len(text) for text in texts), default=0)
    if len(texts) > 1:
        return f"{named} (one of {len(texts)}, the longest of {longest} characters)"
    return f"{named} ({longest} characters)"
