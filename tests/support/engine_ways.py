"""What tests of engines and agents share: calls both ways, what was asked, what agents did."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from llama_corpus import memory_of
from llama_index.core.agent.workflow import AgentOutput, AgentStream, ToolCallResult
from recorded import recording
from running import Run

from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedOllama, Gate


def ask(run: Run, thing: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """Return what ``thing.name(…)`` returns, or ``await thing.aname(…)``."""
    return run(getattr(thing, f"a{name}" if run.is_async else name)(*args, **kwargs))


def chats(server: EmbeddedOllama) -> list[Any]:
    """Return what the server was asked to chat about, oldest first."""
    return [request.json for request in server.requests if request.path == "/api/chat"]


@contextmanager
def opening(server: EmbeddedOllama, gate: Gate, count: int) -> Iterator[Future[bool]]:
    """Open a gate from beside as soon as so many requests came; the result is whether they did."""

    def watch() -> bool:
        came = server.wait_for_requests(count)
        # Opened all the same, so that who waits behind it fails and does not hang.
        gate.set()
        return came

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(watch)


def recorded_text(name: str, field: str = "content") -> str:
    """Return all that the model of a recorded chat says, or thinks."""
    return "".join(line["message"].get(field, "") for line in recording(name).objects)


def recorded_calls(name: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return id, name and arguments of each call in a recorded chat."""
    return [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for line in recording(name).objects
        for call in line["message"].get("tool_calls", [])
    ]


class Ran:
    """What an agent did."""

    def __init__(self, answer: str, events: list[Any]) -> None:
        self.answer = answer
        self.events = events
        self.bodies: list[Any] = []
        self.results = [e for e in events if isinstance(e, ToolCallResult)]
        self.stream = [e for e in events if isinstance(e, AgentStream)]
        self.outputs = [e for e in events if isinstance(e, AgentOutput)]

    @property
    def called(self) -> list[tuple[str, dict[str, Any], str]]:
        return [(r.tool_name, r.tool_kwargs, str(r.tool_output)) for r in self.results]


async def ran(agent: Any, message: str, llm: Ollama, **more: Any) -> Ran:
    """Run an agent to its end, with a memory of its own unless one is given."""
    handler = agent.run(message, **{"memory": memory_of(llm), **more})
    events = [event async for event in handler.stream_events()]
    return Ran(str(await handler), events)
