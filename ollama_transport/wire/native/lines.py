"""The calls of Ollama's own wire that generate text: answers in lines."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from ollama_transport.wire.calls.body import without_none
from ollama_transport.wire.calls.call import (
    Call,
    Lack,
    Reader,
    Recover,
    Shaper,
    shaped,
    shaping,
    truncated,
)
from ollama_transport.wire.calls.line_reader import LineReader
from ollama_transport.wire.calls.said import check_said, other_wire
from ollama_transport.wire.values.answers import ChatLine, GenerateLine, Progress

logger = logging.getLogger("ollama_transport")

Line = TypeVar("Line", ChatLine, GenerateLine)

# Always sent: if absent, /api streams and /v1 does not (wire reference 2).
WHOLE = {"stream": False}
STREAM = {"stream": True}


def answer_lines(
    path: str,
    body: Mapping[str, Any],
    read: Callable[[Mapping[str, Any]], Line],
    model: str | None,
    shapers: Callable[[], Sequence[Shaper[Line]]],
    *,
    join: Callable[[Sequence[Line]], Line] | None,
    runs: Callable[..., Reader[Line]] | None = None,
    recover: Recover[Line] | None = None,
    lacks: tuple[Lack, ...] = (),
) -> Call[Line]:
    """Return a call that generates text; ``join`` is None where it only loads or unloads.

    ``recover`` and ``lacks`` are as for `Call`. ``runs`` is a quicker `LineReader` for plain lines,
    which it returns as one where no shaper wants to see each of them.
    """
    unended: Callable[[Line], Line] | None = None if join is None else _unended

    def read_whole(raw: Mapping[str, Any]) -> Line:
        if "choices" in raw and "message" not in raw and "response" not in raw:
            raise other_wire(path)
        answer = read(raw)
        if unended is not None:
            answer = unended(answer)
            check_said((answer,))
        if "done" not in raw:
            answer = replace(answer, done=True)  # not Ollama: the body came whole
        # The server's guard against repetition ends an answer this way (wire reference 3.2).
        if not answer.done:
            raise truncated((answer,), whole=True)
        return shaped(answer, shapers())

    def joining_reader() -> Reader[Line]:
        if runs is None or shapers():
            return reader()
        return runs(read, is_done, unended)

    def reader() -> Reader[Line]:
        plain = LineReader if runs is None else partial(runs, in_runs=False)
        return shaping(plain(read, is_done, unended), shapers())

    return Call(
        "POST",
        path,
        read_whole,
        body=without_none(body),
        reader=reader,
        whole_fields=WHOLE,
        stream_fields=STREAM,
        model=model,
        metered=join is not None,
        capability="completion",
        pullable=True,
        join=join,
        joining_reader=joining_reader,
        # Unstreamed, the connection is silent until the end, and proxies cut it after a minute.
        streams_whole=join is not None,
        recover=recover,
        lacks=lacks,
    )


def _unended(line: Line) -> Line:
    """Return a ``done`` line that only says that the model was loaded with ``done`` False."""
    if line.done_reason != "load" or line.text.strip() or line.thinking or line.tool_calls:
        return line
    logger.warning("the server loaded %s and sent no answer yet", line.model)
    if isinstance(line, ChatLine):
        silent = replace(line.message, content="")
        return replace(line, message=silent, done=False, done_reason=None)
    return replace(line, text="", done=False, done_reason=None)


def is_done(line: ChatLine | GenerateLine | Progress) -> bool:
    """Return whether a line is the last of its answer."""
    return line.done
