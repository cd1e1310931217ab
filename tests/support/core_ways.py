"""The same call of a LangChain object in its blocking and in its asynchronous form."""

from typing import Any

from running import Run


def call(run: Run, thing: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """Return what ``thing.name(…)`` returns, or ``await thing.aname(…)``."""
    return run(getattr(thing, f"a{name}" if run.is_async else name)(*args, **kwargs))


def pieces(run: Run, thing: Any, *args: Any, **kwargs: Any) -> list[Any]:
    """Return all that ``thing.stream(…)`` yields, or ``thing.astream(…)``."""
    return call_pieces(run, thing, "stream", *args, **kwargs)


def call_pieces(run: Run, thing: Any, name: str, *args: Any, **kwargs: Any) -> list[Any]:
    """Return all that a streaming method yields, in either form."""
    if not run.is_async:
        return list(getattr(thing, name)(*args, **kwargs))
    return list(run(_gathered(getattr(thing, f"a{name}")(*args, **kwargs))))


async def _gathered(stream: Any) -> list[Any]:
    return [piece async for piece in stream]
