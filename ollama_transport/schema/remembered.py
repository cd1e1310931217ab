"""Flatten the schema of a tool once, however often the tool is sent."""

import marshal
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ollama_transport.schema.tools import flatten_tool

_LARGEST = 64 * 1024
"""Tools above this size, in bytes, are not cached."""
# Later formats of marshal encode equal values differently, depending on their reference counts.
_FORMAT = 2


class FlattenedTool(dict[str, Any]):
    """A flattened tool, shared between calls; ``text`` is its JSON, None until the first call.

    Writing the JSON of 20 tools costs more than all the rest of a short call.
    """

    __slots__ = ("text",)

    def __init__(self, tool: Mapping[str, Any]) -> None:
        super().__init__(tool)
        self.text: bytes | None = None


def flattened_tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `flatten_tool` of a tool; the last 256 results are cached by content.

    The result is shared between callers: do not change it. The cache key is the content (types,
    order of keys, True or 1), so a tool that was changed in place is flattened again.

    Raises:
        ConfigError: see `flatten_tool`.
    """
    plain: Any = tool
    try:
        content = marshal.dumps(plain, _FORMAT)
    except ValueError:  # not plain JSON, such as an enum member
        return flatten_tool(tool)
    return _of_content(content) if len(content) <= _LARGEST else flatten_tool(tool)


@lru_cache(maxsize=256)
def _of_content(content: bytes) -> Mapping[str, Any]:
    # Trusted: written above, in this process.
    return FlattenedTool(flatten_tool(marshal.loads(content)))
