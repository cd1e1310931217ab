"""Where a warning points: at the caller's line, past our modules and the frameworks' own."""

import inspect

__all__ = ["caller_level"]

_PASSED = frozenset(
    (
        *("ollama_transport", "langchain_ollama_ext", "llamaindex_ollama_ext", "ollama_ext"),
        *("langchain", "langchain_classic", "langchain_community", "langchain_core", "langgraph"),
        *("llama_index", "llama_index_instrumentation", "workflows", "tenacity", "wrapt"),
        *("asyncio", "concurrent", "contextlib", "contextvars", "functools", "threading"),
    )
)
"""Packages between a caller and us, by their first name."""


def caller_level() -> int:
    """Return the ``stacklevel`` with which the function that asks warns at the caller's line.

    2 where no caller is found, as in a thread that a framework started.
    """
    frame = inspect.currentframe()
    level = 0
    while frame is not None and (frame := frame.f_back) is not None:
        level += 1
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] not in _PASSED:
            return level
    return 2
