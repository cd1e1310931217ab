"""The only module that uses OpenTelemetry: one span and its metrics for each call."""

import os
import time
from collections.abc import MutableMapping
from contextvars import Token
from typing import Any

from opentelemetry import context, metrics, propagate, trace

from ollama_transport.accounting.meters import CallRecord
from ollama_transport.settings.host import Endpoint, Wire
from ollama_transport.telemetry.answers import answered, failed, used
from ollama_transport.telemetry.content import said_by_model, said_to_model
from ollama_transport.telemetry.requests import Attributes, asked, identity, operation
from ollama_transport.version import __version__
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.values.messages import ToolCall

CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_WITH_CONTENT = frozenset({"true", "1", "span_only", "span_and_event"})
_SCOPE = "ollama_transport"
_TRACE = context.create_key("ollama_ext_call")

# OpenLLMetry sets the second while its instrumentation of a framework records the call.
_SUPPRESSING = (context._SUPPRESS_INSTRUMENTATION_KEY, "suppress_language_model_instrumentation")
_OPERATIONS = frozenset({"chat", "text_completion", "embeddings", "generate_content"})
# The other two are OpenInference's and older OpenLLMetry's names.
_KINDS = (
    ("gen_ai.operation.name", _OPERATIONS),
    ("openinference.span.kind", frozenset({"LLM", "EMBEDDING"})),
    ("llm.request.type", frozenset({"chat", "completion", "embedding"})),
)

# The boundaries that the conventions ask for, in seconds and in tokens.
_SECONDS = [0.01 * 2**n for n in range(14)]
_FIRST_CHUNK_SECONDS = [
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0),
]
_TOKENS = [float(4**n) for n in range(14)]


class Telemetry:
    """Creates the spans and metrics of calls with given providers."""

    def __init__(
        self, tracer_provider: Any, meter_provider: Any, capture_content: bool | None
    ) -> None:
        told = os.environ.get(CONTENT_VARIABLE, "").strip().lower() in _WITH_CONTENT
        # Off by default, as the conventions ask: messages are private.
        self.captures_content = told if capture_content is None else capture_content
        self.tracer = trace.get_tracer(_SCOPE, __version__, tracer_provider)
        meter = metrics.get_meter(_SCOPE, __version__, meter_provider)
        self.durations = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self.first_chunks = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="Time to receive the first chunk of a streamed answer.",
            explicit_bucket_boundaries_advisory=_FIRST_CHUNK_SECONDS,
        )

    def trace(
        self, call: Call[Any], endpoint: Endpoint, wire: Wire, *, streams: bool
    ) -> "CallTrace | None":
        """Return the trace of one call; None if the call is not recorded here."""
        name = operation(call)
        if name is None or _is_recorded_elsewhere():
            return None
        return CallTrace(self, identity(name, call, endpoint, wire), streams=streams)

    def add_headers(self, call: Call[Any], headers: MutableMapping[str, str]) -> None:
        """Add the headers of the current trace to a request, unless the caller set them."""
        following = context.get_value(_TRACE)
        # Pulling a model and counting tokens are separate requests, not another try.
        if call.metered and isinstance(following, CallTrace):
            following.requests += 1
        # Not injected into the headers directly, which would overwrite the caller's.
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        for name, value in carrier.items():
            headers.setdefault(name, value)


def _is_recorded_elsewhere() -> bool:
    """Return whether another instrumentation records this call, or recording is suppressed."""
    if any(context.get_value(key) for key in _SUPPRESSING):
        return True
    current = getattr(trace.get_current_span(), "attributes", None)
    attributes = {} if current is None else current
    return any(attributes.get(name) in values for name, values in _KINDS)


class CallTrace:
    """A meter that traces one call from its first request to the end of its answer.

    The span is current only until the first line arrives: after that the consumer of the stream
    runs in between, and its own spans must not become children of this one.
    """

    def __init__(self, telemetry: Telemetry, shared: Attributes, *, streams: bool) -> None:
        self.requests = 0
        self._telemetry = telemetry
        self._shared = shared
        self._streams = streams
        self._start = 0.0
        self._first_s: float | None = None
        self._last: Any = None
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._tool_calls: list[ToolCall] = []
        self._failure: Attributes = {}
        self._span: trace.Span = trace.INVALID_SPAN
        self._token: Token[Any] | None = None

    def begin(self, call: Call[Any], /) -> None:
        """Start the span."""
        name, model = self._shared["gen_ai.operation.name"], call.model
        self._start = time.perf_counter()
        self._span = self._telemetry.tracer.start_span(
            name if model is None else f"{name} {model}",
            kind=trace.SpanKind.CLIENT,
            attributes={**self._shared, **asked(call, streams=self._streams)},
        )
        # Serialising messages costs time, and a span that is not sampled drops them.
        if self._telemetry.captures_content and self._span.is_recording():
            self._span.set_attributes(said_to_model(call))
        within = context.set_value(_TRACE, self, trace.set_span_in_context(self._span))
        self._token = context.attach(within)

    def note(self, line: Any) -> None:
        """Record a line of the answer, or a whole answer."""
        if self._last is None:
            self._first_s = time.perf_counter() - self._start
            self._leave()
        self._last = line
        if calls := getattr(line, "tool_calls", ()):
            self._tool_calls += calls
        if self._telemetry.captures_content:
            self._texts.append(getattr(line, "text", ""))
            self._thoughts.append(getattr(line, "thinking", ""))

    def fail(self, error: BaseException) -> None:
        """Record the error that ended the call."""
        self._failure = failed(error)

    def end(self, _call: Call[Any], record: CallRecord, /) -> None:
        """End the span and count the call."""
        self._leave()
        # A stream that its consumer closed early is not a failure.
        failure = self._failure if record.error is not None else {}
        response = answered(self._last, self._tool_calls)
        if self._span.is_recording():
            self._span.set_attributes({**response, **used(record.usage), **failure})
            self._span.set_attributes(self._own(record))
        if failure:
            self._span.set_status(trace.Status(trace.StatusCode.ERROR))
        self._span.end()
        self._count(record, response, failure)

    def _own(self, record: CallRecord) -> Attributes:
        found: Attributes = {"ollama_ext.cancelled": True} if record.cancelled else {}
        if self.requests > 1:
            found["ollama_ext.request.resend_count"] = self.requests - 1
        if self._streams and self._first_s is not None:
            found["gen_ai.response.time_to_first_chunk"] = self._first_s
        if self._telemetry.captures_content:
            texts, thoughts = "".join(self._texts), "".join(self._thoughts)
            reason = getattr(self._last, "done_reason", None)
            found |= said_by_model(texts, thoughts, self._tool_calls, reason)
        return found

    def _count(self, record: CallRecord, response: Attributes, failure: Attributes) -> None:
        model = response.get("gen_ai.response.model")
        shared = self._shared if model is None else self._shared | {"gen_ai.response.model": model}
        # Exemplars link a measurement to the span in its context.
        within = trace.set_span_in_context(self._span)
        cause = {name: failure[name] for name in ("error.type",) if name in failure}
        self._telemetry.durations.record(record.elapsed_s, {**shared, **cause}, within)
        if self._streams and self._first_s is not None:
            self._telemetry.first_chunks.record(self._first_s, shared, within)
        usage = record.usage
        if usage is None or usage.estimated:  # the conventions forbid estimates
            return
        for kind, count in (("input", usage.prompt_tokens), ("output", usage.completion_tokens)):
            if count is not None:
                self._telemetry.tokens.record(count, {**shared, "gen_ai.token.type": kind}, within)

    def _leave(self) -> None:
        token, self._token = self._token, None
        if token is not None:
            context.detach(token)
