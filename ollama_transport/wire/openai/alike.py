"""Read events that differ from an earlier one only in their text: the bulk of a stream."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ollama_transport.errors import ProtocolError
from ollama_transport.wire.calls.decoders import parse_object
from ollama_transport.wire.values.answers import ChatLine
from ollama_transport.wire.values.json_bytes import TEXT, read_json_text
from ollama_transport.wire.values.messages import Message

MOST_MISSES = 8
"""Limit of consecutive misses, after which no more events of the stream are tried."""

_MOST_BYTES = 4096
_KEY = b'"content":'
_CONTENT = re.compile(_KEY + rb' ?("(?=[^"])' + TEXT + rb'")')
_PROBE = "\x01 probe"
_SIMPLE = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True)
class _Pattern:
    """The bytes before and after the text of an event, and the line that the rest gives."""

    before: bytes
    after: bytes
    line: ChatLine

    def read(self, event: bytes) -> ChatLine | None:
        """Return the line of an event; None if more than its text differs."""
        start, end = len(self.before), len(event) - len(self.after)
        if not (event.startswith(self.before) and event.endswith(self.after) and start < end):
            return None
        # Proves that these bytes are one text: otherwise they would not be JSON.
        try:
            text = read_json_text(event[start:end])
        except ValueError:
            return None
        line = self.line
        return ChatLine(
            Message(line.message.role, text),
            line.model,
            line.created_at,
            raw=with_content(line.raw, text),
        )


class AlikeEvents:
    """Reads the plain events of one stream by comparison with an earlier one."""

    def __init__(self) -> None:
        self._pattern: _Pattern | None = None
        self._misses = 0

    @property
    def has_hope(self) -> bool:
        """Return whether events of this stream may be alike."""
        return self._misses < MOST_MISSES

    def read(self, event: bytes) -> ChatLine | None:
        """Return the line of an event; None if it must be parsed."""
        line = None if self._pattern is None else self._pattern.read(event)
        self._misses = self._misses + 1 if line is None else 0
        return line

    def learn(self, event: bytes, lines: list[ChatLine]) -> None:
        """Use an event that was parsed as the pattern for those that follow."""
        if len(event) > _MOST_BYTES:
            return
        # From the last key on: a pattern that also covers what is before takes quadratic time.
        found = _CONTENT.match(event, max(event.rfind(_KEY), 0))
        if found is None or len(lines) != 1 or not _is_plain(lines[0]):
            return
        before, after = event[: found.start(1) + 1], event[found.end(1) - 1 :]
        line = lines[0]
        # Proves that any text in this place is the content and nothing else.
        probed = b"".join([before, rb"\u0001 probe", after]).removeprefix(b"data:")
        try:
            is_content = parse_object(probed.strip()) == with_content(line.raw, _PROBE)
        except ProtocolError:
            return
        self._pattern = _Pattern(before, after, line) if is_content else self._pattern


def _is_plain(line: ChatLine) -> bool:
    """Return whether a line is only text, and its event contains no mutable values."""
    said, choices = line.message, line.raw["choices"]
    more = said.thinking or said.extra or line.tool_call_deltas or line.logprobs or line.done
    if more or not isinstance(choices, list) or len(choices) != 1:
        return False
    (choice,) = choices
    rest = (*line.raw.items(), *choice.items(), *choice["delta"].items())
    return all(isinstance(value, _SIMPLE) for key, value in rest if key not in ("choices", "delta"))


def with_content(raw: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return an event of one choice with another text."""
    (choice,) = raw["choices"]
    return {**raw, "choices": [{**choice, "delta": {**choice["delta"], "content": text}}]}
