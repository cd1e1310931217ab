"""What the commands write: tables for people, JSON for programs, errors in one line."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

_UNITS = ("B", "kB", "MB", "GB", "TB")


def print_json(value: Any) -> None:
    """Write a value as JSON, indented, without colours or wrapping."""
    text = json.dumps(value, default=_plain, indent=2, ensure_ascii=False)
    out.print(text, markup=False, soft_wrap=True)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is nothing that JSON has")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Write rows under their columns; ``empty`` is what to say when there are none."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*row)
        count += 1
    if count == 0:
        out.print(empty, markup=False)
    else:
        out.print(table)


def size(count: int | None) -> str:
    """Return bytes as people read them; "-" for unknown."""
    if count is None:
        return "-"
    number = float(count)
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError("the last unit takes every number")


def number(value: float | None, unit: str = "") -> str:
    """Return a number with its unit; "-" for unknown."""
    if value is None:
        return "-"
    text = f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
    return f"{text} {unit}".rstrip()


def when(moment: datetime | None) -> str:
    """Return a moment in local time, to the minute; "-" for unknown."""
    if moment is None:
        return "-"
    # Ollama spells "for ever" as a date centuries ahead (wire reference 3.7).
    return "for ever" if moment.year > 2200 else f"{moment.astimezone():%Y-%m-%d %H:%M}"
