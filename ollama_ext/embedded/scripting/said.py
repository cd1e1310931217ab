"""The content of a scripted reply, before its endpoint and wire are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ToolCalls = Sequence[tuple[str, Mapping[str, Any]]]
"""Calls as ``(name, arguments)``."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer in plain values.

    Attributes:
        content: The text.
        thinking: The reasoning before it.
        tool_calls: The tools that are called.
        vectors: The vectors of an embedding; None for an answer of text.
        error: The text of a failure; None for an answer.
        after: After how many lines or events of a stream the connection is cut; None for never.
    """

    content: str = ""
    thinking: str = ""
    tool_calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    vectors: tuple[tuple[float, ...], ...] | None = None
    error: str | None = None
    after: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.content, str) or not isinstance(self.thinking, str):
            raise TypeError("a reply's content and thinking are text")
        for call in self.tool_calls:
            if not (isinstance(call, tuple) and len(call) == 2 and isinstance(call[1], Mapping)):
                raise TypeError(
                    f"a tool call is {call!r:.80}: give ('weather', {{'city': 'Rome'}})"
                )
        if self.after is not None and self.after < 0:
            raise ValueError(f"after={self.after}: give how many lines come before the cut")
