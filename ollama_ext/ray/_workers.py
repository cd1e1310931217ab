"""What an actor of Ray does with a batch of rows: it asks, repeats, and marks what failed."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import ray
import tenacity

from ollama_ext.ray._folder import Folder
from ollama_ext.ray._plan import Plan
from ollama_ext.ray._slots import REST_S
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
    UsageLedger,
)
from ollama_transport.concurrency import map_threads
from ollama_transport.settings.retry import is_repeatable


@dataclass(frozen=True, slots=True)
class Failed:
    """Stands for the answer to a row that has none."""

    error: str


class Worker(ABC):
    """Answers the rows of one batch after the other, with a client for each server."""

    kind: ClassVar[Any]
    """The Arrow type of the answers."""

    def __init__(self, plan: Plan, slots: Any) -> None:
        self._plan, self._slots = plan, slots
        self._usage = UsageLedger() if plan.ledger is None else plan.ledger.of_worker()
        self._clients = {host: plan.client_of(host, self._usage) for host in plan.servers}

    def __call__(self, table: Any) -> Any:
        """Return the rows with their answers; where they are written instead, their number."""
        plan = self._plan
        if plan.column not in table.column_names:
            raise ConfigError(f"no column {plan.column!r}: there are {table.column_names}.")
        answers = self._answers(table[plan.column].to_pylist())
        if plan.ledger is not None:
            plan.ledger.add(self._usage.reset())
        errors = [one.error if isinstance(one, Failed) else None for one in answers]
        values = [None if isinstance(one, Failed) else one for one in answers]
        whole = _with(table, plan.into, pa.array(values, self.kind))
        whole = _with(whole, plan.error_column, pa.array(errors, pa.string()))
        if plan.output is None or plan.key is None:
            return whole
        Folder(plan.output, plan.key).write(whole, [error is not None for error in errors])
        return pa.table({"rows": [len(errors)]})

    @abstractmethod
    def send(self, client: Client, rows: Sequence[Any]) -> list[Any]:
        """Ask once for the answers to some rows; raise for all of them."""

    def _answers(self, rows: Sequence[Any]) -> list[Any]:
        """Return the answers in the order of the rows; nulls are not sent."""
        answers: list[Any] = [Failed("nothing to ask: the row is null")] * len(rows)
        places = [place for place, row in enumerate(rows) if row is not None]
        size = self._plan.rows_per_request
        parts = [places[start : start + size] for start in range(0, len(places), size)]
        found = map_threads(
            lambda part: self._asked([rows[place] for place in part]), parts, self._plan.threads
        )
        for part, values in zip(parts, found, strict=True):
            for place, value in zip(part, values, strict=True):
                answers[place] = value
        return answers

    def _asked(self, rows: Sequence[Any]) -> list[Any]:
        again = self._plan.retry.tenacity_arguments(repeatable=True)
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
        with self._borrowed() as client:
            answers = self.send(client, rows)
            if len(answers) != len(rows):
                raise ProtocolError(f"{len(answers)} answers came for {len(rows)} rows")
            return answers

    @contextmanager
    def _borrowed(self) -> Iterator[Client]:
        """Lend the client of the server that is to be asked now."""
        actor = ray.get_runtime_context().current_actor
        number, server = ray.get(self._slots.take.remote(actor))
        rest_s = 0.0
        try:
            yield self._clients[server]
        except OllamaError as error:
            rest_s = _rest_of(error)
            raise
        finally:
            self._slots.give_back.remote(number, rest_s)


class Embed(Worker):
    """Asks for the vectors of texts, many in one request."""

    kind = pa.list_(pa.float32())

    def send(self, client: Client, rows: Sequence[Any]) -> list[Any]:
        """Return the vectors of texts."""
        plan = self._plan
        return client.embed(model=plan.model, input=rows, **plan.request).vectors


class Chat(Worker):
    """Asks a model to answer each row."""

    kind = pa.string()

    def send(self, client: Client, rows: Sequence[Any]) -> list[Any]:
        """Return the texts of the answers."""
        plan = self._plan
        return [
            client.chat(model=plan.model, messages=messages_of(row), **plan.request).text
            for row in rows
        ]


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
    """Return whether a failed request is sent again; nobody has seen a part of its answer."""
    broke_off = isinstance(error, OllamaConnectionError | StreamTruncatedError)
    return broke_off or is_repeatable(error)


def _is_about_rows(error: OllamaError) -> bool:
    is_refused = isinstance(error, RequestRejectedError | ServerError)
    return is_refused and not isinstance(error, UnsupportedCapabilityError)


def _rest_of(error: OllamaError) -> float:
    """Return for how many seconds the server is to be left alone after an error."""
    if isinstance(error, ServerBusyError):
        return REST_S if error.retry_after_s is None else error.retry_after_s
    return REST_S if isinstance(error, OllamaConnectionError | StreamTruncatedError) else 0.0


def _with(table: Any, name: str, column: Any) -> Any:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)
