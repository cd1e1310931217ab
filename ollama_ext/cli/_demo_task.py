"""The task of the demo, and what a framework returns for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ollama_ext.cli._demo_server import ServedModel
from ollama_ext.cli._passages import Passage
from ollama_transport.accounting.ledger import ModelTotals, UsageLedger
from ollama_transport.accounting.meters import CallRecord
from ollama_transport.settings.host import TimeoutLike
from ollama_transport.wire.calls.call import Call

INSTRUCTION = "Answer the question from the context alone, in one or two sentences."
MAX_TOKENS = 256
"""Limit of an answer: a small model may repeat itself for minutes."""


@dataclass(frozen=True)
class Task:
    """The task for both frameworks: the same question, passages, models and servers."""

    question: str
    passages: list[Passage]
    chat: ServedModel
    embed: ServedModel
    timeout: TimeoutLike

    def chat_arguments(self, ledger: UsageLedger) -> dict[str, Any]:
        """Return the arguments of the model that answers, in either framework."""
        given = {"timeout": self.timeout, "ledger": ledger, "num_predict": MAX_TOKENS}
        return {"model": self.chat.model, "base_url": self.chat.base_url, **given}


@dataclass(frozen=True)
class Source:
    """A passage used for an answer, with its similarity to the question."""

    source: str
    text: str
    score: float


@dataclass(frozen=True)
class Answer:
    """An answer, its sources (most similar first), and its cost including the embeddings.

    ``cut`` is True if the answer reached `MAX_TOKENS`.
    """

    text: str
    sources: list[Source]
    totals: ModelTotals
    cut: bool = False


class DemoLedger(UsageLedger):
    """Counts the cost of an answer, and records whether it was cut."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = False

    def end(self, call: Call[Any], record: CallRecord, /) -> None:
        """Add a call to the totals."""
        super().end(call, record)
        # Ollama's reason for the end does not reach a ledger, so the count decides.
        said = None if record.usage is None else record.usage.completion_tokens
        self.cut = self.cut or (said is not None and said >= MAX_TOKENS)


Show = Callable[[str], None]
"""Receives the pieces of an answer as they arrive."""

Answering = Callable[[Task, Show], Answer]
