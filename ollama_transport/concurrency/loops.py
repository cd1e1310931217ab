"""Detect a running event loop, which must not be blocked."""

import asyncio


def is_on_loop() -> bool:
    """Return whether this thread runs an event loop: blocking it would stop all of its tasks."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
