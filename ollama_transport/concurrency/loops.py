"""Tell where waiting is wrong."""

import asyncio


def is_on_loop() -> bool:
    """Tell whether this thread runs an event loop: who blocks here stops every task of it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
