"""What is measured, as values: a case is one piece of work, a row compares ours with a peer's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Measure = Literal["cpu", "wall", "instructions"]


@dataclass(frozen=True)
class Case:
    """One piece of work, which is done again and again."""

    work: Callable[[], Any]
    """Does it once; a coroutine function where ``is_async``. Cases of one variant return equals."""
    units: int = 1
    """How many tokens, calls or texts one run handles; costs are given per one of them."""
    is_async: bool = False
    after: Callable[[Any], Any] | None = None
    """Clears away what ``work`` returned. Not measured; a coroutine function like ``work``."""
    warm_ups: int = 2
    """How often it is done before anything is measured."""


@dataclass(frozen=True)
class Variant:
    """The same work done by ours, by the peer and by what cannot be beaten."""

    name: str
    ours: Case | None
    peer: Case | None = None
    floors: Mapping[str, Case] = field(default_factory=dict)

    def cases(self) -> dict[str, Case]:
        """Return what there is to measure, by name."""
        given = {"ours": self.ours, "peer": self.peer, **self.floors}
        return {name: case for name, case in given.items() if case is not None}


@dataclass(frozen=True)
class Goal:
    """The most that ours may cost: an amount of a measure, or a part of the peer or of a floor."""

    limits: tuple[float, ...]
    """One for all variants, or one for each."""
    of: str = "peer"
    """"peer", "instructions", "seconds", or the name of a floor."""
    text: str = ""

    def limit(self, variant: int) -> float:
        """Return the limit of a variant by its place."""
        return self.limits[variant if len(self.limits) > 1 else 0]


@dataclass(frozen=True)
class Scale:
    """Where the server is, and how much work a run is."""

    url: str
    tokens: int = 1000
    calls: int = 40
    texts: int = 1024
    many: int = 64
    few: int = 100


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    key: str
    title: str
    per: str
    goal: Goal
    build: Callable[[Scale], Sequence[Variant]]
    measure: Literal["cpu", "wall"] = "cpu"
    """What is compared where time is measured."""
    counted: bool = True
    """Whether instructions say anything about it."""
    beyond: str = ""
    """The floor that is taken off both sides, by name."""
