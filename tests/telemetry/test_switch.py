"""Who is recorded: everybody, one model or nobody, never twice; until then it costs nothing."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from opentelemetry import context, trace
from otel_sdk import recording_calls
from running import Run

from langchain_ollama_ext import ChatOllama
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama
from ollama_transport import ChatRequest, Message
from ollama_transport.telemetry import active, switch, uninstrument

ROOT = Path(__file__).parents[2]
HELLO = ChatRequest("demo", [Message("user", "Hello")])


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama([EmbeddedModel("demo")]) as running:
        yield running


def test_nothing_is_recorded_until_asked_for(run: Run, server: EmbeddedOllama) -> None:
    """Without `instrument` no trace goes out; after `uninstrument` none any more."""
    client = run.client(server.url)
    with recording_calls() as recorded:
        pass
    run(client.chat(HELLO))
    assert recorded.spans == []
    assert "traceparent" not in server.requests[-1].headers


def test_a_client_may_stay_out(run: Run, server: EmbeddedOllama) -> None:
    """The switch against double spans, for one model."""
    with recording_calls() as recorded:
        run(run.client(server.url, telemetry=False).chat(HELLO))
        run(run.client(server.url, telemetry=True).chat(HELLO))
    assert len(recorded.spans) == 1


def test_one_client_may_be_recorded_alone(
    run: Run, server: EmbeddedOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `instrument`, a model that asks for it is recorded by the global providers."""
    with recording_calls() as recorded:
        taken = active(True)
    monkeypatch.setattr(switch._Switch, "fallback", taken)
    uninstrument()
    run(run.client(server.url, telemetry=True).chat(HELLO))
    assert "traceparent" in server.requests[-1].headers
    run(run.client(server.url).chat(HELLO))
    assert "traceparent" not in server.requests[-1].headers
    assert recorded.spans == []  # its providers are shut down


def test_the_global_providers_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made once for the process."""
    monkeypatch.setattr(switch._Switch, "fallback", None)
    made = active(True)
    assert made is not None
    assert active(True) is made
    assert active(None) is None


@pytest.mark.parametrize(
    "name",
    ["suppress_language_model_instrumentation", context._SUPPRESS_INSTRUMENTATION_KEY],
    ids=["openllmetry", "opentelemetry"],
)
def test_a_suppressed_call_is_not_recorded(run: Run, server: EmbeddedOllama, name: str) -> None:
    """OpenLLMetry suppresses the layers below its own span by the first of these."""
    client = run.client(server.url)
    with recording_calls() as recorded:
        token = context.attach(context.set_value(name, True))
        run(client.chat(HELLO))
        run.lines(client.chat_stream(HELLO))
        context.detach(token)
    assert recorded.spans == []
    assert recorded.points() == {}


@pytest.mark.parametrize(
    ("attribute", "value", "expected"),
    [
        ("openinference.span.kind", "LLM", 1),
        ("openinference.span.kind", "CHAIN", 2),
        ("gen_ai.operation.name", "chat", 1),
        ("gen_ai.operation.name", "invoke_agent", 2),
        ("llm.request.type", "chat", 1),
    ],
)
def test_a_call_that_has_a_span_gets_no_second_one(
    run: Run, server: EmbeddedOllama, attribute: str, value: str, expected: int
) -> None:
    """Below a span of another instrumentation that is the call's, only the trace goes out."""
    client = run.client(server.url)
    with (
        recording_calls() as recorded,
        recorded.tracer.start_as_current_span("theirs", attributes={attribute: value}) as theirs,
    ):
        run(client.chat(HELLO))
    assert len(recorded.spans) == expected
    found = trace.format_trace_id(theirs.get_span_context().trace_id)
    assert found in server.requests[-1].headers["traceparent"]


def test_a_model_keeps_its_switch_in_a_copy(server: EmbeddedOllama) -> None:
    """A copied model with the switch set otherwise has clients of its own."""
    with ChatOllama(model="demo", base_url=server.url) as model, recording_calls() as recorded:
        model.invoke("Hello")
        model.model_copy(update={"telemetry": False}).invoke("Hello")
    assert len(recorded.spans) == 1


def test_a_program_needs_no_line_of_code(run: Run, server: EmbeddedOllama) -> None:
    """`opentelemetry-instrument` finds the instrumentor by its entry point."""
    (entry,) = entry_points(group="opentelemetry_instrumentor", name="ollama_ext")
    instrumentor = entry.load()()
    with recording_calls() as recorded:
        uninstrument()
        instrumentor.instrument(tracer_provider=recorded.tracers, skip_dep_check=True)
        run(run.client(server.url).chat(HELLO))
        instrumentor.uninstrument()
        run(run.client(server.url).chat(HELLO))
    assert len(recorded.spans) == 1


OFF = """
import sys
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import Client
with EmbeddedOllama() as server, Client(server.url) as client:
    client.chat("demo", [{"role": "user", "content": "Hello"}])
found = [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]
assert not found, found
"""

MISSING = """
import sys
sys.modules["opentelemetry"] = None
from ollama_transport import instrument
try:
    instrument()
except ImportError as error:
    assert "ollama-ext[otel]" in str(error), error
else:
    raise SystemExit("it was not missed")
"""


@pytest.mark.parametrize("program", [OFF, MISSING], ids=["off", "missing"])
def test_opentelemetry_is_an_extra(program: str) -> None:
    """A program that does not ask for it loads nothing of it; who asks is told how to get it."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_one_module_talks_to_opentelemetry() -> None:
    """Its types are nowhere else, so that a change of its API is a change of one file."""
    users = set()
    for path in (ROOT / "ollama_transport").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [module or ""]
            if any(name.startswith("opentelemetry") for name in names):
                users.add(path.relative_to(ROOT / "ollama_transport").as_posix())
    assert users == {"telemetry/spans.py"}
