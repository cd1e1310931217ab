"""Output of the commands: tables for people, JSON for programs, one-line messages."""

import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from ollama_transport.errors import ConfigError

READER_LEFT = 141
"""Exit code for a closed output pipe, as reported by a shell (128 + SIGPIPE)."""

_WIDE = 10_000
_UNITS = ("B", "kB", "MB", "GB", "TB")
# Text from a server or a model must neither control the terminal nor disguise what it says.
_HARMFUL = re.compile(
    # C0 without tab and line end, DEL, C1
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"
    # Directions: embeddings, overrides, isolates, marks ("Trojan Source", CVE-2021-42574).
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"
    # Invisible characters: they hide text from people, but not from a model or a shell.
    r"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2028\u2029\u2060-\u2065\u3164"
    r"\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    # Persian, Indic scripts and emoji need joiners; next to ASCII they only hide text.
    r"|(?<=[\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?=[\x00-\x7f])"
)


class Screen(Console):
    """Writes plain text: no markup, no emoji codes, no wrapping, and no hidden characters.

    A pipe gets the same text as a terminal, since it usually ends at one (``| less``, ``| tee``);
    use ``--json`` for exact text.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)

    def write(self, text: str, style: str = "") -> None:
        """Write a piece of text without a newline."""
        text = clean(text)
        if self.is_terminal:
            # Not rich's Text, which wraps and removes spaces at the ends of lines.
            piece = Segment(text, self.get_style(style))
            self.print(Segments([piece]), end="", soft_wrap=True)
            return
        try:
            self.file.write(text)
            self.file.flush()
        except BrokenPipeError:
            self.on_broken_pipe()

    def say(self, text: str = "", style: str = "") -> None:
        """Write a line of text."""
        self.write(f"{text}\n", style)

    def on_broken_pipe(self) -> None:
        """End quietly when the pipe was closed, as in ``ollama-ext models | head -1``."""
        self.quiet = True
        # Python flushes its streams again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
        raise SystemExit(READER_LEFT)


# They look up sys.stdout and sys.stderr at each write, and so follow redirections.
out = Screen()
err = Screen(stderr=True)


def encode_anything() -> None:
    """Replace characters that the encoding of a stream lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def clean(text: str) -> str:
    """Return text without characters that control a terminal, change direction, or hide text."""
    return _HARMFUL.sub("", text)


def say_error(text: str) -> None:
    """Write an error to stderr."""
    err.write("error:", "bold red")
    err.say(f" {text}")


@contextmanager
def waiting(text: str, screen: Screen = err) -> Iterator[None]:
    """Show a spinner while the block runs, on a terminal only."""
    if not screen.is_terminal:
        yield
        return
    with screen.status(Text(clean(text))):
        yield


def ask(question: str, instead: str) -> bool:
    """Ask a question on stderr and return whether the answer is yes.

    ``instead`` is the option that avoids the question, named in the error.

    Raises:
        ConfigError: if standard input is closed.
    """
    # On stderr, which stays visible when standard output goes to a file.
    err.write(f"{question} [y/N] ")
    answer = sys.stdin.readline() if sys.stdin is not None else ""
    if not answer:
        err.say()
        raise ConfigError(f"standard input gives no answer: use {instead}.")
    return answer.strip().lower() in ("y", "yes")


def print_json(value: Any, *, lines: bool = False) -> None:
    """Write a value as JSON: indented, or on one line with ``lines``."""
    # ASCII only, so that it is valid JSON in any encoding of the stream.
    out.say(json.dumps(value, default=_plain, indent=None if lines else 2))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str = "") -> None:
    """Write rows as a table, or ``empty`` if there are no rows.

    Without column names there is no header. A terminal shrinks the last column, a pipe does not.
    """
    table = Table(box=None, header_style="bold", pad_edge=False, show_header=any(columns))
    for place, column in enumerate(columns, 1):
        table.add_column(column, overflow="fold", no_wrap=place < len(columns))
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    if table.row_count:
        (out if out.is_terminal else Screen(width=_WIDE)).print(table)
    else:
        out.say(empty)


def size(count: int | None) -> str:
    """Return a human-readable size; "-" for unknown."""
    if count is None:
        return "-"
    # Decimal units, like Ollama itself.
    number = float(count)
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError("the last unit fits every number")


def number(value: float | None, unit: str = "") -> str:
    """Return a number with its unit; "-" for unknown."""
    if value is None:
        return "-"
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
    return f"{text} {unit}".rstrip()


def when(moment: datetime | None) -> str:
    """Return a local time to the minute; "-" for unknown."""
    if moment is None:
        return "-"
    # Ollama spells "for ever" as a date centuries ahead (wire reference 3.7).
    return "for ever" if moment.year > 2200 else f"{moment.astimezone():%Y-%m-%d %H:%M}"
