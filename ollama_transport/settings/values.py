"""Values with strict formats on the server, checked before they are sent."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, cast

from ollama_transport.errors import ConfigError
from ollama_transport.settings.options import Think, reasoning_level

KeepAlive = float | str | timedelta
"""How long a model stays in memory: seconds, or text such as "5m"; negative is forever."""

SplitThinking = Literal["tags", False] | tuple[str, str]
"""The tags around thoughts in the text: the usual ones, none, or an opening and a closing one."""

_NUMBER = re.compile(r"^[+-]?\d{1,18}(?:\.\d{1,18})?$")
_AMOUNT = r"(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})"
# Both Unicode signs for micro, like Go's parser.
_DURATION = re.compile(rf"^[+-]?(?:{_AMOUNT}(?:ns|us|µs|μs|ms|s|m|h))+$")


def keep_alive(value: KeepAlive | None) -> float | str | None:
    """Return a value for ``keep_alive`` in the server's format (wire reference 3.7).

    Numbers are seconds; negative means forever, 0 unloads at once. Text is a Go duration such as
    "5m" or "1h30m". A bare "300" or "-1", which the server accepts in its environment variable but
    not in a request, is converted. None sends nothing.

    Raises:
        ConfigError: for anything else.
    """
    if value is None:
        return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        text = value.strip()
        # Accepted in the server's variable, but not in requests (wire reference 3.7).
        if _NUMBER.match(text):
            return _whole(float(text))
        if _DURATION.match(text):
            return text
    elif not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
        return value
    raise ConfigError(
        f"invalid keep_alive={value!r}: give seconds (-1 for ever, 0 to unload), or a "
        'duration with its unit, such as "5m" or "1h30m".'
    )


def _whole(number: float) -> float:
    return int(number) if number.is_integer() else number


def check_think(value: object) -> Think | None:
    """Return a value for ``think``; None leaves it to the server (on if the model can think).

    Raises:
        ConfigError: for anything but True, False and the name of a level; whether the model has
            that level is known to the server alone.
    """
    if value is None or isinstance(value, bool):
        return value
    try:
        return reasoning_level(value)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def check_split_thinking(value: object) -> SplitThinking | None:
    """Return the tags around thoughts in the text; None leaves it to ``think``.

    Raises:
        ConfigError: for anything but "tags", False, None and a pair of texts, the second not empty.
    """
    if value is None or value is False or value == "tags":
        return cast("SplitThinking | None", value)
    # A configuration in JSON has lists only.
    if isinstance(value, tuple | list) and len(value) == 2:
        opening, closing = value
        if isinstance(opening, str) and isinstance(closing, str) and closing:
            return opening, closing
    raise ConfigError(
        f'split_thinking={value!r}: give "tags", a pair of tags such as ("<think>", "</think>"), '
        "or False."
    )


def check_format(value: object) -> str | Mapping[str, Any] | None:
    """Return a value for ``format``: "json" or a JSON schema; None for "" and None.

    Raises:
        ConfigError: for anything else (the server would answer 500, wire reference 3.6).
    """
    # The server treats both as "no format" (wire reference 3.6).
    if value is None or value == "":
        return None
    if value == "json" or isinstance(value, Mapping):
        return cast("str | Mapping[str, Any]", value)
    raise ConfigError(
        f'invalid format={value!r}: give "json" or a JSON schema (of a pydantic model: '
        "`Model.model_json_schema()`)."
    )


def check_top_logprobs(value: int | None) -> int | None:
    """Return a value for ``top_logprobs``.

    Raises:
        ConfigError: outside 0 to 20.
    """
    # Checked even without `logprobs`, like the server does (wire reference 3.1).
    is_count = isinstance(value, int) and not isinstance(value, bool)
    if value is None or (is_count and 0 <= value <= 20):
        return value
    raise ConfigError(f"top_logprobs={value!r} is out of range: give 0 to 20.")


MAPPINGS = (dict, Mapping)
"""For isinstance: checking a dict against Mapping alone takes ten times as long."""


def check_items(name: str, value: object, kind: type | tuple[type, ...], wanted: str) -> None:
    """Check that a value is a sequence of items of one type.

    Generators are refused as well: a request may have to be sent twice.

    Raises:
        ConfigError: for anything else; ``wanted`` describes the items.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        found = f"a {type(value).__name__}"
    else:
        odd = [item for item in value if not isinstance(item, kind)]
        if not odd:
            return
        found = f"a list that contains {odd[0]!r:.80}"
    raise ConfigError(f"`{name}` is {found}: give a list of {wanted}.")


def check_mapping(name: str, value: object) -> Mapping[str, Any]:
    """Return a mapping; an empty one for None.

    Raises:
        ConfigError: for anything else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        # The value is not shown: headers contain secrets.
        raise ConfigError(f"`{name}` is a {type(value).__name__}: give a dict of names and values.")
    return value
