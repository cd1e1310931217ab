"""Find the caller's line for a warning, skipping our modules and those of the frameworks."""

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
"""Top-level packages that can stand between a caller and us."""


def caller_level() -> int:
    """Return the ``stacklevel`` with which a warning shows the line of the user's code.

    2 if there is none, as in a thread that a framework started.
    """
    frame = inspect.currentframe()
    level = 0
    while frame is not None and (frame := frame.f_back) is not None:
        level += 1
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] not in _PASSED:
            return level
    return 2
