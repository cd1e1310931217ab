"""Remove unrequested reasoning from answers, whole and streamed."""

from dataclasses import replace
from typing import Any

from ollama_transport.settings.options import Think
from ollama_transport.wire.calls.call import Shaper
from ollama_transport.wire.values.answers import GenerateLine


class _Hider:
    """Removes the reasoning from the lines of a chat or a completion; ``raw`` keeps it."""

    def push(self, line: Any) -> Any:
        """Return the line without its reasoning."""
        if not line.thinking:
            return line
        if isinstance(line, GenerateLine):
            return replace(line, thinking="")
        return replace(line, message=replace(line.message, thinking=""))


def hiders(think: Think | None) -> list[Shaper[Any]]:
    """Return the shaper that hides the reasoning of an answer if ``think`` is False; [] otherwise.

    Some models reason anyway, gpt-oss among them (ollama issues 11751 and 12837).
    """
    return [_Hider()] if think is False else []
