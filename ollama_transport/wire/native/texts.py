"""Read lines of plain text that are written in another way than Ollama's, one by one."""

from collections.abc import Sequence

from ollama_transport.wire.values.answers import ChatLine
from ollama_transport.wire.values.json_bytes import json_loads
from ollama_transport.wire.values.messages import Message

_OTHER_LINES = (ValueError, RecursionError, LookupError, TypeError)


def text_lines(lines: Sequence[bytes]) -> list[ChatLine]:
    """Return the lines of a chat up to the first that adds more than text or thoughts.

    They are what `ChatLine.from_native` makes of them, at a third of the cost. Whatever is not
    surely such a line, bad JSON among it, is left to the reader of any line.
    """
    loads = json_loads()
    found: list[ChatLine] = []
    for line in lines:
        try:
            raw = loads(line)
            said, model, created_at = raw["message"], raw["model"], raw["created_at"]
            role, content = said["role"], said["content"]
            if raw["done"] is not False or len(raw) != 4:
                break
            thinking = "" if len(said) == 2 else said["thinking"]
        except _OTHER_LINES:
            break
        if len(said) > 3 or not role or type(role) is not str or type(content) is not str:
            break
        if type(model) is not str or type(created_at) is not str or type(thinking) is not str:
            break
        # Positional, as in `from_native`. All other fields have their defaults.
        message = Message(role, content, thinking)
        found.append(ChatLine(message, model, created_at, False, None, None, None, (), raw))
    return found
