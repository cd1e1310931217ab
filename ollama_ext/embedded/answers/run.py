"""A checked request, and the deltas that answer it."""

from dataclasses import dataclass, field

from ollama_ext.embedded.answers.prompts import Window
from ollama_ext.embedded.engine import Prompt
from ollama_ext.embedded.models.store import Installed
from ollama_ext.embedded.protocol.failures import WireError


@dataclass(frozen=True, slots=True)
class Completion:
    """What ``/api/generate`` requests besides a prompt.

    Attributes:
        raw: Whether the prompt is the whole prompt.
        context: Token ids of the turns before.
    """

    raw: bool = False
    context: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A prompt that passed every check and waits for its model.

    Attributes:
        asked: The model's name as written in the request; answers echo it.
        installed: The model.
        prompt: What the engine gets.
        prompt_tokens: Tokens of the rendered prompt.
        window: How long the prompt may be; for a rule-based model it already fits.
        keep_ns: keep_alive in nanoseconds; None leaves it.
        top_logprobs: Alternatives for each token; None for no logprobs at all.
        token_delay_s: Pause before each token, in seconds.
        refusal: The engine's error instead of an answer, once the model is loaded.
        completion: The rest of a ``/api/generate`` request; None for a chat.
    """

    asked: str
    installed: Installed
    prompt: Prompt
    prompt_tokens: int
    window: Window
    keep_ns: int | None
    top_logprobs: int | None = None
    token_delay_s: float = 0.0
    refusal: WireError | None = None
    completion: Completion | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The last delta's own part: why it ended, and the counts and times (3.2).

    Attributes:
        reason: ``done_reason``.
        metrics: Counts of tokens, and durations in nanoseconds.
        context: Token ids of the prompt and the answer, where the engine tells them.
    """

    reason: str
    metrics: dict[str, int]
    context: list[int] | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """What one step of an answer adds; ``end`` is set on the last."""

    content: str = ""
    thinking: str = ""
    tool_calls: list[dict[str, object]] = field(default_factory=list)
    logprobs: list[dict[str, object]] = field(default_factory=list)
    end: End | None = None
