"""The SDK of OpenTelemetry with exporters in memory, and what a test asks of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ollama_transport import instrument, uninstrument


class Recorded:
    """Providers of spans and metrics, and what came to them."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._metrics], shutdown_on_exit=False)
        self.tracer = self.tracers.get_tracer("test")

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._spans.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        """The one span that ended."""
        (span,) = self.spans
        return span

    @property
    def facts(self) -> dict[str, Any]:
        """The attributes of the one span that ended."""
        return dict(self.span.attributes or {})

    def points(self) -> dict[str, list[Any]]:
        """Return the points of each metric, by its name."""
        data = self._metrics.get_metrics_data()
        resources = [] if data is None else data.resource_metrics
        found = [m for r in resources for scope in r.scope_metrics for m in scope.metrics]
        return {metric.name: list(metric.data.data_points) for metric in found}

    def close(self) -> None:
        self.tracers.shutdown()
        self.meters.shutdown()


@contextmanager
def recording_calls(**how: Any) -> Iterator[Recorded]:
    """Instrument the process for a while; nothing of it is left behind."""
    recorded = Recorded()
    instrument(tracer_provider=recorded.tracers, meter_provider=recorded.meters, **how)
    try:
        yield recorded
    finally:
        uninstrument()
        recorded.close()
