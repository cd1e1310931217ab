"""Requests for the rows of a batch: sent concurrently, repeated, and marked where they fail."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import tenacity

from ollama_ext.ray._plan import Plan
from ollama_transport import (
    Client,
    ConfigError,
    OllamaConnectionError,
    OllamaError,
    ProtocolError,
    RequestRejectedError,
    ServerBusyError,
    ServerError,
    StreamTruncatedError,
    UnsupportedCapabilityError,
)
from ollama_transport.concurrency import map_threads
from ollama_transport.settings.retry import is_repeatable

REST_S = 5.0
"""Seconds without requests for a server that failed, unless all of them failed."""

Borrow = Callable[[], AbstractContextManager[Client]]
"""Lends the client of the server whose turn it is."""

Send = Callable[[Client, Plan, Sequence[Any]], list[Any]]
"""Sends one request for some rows and returns their answers; an error is one of all of them."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The error of a row, in the place of its answer."""

    error: str


NOTHING = Failed("nothing to ask: the row is null")


def embed_rows(client: Client, plan: Plan, rows: Sequence[Any]) -> list[Any]:
    """Return the vectors of texts."""
    return client.embed(model=plan.model, input=rows, **plan.request).vectors


def chat_rows(client: Client, plan: Plan, rows: Sequence[Any]) -> list[Any]:
    """Return the texts of the answers to rows."""
    return [
        client.chat(model=plan.model, messages=messages_of(row), **plan.request).text
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Asker:
    """Sends the rows of a batch, with as many concurrent requests as the plan gives a worker."""

    plan: Plan
    send: Send
    borrow: Borrow

    def answers(self, rows: Sequence[Any]) -> list[Any]:
        """Return an answer or a `Failed` for each row, in their order; nulls are not sent."""
        answers: list[Any] = [NOTHING] * len(rows)
        places = [place for place, row in enumerate(rows) if row is not None]
        size = self.plan.rows_per_request
        # Places and not rows are split, so that nulls between them keep the order.
        parts = [places[start : start + size] for start in range(0, len(places), size)]
        found = map_threads(
            lambda part: self._asked([rows[place] for place in part]), parts, self.plan.threads
        )
        for part, values in zip(parts, found, strict=True):
            for place, value in zip(part, values, strict=True):
                answers[place] = value
        return answers

    def _asked(self, rows: Sequence[Any]) -> list[Any]:
        # The client does not retry: each repetition borrows a slot of another server if it can.
        again = self.plan.retry.tenacity_arguments(repeatable=True)
        again["retry"] = tenacity.retry_if_exception(is_worth_a_repetition)
        try:
            return tenacity.Retrying(**again)(self._once, rows)
        except OllamaError as error:
            if len(rows) > 1 and _is_about_rows(error):
                # One row of them is refused, and no server says which: the others have answers.
                half = len(rows) // 2
                return [*self._asked(rows[:half]), *self._asked(rows[half:])]
            return [Failed(f"{type(error).__name__}: {error}")] * len(rows)

    def _once(self, rows: Sequence[Any]) -> list[Any]:
        with self.borrow() as client:
            answers = self.send(client, self.plan, rows)
            # A vector in the place of another text would stand in the dataset unnoticed.
            if len(answers) != len(rows):
                raise ProtocolError(f"{len(answers)} answers came for {len(rows)} rows")
            return answers


def messages_of(row: Any) -> list[dict[str, Any]]:
    """Return the messages of a row: a text is what a user says, a list is a conversation.

    Raises:
        ConfigError: for a row that is neither.
    """
    if isinstance(row, str):
        return [{"role": "user", "content": row}]
    if not isinstance(row, list) or not all(isinstance(message, dict) for message in row):
        raise ConfigError(f"a row must be text or a list of messages, got {type(row).__name__}.")
    # Arrow gives every message the keys of all of them.
    return [{key: told for key, told in message.items() if told is not None} for message in row]


def is_worth_a_repetition(error: BaseException) -> bool:
    """Return whether a failed request is sent again; no part of its answer was used."""
    # Unlike a client's own retries, an answer that broke off is repeated: nothing was shown of it.
    broke_off = isinstance(error, OllamaConnectionError | StreamTruncatedError)
    return broke_off or is_repeatable(error)


def rest_of(error: OllamaError) -> float:
    """Return the seconds for which a server gets no requests after an error; 0 for none."""
    if isinstance(error, ServerBusyError):
        return REST_S if error.retry_after_s is None else error.retry_after_s
    return REST_S if isinstance(error, OllamaConnectionError | StreamTruncatedError) else 0.0


def _is_about_rows(error: OllamaError) -> bool:
    # A server error may be about one text as well: a vector with NaN is a 500 of Ollama.
    is_refused = isinstance(error, RequestRejectedError | ServerError)
    return is_refused and not isinstance(error, UnsupportedCapabilityError)
