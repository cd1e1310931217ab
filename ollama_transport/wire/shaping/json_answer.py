"""Extract the JSON of an answer for which JSON was requested.

If a server does not enforce ``format``, models write a fence, words or thoughts around the JSON,
and raw line ends into its strings. Callers that parse the text strictly (LangChain's
ProviderStrategy) fail on those.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ollama_transport.wire.shaping.forced import with_text
from ollama_transport.wire.values.answers import ChatLine
from ollama_transport.wire.values.json_text import FoundJson, find_json, find_thought_json

# Each space is read by one possessive repeat, so that a run of spaces takes linear time.
_FENCE = re.compile(
    r"\s{0,100}+(?:(?:```|~~~)\w{0,20}+\s{0,100}+|json\s{0,100}+)?(?=\{\s{0,100}+[\"}]|\[)"
)
_OUTSIDE = re.compile(r'[{}\[\]"]')
_INSIDE = re.compile(r'["\\\x00-\x1f]')
_MAX_OPENING = 200


class JsonAnswer:
    """Passes on the JSON of one answer, without the text around it; make one for each answer.

    Text that begins with JSON, or with a fence around it, is passed on as it comes. Any other text
    is held back to the end: if it holds JSON of the requested shape, that alone is passed on,
    otherwise all of it. If there is no text at all, JSON that makes up the end of the thoughts is
    the answer. An answer with tool calls is not changed. A whole answer is repaired too, where
    that is certain: commas too many, Python's quotes, a list or a name around the object.
    """

    def __init__(self, wanted: str | Mapping[str, Any]) -> None:
        self._wanted = wanted
        self._held = ""
        self._stream: _JsonStream | None = None
        self._is_first = True
        self._is_plain = False
        self._has_more = False
        self._thoughts: list[str] = []

    def push(self, line: ChatLine) -> ChatLine:
        """Return the line with the part of its text that is JSON."""
        message = line.message
        if self._is_plain:
            return line
        if message.thinking:
            self._thoughts.append(message.thinking)
        if message.tool_calls or line.tool_call_deltas or message.extra:
            self._is_plain = True
            return with_text(line, self._held + message.content)
        is_whole, self._is_first = line.done and self._is_first, False
        text = self._passed(message.content)
        text = text + self._last() if line.done else text
        return with_text(line, self._repaired(text) if is_whole else text)

    def _repaired(self, text: str) -> str:
        """Return a whole answer, repaired if it is not the requested JSON."""
        candidates = () if self._has_more else find_json(text)
        found = self._fitting(candidates)
        return text if found is None else found

    def _passed(self, text: str) -> str:
        if self._stream is None:
            self._held += text
            opening = _FENCE.match(self._held[:_MAX_OPENING])
            if opening is None:
                return ""
            text, self._held = self._held[opening.end() :], ""
            self._stream = _JsonStream()
        passed, rest = self._stream.feed(text)
        self._held += rest
        return passed

    def _last(self) -> str:
        """Return what is still missing of the answer at its end."""
        self._is_plain = True
        held = self._held
        if self._stream is not None:
            # Words after the JSON are left out, more JSON is not.
            self._has_more = next(find_json(held), None) is not None
            return held if self._has_more or not self._stream.ended else ""
        if not held.strip():
            found = self._fitting(find_thought_json("".join(self._thoughts)))
            return held if found is None else found
        found = self._fitting(find_json(held))
        return held if found is None else found

    def _fitting(self, candidates: Iterable[FoundJson]) -> str | None:
        return next((found.text for found in candidates if self._fits(found.value)), None)

    def _fits(self, value: object) -> bool:
        """Return whether a value is certainly the answer, and not a part of the words."""
        if isinstance(self._wanted, str) or self._wanted.get("type") != "object":
            is_list = not isinstance(self._wanted, str) and self._wanted.get("type") == "array"
            return isinstance(value, list if is_list else Mapping) and bool(value)
        return isinstance(value, Mapping) and set(self._wanted.get("required", ())) <= value.keys()


class _JsonStream:
    """Passes on one JSON value as it arrives, with the line ends in its strings escaped."""

    def __init__(self) -> None:
        self.ended = False
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> tuple[str, str]:
        """Take text; return what belongs to the value, and the text after its end."""
        at, passed = 0, []
        while at < len(text) and not self.ended:
            mark = (_INSIDE if self._in_string else _OUTSIDE).search(text, at)
            if self._escaped or mark is None:
                end = at + 1 if self._escaped else len(text)
                passed.append(text[at:end])
                self._escaped = False
            else:
                end = mark.end()
                passed.append(text[at : end - 1] + self._read(mark.group()))
            at = end
        return "".join(passed), text[at:]

    def _read(self, mark: str) -> str:
        if self._in_string:
            self._in_string, self._escaped = mark != '"', mark == "\\"
            return mark if mark in '"\\' else json.dumps(mark)[1:-1]
        self._in_string = mark == '"'
        self._depth += (mark in "{[") - (mark in "}]")
        self.ended = self._depth == 0 and not self._in_string
        return mark
