"""Read runs of plain lines at once, for answers of which only the whole is asked for.

A line is never made into an object: one pattern proves its shape, and one look at a run takes the
texts of all its lines out.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ollama_transport.errors import OllamaError
from ollama_transport.wire.calls.line_reader import LineReader
from ollama_transport.wire.native.texts import text_lines
from ollama_transport.wire.values.answers import ChatLine
from ollama_transport.wire.values.json_bytes import TEXT, read_json_text
from ollama_transport.wire.values.messages import Message

# Whatever is rare or has rules beyond one text (surrogates by number, names that are not ASCII) is
# left to the reader of any line.
_NAME = rb"[ !#-\[\]-~]*+"
# As Ollama's own server writes a line (wire reference 3.2): these keys, in this order. A match
# begins where a line begins; the constant before that check lets the search run in C.
_LINE = (
    rb'\{"model":"(?<![^\n]\{"model":")%s","created_at":"%s",'
    rb'"message":\{"role":"assistant","content":"(%s)"(?:,"thinking":"((?!")%s)")?\},'
    rb'"done":false\}\n'
) % (_NAME, _NAME, TEXT, TEXT)
_TEXTS = re.compile(_LINE)
_RUN = re.compile(rb"(?:%s)*" % _LINE)


class TextRun(ChatLine):
    """Plain lines that followed each other, as one line; it grows while more of them come.

    Their texts are joined when they are asked for.
    """

    model = created_at = ""
    done = False
    done_reason = usage = logprobs = None
    tool_call_deltas = ()

    def __init__(self) -> None:
        self._contents: list[str] = []
        self._thoughts: list[str] = []
        self._bytes: list[bytes] = []

    def add(self, content: str, thinking: str, lines: bytes) -> None:
        """Add the text and the thoughts of some lines, and their bytes."""
        self._contents.append(content)
        self._thoughts.append(thinking)
        self._bytes.append(lines)

    def lines(self) -> list[ChatLine]:
        """Return the lines themselves."""
        return text_lines(b"".join(self._bytes).split(b"\n")[:-1])

    @property
    def message(self) -> Message:  # type: ignore[override]  # made when it is asked for
        """Return what all lines add."""
        return Message("assistant", "".join(self._contents), "".join(self._thoughts))

    @property
    def raw(self) -> Mapping[str, Any]:  # type: ignore[override]  # made when it is asked for
        """Return the keys that joining reads, as one line would have them."""
        said = self.message
        thought = {"thinking": said.thinking} if said.thinking else {}
        return {"message": {"role": said.role, "content": said.content, **thought}, "done": False}


def text_run(data: bytes) -> tuple[str, str, int] | None:
    """Return the text and the thoughts of the plain lines that data begins with, and their end.

    None where it begins with no such line, or they are not valid UTF-8.
    """
    end = data.rfind(b"\n") + 1
    found = _TEXTS.findall(data, 0, end)
    # A match holds one line and its end: as many as there are ends are all lines.
    if len(found) != data.count(b"\n"):
        run = _RUN.match(data)
        end = 0 if run is None else run.end()
        found = _TEXTS.findall(data, 0, end)
    if not found:
        return None
    texts, thoughts = (b"".join(parts) for parts in zip(*found, strict=True))
    # What stands between the quotes of several texts is what one of all would hold.
    try:
        return read_json_text(texts), read_json_text(thoughts), end
    except ValueError:
        return None


class RunReader(LineReader[ChatLine]):
    """Reads a stream as `LineReader` does, with runs of plain lines as one line each.

    A run is returned once, by the call that begins it. ``received`` has the lines themselves.
    """

    def __init__(
        self,
        read: Callable[[Mapping[str, Any]], ChatLine],
        is_last: Callable[[ChatLine], bool],
        unended: Callable[[ChatLine], ChatLine] | None = None,
    ) -> None:
        super().__init__(read, is_last, unended, text_lines)

    def _shortly(
        self, data: bytes, texts: Callable[[Sequence[bytes]], list[ChatLine]]
    ) -> list[ChatLine]:
        run = text_run(data)
        if run is None:
            return super()._shortly(data, texts)
        content, thinking, end = run
        found = self._grown(content, thinking, data[:end])
        self._decoder.note_lines()
        try:
            return found + super()._shortly(data[end:], texts) if data[end:] else found
        except OllamaError as error:
            self._order.hold(error)
            return found

    def _grown(self, content: str, thinking: str, lines: bytes) -> list[ChatLine]:
        """Return the run that these lines begin; [] where they belong to the last one."""
        last = self._received[-1] if self._received else None
        run = last if isinstance(last, TextRun) else TextRun()
        run.add(content, thinking, lines)
        if run is last:
            return []
        self._received.append(run)
        return [run]

    @property
    def received(self) -> tuple[ChatLine, ...]:
        """Return the lines that came so far, each of them."""
        found: list[ChatLine] = []
        for line in self._received:
            found += line.lines() if isinstance(line, TextRun) else [line]
        return tuple(found)
