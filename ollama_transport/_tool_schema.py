"""Placeholder until the real module lands (a helper is writing it)."""

from collections.abc import Mapping
from typing import Any


def flatten_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    return dict(tool)
