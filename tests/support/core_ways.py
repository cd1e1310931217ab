"""The same call of a LangChain object in its blocking and in its asynchronous form."""

from typing import Any

from running import Run


def call(run: Run, thing: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """Return what ``thing.name(…)`` returns, or ``await thing.aname(…)``."""
    return run(getattr(thing, f"a{name}" if run.is_async else name)(*args, **kwargs))


def pieces(
    run: Run, thing: Any, *args: Any, into: list[Any] | None = None, **kwargs: Any
) -> list[Any]:
    """Return all that ``thing.stream(…)`` or ``thing.astream(…)`` yields.

    A list given as ``into`` has what came before an error.
    """
    found: list[Any] = [] if into is None else into
    if run.is_async:
        run(_gather(thing.astream(*args, **kwargs), found))
    else:
        found.extend(thing.stream(*args, **kwargs))
    return found


async def _gather(stream: Any, found: list[Any]) -> None:
    async for piece in stream:
        found.append(piece)


def fields_of(model: Any) -> Any:
    """Return what identifies a model to LangChain; its method was called dict before core 1.5."""
    return model.asdict() if hasattr(model, "asdict") else model.dict()
