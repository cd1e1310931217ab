"""Report embeddings to core's callbacks and instrumentation, with their token counts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
)
from llama_index.core.utils import get_tqdm_iterable
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import NullEventHandler

from llamaindex_ollama_ext._vector_cache import as_list
from ollama_transport import Usage

_DISPATCHER = get_dispatcher(__name__)

# Newer versions of core have a field for the server's own count.
_TAKES_TOKENS = "token_count" in EmbeddingEndEvent.model_fields


class Report:
    """The results of one embedding event, for its end."""

    def __init__(self) -> None:
        self.vectors: Sequence[Any] = ()
        self.tokens: int | None = None

    def count(self, usage: Usage | None) -> None:
        """Add the tokens of an answer; an unknown count changes nothing."""
        if usage is not None and usage.prompt_tokens is not None:
            self.tokens = usage.prompt_tokens + (self.tokens if self.tokens is not None else 0)


_RUNNING: ContextVar[Report | None] = ContextVar("running embedding event", default=None)


def count_for_event(usage: Usage | None) -> None:
    """Count an answer for the event that is open in this thread or task, if there is one."""
    report = _RUNNING.get()
    if report is not None:
        report.count(usage)


@contextmanager
def reported(
    manager: CallbackManager, payload: dict[str, Any], chunks: Sequence[str]
) -> Iterator[Report]:
    """Fire the start and end events around the embedding of some texts.

    The end events contain what the caller put into the report. After an error, only the callbacks
    get an end event, with the exception.
    """
    report = Report()
    if _is_heard():
        _DISPATCHER.event(EmbeddingStartEvent(model_dict=payload))
    start: dict[str, Any] = {EventPayload.SERIALIZED: payload}
    # Core's hooks return bare vectors, so the token count takes this way out of them.
    token = _RUNNING.set(report)
    try:
        with manager.event(CBEventType.EMBEDDING, payload=start) as event:
            yield report
            if manager.handlers:
                vectors = [as_list(vector) for vector in report.vectors]
                event.on_end({EventPayload.CHUNKS: chunks, EventPayload.EMBEDDINGS: vectors})
    finally:
        _RUNNING.reset(token)
    if _is_heard():
        _DISPATCHER.event(end_event(chunks, report))


def end_event(chunks: Sequence[str], report: Report) -> EmbeddingEndEvent:
    """Return the end event of instrumentation, with the token count if core has the field."""
    counts = {"token_count": report.tokens} if _TAKES_TOKENS else {}
    vectors = [as_list(vector) for vector in report.vectors]
    return EmbeddingEndEvent(chunks=list(chunks), embeddings=vectors, **counts)


def _is_heard() -> bool:
    """Return whether anybody listens to the events of instrumentation.

    Their vectors are checked number by number, which takes as long as to read them.
    """
    dispatcher = _DISPATCHER
    while True:
        if any(not isinstance(each, NullEventHandler) for each in dispatcher.event_handlers):
            return True
        if not dispatcher.propagate or dispatcher.parent is None:
            return False
        dispatcher = dispatcher.parent


@contextmanager
def progress(texts: Sequence[str], *, show: bool) -> Iterator[Callable[[Sequence[str]], None]]:
    """Show core's progress bar; call the yielded function with each finished batch of texts."""
    bar = iter(get_tqdm_iterable(texts, show, "Generating embeddings"))

    def done(batch: Sequence[str]) -> None:
        for _ in batch:
            next(bar)

    yield done
    # tqdm counts a text as done when the next one is requested, so the last needs one more.
    next(bar, None)
