"""Add up the usage of the answers of one object; for many objects see `UsageLedger`."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from ollama_transport.concurrency.forks import Lock
from ollama_transport.wire.values.usage import Usage

_COUNTED = tuple(field.name for field in fields(Usage) if field.name != "estimated")


def added(usages: Iterable[Usage | None]) -> Usage:
    """Return the sum of usages; a number is None if no usage has it.

    Durations are added too, even of concurrent calls: the sum is the work of the server, not the
    time that passed.
    """
    known = [usage for usage in usages if usage is not None]
    sums = {name: _sum(getattr(usage, name) for usage in known) for name in _COUNTED}
    # One estimated part makes the sum an estimate.
    return Usage(**sums, estimated=any(usage.estimated for usage in known))


def _sum(numbers: Iterable[Any]) -> Any:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


class UsageTotal:
    """A running total that any number of threads and loops add to.

    A pickled or deep copy starts at zero; a shallow copy is the same total.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._total = Usage()

    def add(self, usage: Usage | None) -> None:
        """Add the usage of one answer; None means unknown and adds nothing."""
        with self._lock:
            self._total = added([self._total, usage])

    @property
    def total(self) -> Usage:
        """Return everything counted so far."""
        return self._total  # immutable, and replaced as a whole: reading needs no lock

    def reset(self) -> Usage:
        """Return everything counted so far, and start again at zero."""
        with self._lock:
            total, self._total = self._total, Usage()
        return total

    def __deepcopy__(self, _: object) -> "UsageTotal":
        return UsageTotal()

    def __reduce__(self) -> tuple[type["UsageTotal"], tuple[()]]:
        return UsageTotal, ()
