"""Read lines of plain text, the bulk of a stream, many at once."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ollama_transport.errors import OllamaError
from ollama_transport.wire.calls.line_reader import LineReader
from ollama_transport.wire.native.texts import text_lines
from ollama_transport.wire.values.answers import ChatLine
from ollama_transport.wire.values.json_bytes import TEXT, read_json_texts
from ollama_transport.wire.values.text_run import TextRun

# As Ollama's own server writes a line (wire reference 3.2): these keys, in this order. Whatever is
# rare or has rules beyond one text is left to the reader of any line.
_MODEL = b'{"model":"'
_MADE_AT = b'","created_at":"'
_SAYS = b'","message":{"role":"assistant","content":"'
_THINKS = _SAYS + b'","thinking":"'
_END = b'"},"done":false}\n'
# What stands between the quotes of a name or a time: ASCII without escapes.
_NAME = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')


def text_run(data: bytes) -> tuple[TextRun, int] | None:
    """Return the plain lines that data begins with, and their end.

    None where it begins with no such lines, or has other lines before the last of them.
    """
    made_at, end = data.find(_MADE_AT), data.rfind(_END) + len(_END)
    if not data.startswith(_MODEL) or not 0 < made_at < end:
        return None
    begin = data[: made_at + len(_MADE_AT)]
    is_thinking = data.startswith(_THINKS, data.find(b'"', len(begin)))
    says = _THINKS if is_thinking else _SAYS
    found = _cutter(len(begin), len(says)).findall(data, 0, end)
    # The lines are what these parts make, and nothing else.
    if not found or begin + (_END + begin).join(map(says.join, found)) + _END != data[:end]:
        return None
    times, texts = zip(*found, strict=True)
    names = b"\n".join([begin[len(_MODEL) : made_at], *times])
    if names.translate(None, _NAME) != b"\n" * len(times):
        return None
    try:
        inside = read_json_texts(texts)
    except ValueError:  # not valid UTF-8
        return None
    model, *told = names.decode("ascii").split("\n")
    return TextRun(model, told, inside, is_thinking=is_thinking), end


@lru_cache(maxsize=64)
def _cutter(begin: int, says: int) -> re.Pattern[bytes]:
    """Return a pattern for the time and the text of a line, given what stands before each.

    It goes over the constant parts without a look at them: to compare them byte by byte in a
    pattern takes ten times as long as all at once.
    """
    return re.compile(rb'(?s:.{%d})([^"]*+)(?s:.{%d})(%s)"[^\n]*+\n' % (begin, says, TEXT))


class RunReader(LineReader[ChatLine]):
    """Reads a stream as `LineReader` does, with runs of plain lines as one line each.

    ``received`` has the lines themselves; unless ``in_runs``, so has what is returned.
    """

    def __init__(
        self,
        read: Callable[[Mapping[str, Any]], ChatLine],
        is_last: Callable[[ChatLine], bool],
        unended: Callable[[ChatLine], ChatLine] | None = None,
        *,
        in_runs: bool = True,
    ) -> None:
        super().__init__(read, is_last, unended, text_lines)
        self._in_runs = in_runs

    def _shortly(
        self, data: bytes, texts: Callable[[Sequence[bytes]], list[ChatLine]]
    ) -> list[ChatLine]:
        found = text_run(data)
        if found is None:
            return super()._shortly(data, texts)
        run, end = found
        lines: list[ChatLine] = [run] if self._in_runs else [*run.lines()]
        self._received += lines
        self._decoder.note_lines()
        try:
            return lines + super()._shortly(data[end:], texts) if data[end:] else lines
        except OllamaError as error:
            self._order.hold(error)
            return lines

    @property
    def received(self) -> tuple[ChatLine, ...]:
        """Return the lines that came so far, each of them."""
        found: list[ChatLine] = []
        for line in self._received:
            found += line.lines() if isinstance(line, TextRun) else [line]
        return tuple(found)
