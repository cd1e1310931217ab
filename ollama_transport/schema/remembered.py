"""Flatten the schema of a tool once, however often the tool is sent."""

import marshal
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ollama_transport.schema.tools import flatten_tool

_LARGEST = 64 * 1024
"""Larger tools, in bytes, are not kept."""
# Marshal's later formats write equal values in different ways, by how often each is referred to.
_FORMAT = 2


def flattened_tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `flatten_tool` of a tool; the last 256 are kept, by their content.

    The result is shared by all who ask: do not change it. A tool that was changed in place since
    is another tool. Types, the order of keys, and True against 1 count as content.

    Raises:
        ConfigError: as `flatten_tool`.
    """
    plain: Any = tool
    try:
        content = marshal.dumps(plain, _FORMAT)
    except ValueError:  # something that is not plain JSON, such as an enum's member
        return flatten_tool(tool)
    return _of_content(content) if len(content) <= _LARGEST else flatten_tool(tool)


@lru_cache(maxsize=256)
def _of_content(content: bytes) -> Mapping[str, Any]:
    return flatten_tool(marshal.loads(content))  # what was written above, in this process
