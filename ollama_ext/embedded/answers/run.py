"""A checked request, and the deltas that answer it."""

from dataclasses import dataclass, field

from ollama_ext.embedded.answers.prompts import Window
from ollama_ext.embedded.engine import Prompt
from ollama_ext.embedded.models.store import Installed
from ollama_ext.embedded.protocol.failures import WireError


@dataclass(frozen=True, slots=True)
class Completion:
    """What ``/api/generate`` requests besides a prompt."""

    raw: bool = False  # whether the prompt is the whole prompt
    context: tuple[int, ...] = ()  # token ids of the turns before


@dataclass(frozen=True, slots=True)
class Run:
    """A prompt that passed every check and waits for its model."""

    asked: str  # the model's name as written in the request; answers echo it
    installed: Installed
    prompt: Prompt  # what the engine gets
    prompt_tokens: int  # tokens of the rendered prompt
    window: Window  # how long the prompt may be; for a rule-based model it already fits
    keep_ns: int | None  # keep_alive in nanoseconds; None leaves it
    top_logprobs: int | None = None  # alternatives for each token; None for no logprobs at all
    token_delay_s: float = 0.0  # pause before each token, in seconds
    # The engine's error instead of an answer, once the model is loaded.
    refusal: WireError | None = None
    completion: Completion | None = None  # the rest of a ``/api/generate`` request; None for a chat


@dataclass(frozen=True, slots=True)
class End:
    """The last delta's own part: why it ended, and the counts and times (3.2)."""

    reason: str  # ``done_reason``
    metrics: dict[str, int]  # counts of tokens, and durations in nanoseconds
    # Token ids of the prompt and the answer, where the engine tells them.
    context: list[int] | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """What one step of an answer adds; ``end`` is set on the last."""

    content: str = ""
    thinking: str = ""
    tool_calls: list[dict[str, object]] = field(default_factory=list)
    logprobs: list[dict[str, object]] = field(default_factory=list)
    end: End | None = None
