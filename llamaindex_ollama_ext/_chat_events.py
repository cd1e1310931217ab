"""Report a chat that is streamed internally to core's callbacks and instrumentation.

Core's own decorator builds an event for each line, which costs more than reading the line. Here
the events of a line are built only if a handler listens; those of the start and the end always are.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
)
from llama_index.core.llms.llm import LLM
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.dispatcher import Dispatcher
from llama_index_instrumentation.event_handlers import NullEventHandler

DISPATCHER = get_dispatcher(__name__)


def is_heard() -> bool:
    """Return whether any handler listens to events."""
    current: Dispatcher = DISPATCHER
    while True:
        # Core gives its root dispatcher one that does nothing.
        if any(not isinstance(handler, NullEventHandler) for handler in current.event_handlers):
            return True
        if not current.propagate:
            return False
        current = current.parent


class ChatTelling:
    """Reports the events of one chat; set `response` before its end."""

    def __init__(self, llm: LLM, messages: Sequence[ChatMessage], call: Mapping[str, Any]) -> None:
        self.response: ChatResponse | None = None
        self.is_heard = is_heard()
        self._messages = messages
        self._manager = llm.callback_manager
        # Not model_dump: events are exported to tracing services, and must show no secrets.
        shown = llm.to_payload()
        with self._manager.as_trace("chat"):
            DISPATCHER.event(
                LLMChatStartEvent(
                    model_dict=shown, messages=list(messages), additional_kwargs=dict(call)
                )
            )
            payload: dict[str, Any] = {
                EventPayload.MESSAGES: messages,
                EventPayload.ADDITIONAL_KWARGS: call,
                EventPayload.SERIALIZED: shown,
            }
            self._event_id = self._manager.on_event_start(CBEventType.LLM, payload=payload)

    def progress(self, response: ChatResponse) -> None:
        """Report a line; check `is_heard` first, since building the response is expensive."""
        DISPATCHER.event(LLMChatInProgressEvent(messages=list(self._messages), response=response))

    def failed(self, error: BaseException) -> None:
        """Report that the chat ended before the answer was complete."""
        self._finish({EventPayload.EXCEPTION: error})
        DISPATCHER.event(ExceptionEvent(exception=error))

    def ended(self) -> None:
        """Report the end of the answer."""
        messages = self._messages
        self._finish({EventPayload.MESSAGES: messages, EventPayload.RESPONSE: self.response})
        DISPATCHER.event(LLMChatEndEvent(messages=list(messages), response=self.response))

    def _finish(self, payload: dict[Any, Any]) -> None:
        self._manager.on_event_end(CBEventType.LLM, payload=payload, event_id=self._event_id)


@contextmanager
def told(
    llm: LLM, messages: Sequence[ChatMessage], call: Mapping[str, Any]
) -> Iterator[ChatTelling]:
    """Fire the events of one chat around its stream, however it ends."""
    telling = ChatTelling(llm, messages, call)
    try:
        yield telling
    except BaseException as error:
        # Includes GeneratorExit: core also reports a stream that is left early as an error.
        telling.failed(error)
        raise
    telling.ended()
