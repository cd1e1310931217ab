"""Turn a conversation into a prompt: render, count tokens, cut what is too long."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ollama_ext.embedded.engine import Message
from ollama_ext.embedded.protocol.encoding import dump_json
from ollama_ext.embedded.protocol.failures import PROMPT_TOO_LONG, WireError, context_overflow

# A special token, a word with the blank before it, a punctuation mark, or white space.
_TOKEN = re.compile(r"<\|\w+\|>| ?\w+| ?[^\w\s]|\s")
# Ollama's estimate for a picture of any size (3.8).
_IMAGE_TOKENS = 768


def tokens_of(text: str) -> list[str]:
    """Split a text into tokens; joined they are the text again."""
    return _TOKEN.findall(text)


def render(messages: Sequence[Message], tools: Sequence[Mapping[str, object]] = ()) -> str:
    """Write a conversation as the prompt the model is shown, in the ChatML form."""
    parts = [_render_tools(tools)] if tools else []
    parts += [_render_message(message) for message in messages]
    return "".join(parts) + "<|im_start|>assistant\n"


def _render_tools(tools: Sequence[Mapping[str, object]]) -> str:
    listed = "\n".join(dump_json(tool).decode() for tool in tools)
    return f"<|im_start|>system\n# Tools\n{listed}<|im_end|>\n"


def _render_message(message: Message) -> str:
    calls = "".join(
        f"\n{call.name} {dump_json(call.arguments).decode()}" for call in message.tool_calls
    )
    return f"<|im_start|>{message.role}\n{message.content}{calls}<|im_end|>\n"


@dataclass(frozen=True, slots=True)
class Window:
    """How long a prompt may be, and what happens to a longer one (wire reference 3.8, 14)."""

    num_ctx: int  # the context length in tokens
    num_keep: int = 4  # leading tokens that survive a shift
    truncate: bool = True  # whether old messages are dropped
    shift: bool = True  # whether a too long last message is cut
    native: bool = True  # whether the route is the native one, which never cuts the last message


@dataclass(frozen=True, slots=True)
class Fitted:
    """A conversation that fits: its messages and the number of its prompt tokens."""

    messages: tuple[Message, ...]
    tokens: int


def fit_chat(
    messages: Sequence[Message], tools: Sequence[Mapping[str, object]], window: Window
) -> Fitted:
    """Silently cut a conversation to the context length, oldest messages first."""
    kept = list(messages)
    tokens = count_prompt(kept, tools)
    if window.truncate and tokens > window.num_ctx:
        kept = _drop_oldest(kept, tokens - window.num_ctx)
        tokens = count_prompt(kept, tools)
    if tokens <= window.num_ctx:
        return Fitted(tuple(kept), tokens)
    # The native route never cuts a message; the engine refuses it with both counts.
    if window.native or not window.truncate:
        raise context_overflow(tokens, window.num_ctx)
    return _shift_last(kept, tokens, window)


def _drop_oldest(messages: list[Message], excess: int) -> list[Message]:
    # System messages and the last one always stay.
    kept = []
    for message in messages[:-1]:
        if excess > 0 and message.role != "system":
            excess -= count_message(message)
        else:
            kept.append(message)
    return [*kept, messages[-1]]


def fit_completion(messages: Sequence[Message], window: Window) -> Fitted:
    """Cut the prompt of ``/api/generate`` to the context length."""
    tokens = count_prompt(messages, ())
    # Leave one token for the answer.
    if tokens < window.num_ctx:
        return Fitted(tuple(messages), tokens)
    if not window.truncate:
        raise context_overflow(tokens, window.num_ctx)
    return _shift_last(list(messages), tokens, window)


def _shift_last(messages: list[Message], tokens: int, window: Window) -> Fitted:
    if not window.shift:
        raise WireError(400, PROMPT_TOO_LONG, early=False)
    last = messages[-1]
    words = tokens_of(last.content)
    frame = tokens - len(words)
    # About half of the context is left free, so that the answer does not shift at once again.
    room = max(window.num_ctx // 2 - frame - window.num_keep, 1)
    content = "".join(words[: window.num_keep] + words[-room:])
    # Counted from the frame, which holds the tools as well.
    return Fitted((*messages[:-1], replace(last, content=content)), frame + len(tokens_of(content)))


def count_prompt(messages: Sequence[Message], tools: Sequence[Mapping[str, object]]) -> int:
    """Count a conversation's tokens, 768 for each picture."""
    frame = len(tokens_of(render((), tools)))
    return frame + sum(count_message(message) for message in messages)


def count_message(message: Message) -> int:
    """Count what one message adds to the prompt."""
    return len(tokens_of(_render_message(message))) + len(message.images) * _IMAGE_TOKENS
