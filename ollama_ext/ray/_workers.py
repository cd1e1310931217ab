"""The actor of Ray that answers a batch of rows; `_asking` has the part without Ray."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import pyarrow as pa
import ray

from ollama_ext.ray._asking import Asker, Failed, Send, chat_rows, embed_rows, rest_of
from ollama_ext.ray._folder import Folder
from ollama_ext.ray._plan import Plan
from ollama_transport import Client, ConfigError, OllamaError, UsageLedger


class Worker:
    """Answers the rows of one batch after the other, with a client for each server."""

    send: ClassVar[Send]
    kind: ClassVar[Any]
    """The Arrow type of an answer."""

    def __init__(self, plan: Plan, slots: Any) -> None:
        self._plan, self._slots = plan, slots
        self._usage = UsageLedger() if plan.ledger is None else plan.ledger.of_worker()
        # One for each server: connections are kept between batches.
        self._clients = {host: plan.client_of(host, self._usage) for host in plan.servers}
        self._asker = Asker(plan, type(self).send, self._borrowed)

    def __call__(self, table: Any) -> Any:
        """Return the rows with their answers; where they are written instead, their number."""
        plan = self._plan
        if plan.column not in table.column_names:
            raise ConfigError(f"no column {plan.column!r}: there are {table.column_names}.")
        answers = self._asker.answers(table[plan.column].to_pylist())
        if plan.ledger is not None:
            # After each batch, so that a worker that dies loses the counts of one batch at most.
            plan.ledger.add(self._usage.reset())
        whole = with_answers(table, plan, answers, self.kind)
        if plan.output is None or plan.key is None:
            return whole
        Folder(plan.output, plan.key).write(whole, [isinstance(one, Failed) for one in answers])
        # The answers are on disk: sending them through Ray as well would fill its memory.
        return pa.table({"rows": [len(answers)]})

    @contextmanager
    def _borrowed(self) -> Iterator[Client]:
        actor = ray.get_runtime_context().current_actor
        number, server = ray.get(self._slots.take.remote(actor))
        rest_s = 0.0
        try:
            yield self._clients[server]
        except OllamaError as error:
            rest_s = rest_of(error)
            raise
        finally:
            self._slots.give_back.remote(number, rest_s)


class Embed(Worker):
    """Asks for the vectors of texts, many in one request."""

    send = embed_rows
    kind = pa.list_(pa.float32())


class Chat(Worker):
    """Asks a model to answer each row."""

    send = chat_rows
    kind = pa.string()


def with_answers(table: Any, plan: Plan, answers: Sequence[Any], kind: Any) -> Any:
    """Return a table with the columns for answers and for errors, which replace their likes."""
    values = [None if isinstance(one, Failed) else one for one in answers]
    errors = [one.error if isinstance(one, Failed) else None for one in answers]
    for name, column in (
        (plan.into, pa.array(values, kind)),
        (plan.error_column, pa.array(errors, pa.string())),
    ):
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, column)
    return table
