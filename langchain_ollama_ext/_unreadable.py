"""Keep core from completing a tool call that was cut.

When core merges chunks, it closes any open JSON, and an agent would run the call with incomplete
arguments. It gives up at an unmatched bracket, so one is appended to arguments that cannot be read.
They then become an invalid call, as in a whole answer.
"""

import json

from langchain_core.utils.json import parse_partial_json

_CLOSES = {"{": "}", "[": "]"}


def refusing_end(text: str, *, for_events: bool) -> str:
    """Return what to append to arguments so that core refuses them; "" where it already does.

    ``for_events`` is True for core's bridge to events, which accepts any JSON as arguments.
    """
    is_read = _is_json(text) if for_events else False
    if text.strip() and not is_read and not _is_completed(text):
        return ""
    return _wrong_end(text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_completed(text: str) -> bool:
    try:
        return isinstance(parse_partial_json(text), dict)
    except (ValueError, RecursionError):
        return False


def _wrong_end(text: str) -> str:
    """Return the end of an open string, if any, and an unmatched bracket."""
    in_string = escaped = False
    stack: list[str] = []
    for character in text:
        if in_string:
            in_string = character != '"' or escaped
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string, escaped = True, False
        elif character in _CLOSES:
            stack.append(_CLOSES[character])
        elif stack and character == stack[-1]:
            stack.pop()
    string_end = ("\\" if escaped else "") + '"' if in_string else ""
    return string_end + ("}" if stack and stack[-1] == "]" else "]")
