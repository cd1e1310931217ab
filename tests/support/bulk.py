"""Plans of bulk work for tests, and what asks by them in this process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Any

from ollama_ext.ray._asking import Asker, Send
from ollama_ext.ray._plan import Plan
from ollama_transport import Client, RetryPolicy

SOON = RetryPolicy(max_retries=3, first_wait_s=0)


def plan_of(hosts: Sequence[str] = ("http://127.0.0.1:1",), **how: Any) -> Plan:
    """Return a plan that embeds the column "text", unless told otherwise."""
    told = {"model": "demo-embed", "column": "text", "into": "vector", "request": {}}
    return Plan(**{**told, "rows_per_request": 8, "retry": SOON, **how}, hosts=hosts)


@contextmanager
def asker_of(plan: Plan, send: Send) -> Iterator[Asker]:
    """Ask the servers of a plan one after the other; close their clients at the end."""
    clients = [plan.client_of(host) for host in plan.servers]
    turns = cycle(clients)

    @contextmanager
    def borrow() -> Iterator[Client]:
        yield next(turns)

    try:
        yield Asker(plan, send, borrow)
    finally:
        for client in clients:
            client.close()
