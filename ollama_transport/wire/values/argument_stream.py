"""Forward the text of a call's arguments as it arrives, repaired to strict JSON."""

import json
import re
from string import ascii_letters

_OUTSIDE = re.compile(r'[{}\[\]",]')
_INSIDE = re.compile(r'["\\\x00-\x1f]')
# Python's words for JSON's, and the end of a text that may be the beginning of one.
_WORDS = {"True": "true", "False": "false", "None": "null"}
_WORD = re.compile(r"\b(?:True|False|None)\b")


class ArgumentStream:
    """Reads one JSON object incrementally.

    Commas before a closing bracket are left out, line ends in strings are escaped, and Python's
    True, False and None become JSON's. Nothing is forwarded for an empty object, or for text that
    does not begin with an object whose first key is in double quotes. ``ended`` is True
    once the object is complete, ``is_void`` when it turned out to be empty.
    """

    def __init__(self) -> None:
        self.has_text = False
        self.is_plain = False
        self.ended = False
        self.is_void = False
        # A comma, or the first bracket: whether it is forwarded depends on what follows.
        self._held = ""
        self._letters = ""
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._last = ""

    def feed(self, text: str) -> tuple[str, str]:
        """Take text; return what to forward of it, and the text after the end of the object."""
        if not self.has_text:
            text = text.lstrip()
            if not text:
                return "", ""
            self.has_text = True
            self.is_plain = text.startswith("{")
        if not self.is_plain:
            return "", ""
        passed: list[str] = []
        at = 0
        while at < len(text) and self.is_plain and not self.ended:
            step = self._inside if self._in_string else self._outside
            at = step(text, at, passed)
        return "".join(passed), text[at:] if self.is_plain else ""

    def takes(self, text: str) -> bool:
        """Return whether this text can continue the object."""
        if self.ended:
            return False
        opens = text.lstrip().startswith("{")
        if not self.has_text:
            return opens
        # A bracket anywhere else begins another object.
        return self._in_string or not opens or self._last in (":", "[", ",")

    def _outside(self, text: str, at: int, passed: list[str]) -> int:
        match = _OUTSIDE.search(text, at)
        end = len(text) if match is None else match.start()
        self._pass_plain(text[at:end], passed, is_whole=match is not None)
        if match is None or not self.is_plain:
            return end
        mark = match.group()
        self._last = mark
        if mark in "}]":
            self._close(mark, passed)
        else:
            self._open(mark, passed)
        return end + 1

    def _pass_plain(self, text: str, passed: list[str], *, is_whole: bool) -> None:
        if text.strip():
            self._last = text.rstrip()[-1]
        if self._letters:
            text, self._letters = self._letters + text, ""
        if not is_whole:
            end = len(text.rstrip(ascii_letters))
            self._letters, text = text[end:], text[:end]
        if text.strip():
            # A key without double quotes: no JSON.
            self.is_plain = not self._held.startswith("{")
            passed.append(self._released(_WORD.sub(_as_json, text)) if self.is_plain else "")
        elif self._held:
            self._held += text
        elif text:
            passed.append(text)

    def _open(self, mark: str, passed: list[str]) -> None:
        passed.append(self._released(""))
        if mark == "," or (mark == "{" and self._depth == 0):
            self._held = mark
        else:
            passed.append(mark)
        self._in_string = mark == '"'
        self._depth += mark in "{["

    def _close(self, mark: str, passed: list[str]) -> None:
        self._depth -= 1
        self.ended = self._depth == 0
        self.is_void = self.ended and self._held.startswith("{")
        held = "" if self.is_void else self._held.removeprefix(",")
        self._held = ""
        passed.append("" if self.is_void else held + mark)

    def _released(self, text: str) -> str:
        held, self._held = self._held, ""
        return held + text

    def _inside(self, text: str, at: int, passed: list[str]) -> int:
        if self._escaped:
            self._escaped = False
            passed.append(text[at])
            return at + 1
        match = _INSIDE.search(text, at)
        if match is None:
            passed.append(text[at:])
            return len(text)
        mark = match.group()
        passed.append(text[at : match.start()])
        # Models write raw line ends into strings, which strict JSON forbids.
        passed.append(mark if mark in '"\\' else json.dumps(mark)[1:-1])
        self._in_string = mark != '"'
        self._escaped = mark == "\\"
        self._last = mark
        return match.end()


def _as_json(word: re.Match[str]) -> str:
    return _WORDS[word.group()]
