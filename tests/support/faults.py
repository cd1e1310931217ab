"""What a fault is: what the server does, and what each caller gets."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fault_ways import RIGHT, Result, Way
from raw_server import Asked, Step
from right_answers import Right

from ollama_transport import OllamaError

Steps = Callable[[Asked, Right], Iterable[Step]]


@dataclass(frozen=True)
class Gives:
    """What a caller gets: an error of this class whose message holds a pattern, or an answer.

    Without an ``error`` it is an answer: ``value``, or the right one where that is None.
    """

    error: str = ""
    message: str = ""
    value: Any = None

    def check(self, way: Way, result: Result) -> None:
        value, error = result
        if not self.error:
            assert error is None, f"{error!r} instead of an answer"
            wanted = RIGHT[way.form] if self.value is None else self.value
            assert value == wanted
            return
        assert error is not None, f"{value!r} instead of {self.error}"
        assert self.error in class_names(error), repr(error)
        assert re.search(self.message, str(error)), str(error)

    def __str__(self) -> str:
        if self.error:
            return f"`{self.error}`"
        return "the answer" if self.value is None else "what came"


ANSWER = Gives()


def class_names(error: BaseException) -> list[str]:
    """Return the transport's class of an error: the first of its kind that is not an adapter's."""
    assert isinstance(error, OllamaError), f"{error!r} is outside the tree"
    ours = [
        cls.__name__ for cls in type(error).__mro__ if cls.__module__.startswith("ollama_transport")
    ]
    return ours[:1]


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    ``steps`` is what the server does with the first request; ``then`` with the next ones, before
    it answers rightly. ``gives`` says what the caller gets, by the most specific of
    "streamed-openai", "streamed" and "": a form that is missing there is not played.
    """

    name: str
    does: str
    steps: Steps
    gives: Mapping[str, Gives]
    then: tuple[Steps, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    requests: int | None = None
    """How many requests the server gets for the first call; None is not asked."""

    def given(self, way: Way) -> Gives | None:
        """Return what a way gets; None where the fault is not played."""
        return self.gives_to(way.form, "openai" if way.is_openai else "native")

    def gives_to(self, form: str, wire: str) -> Gives | None:
        """Return what a form gets on a wire; None where the fault is not played."""
        for key in (f"{form}-{wire}", form, ""):
            if key in self.gives:
                return self.gives[key]
        return None


def everywhere(gives: Gives) -> dict[str, Gives]:
    return {"": gives}


def by_form(whole: Gives, streamed: Gives, embedded: Gives | None = None) -> dict[str, Gives]:
    """Return what each form gets; embeddings are whole answers."""
    return {
        "whole": whole,
        "streamed": streamed,
        "embedded": whole if embedded is None else embedded,
    }
