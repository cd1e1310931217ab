"""Switch tracing on and off, for the whole process or for one model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ollama_transport.telemetry.spans import Telemetry


class _Switch:
    """The telemetry of the process, and the one of models that turn it on themselves."""

    on: "Telemetry | None" = None
    fallback: "Telemetry | None" = None


def instrument(
    *,
    tracer_provider: Any = None,
    meter_provider: Any = None,
    capture_content: bool | None = None,
) -> None:
    """Record every call to a model with OpenTelemetry, in the whole process.

    A call is one client span, from its first request to the end of its answer, and a point of the
    metrics ``gen_ai.client.operation.duration``, ``gen_ai.client.token.usage`` and, for streams,
    ``gen_ai.client.operation.time_to_first_chunk``. Requests carry the header ``traceparent``. A
    second call replaces the settings of the first. A model with ``telemetry=False`` is not
    recorded, nor is a call that another instrumentation already records (see the guide on
    observability).

    Args:
        tracer_provider: Creates the spans; None is the global one.
        meter_provider: Creates the metrics; None is the global one.
        capture_content: Whether messages, answers and tool definitions are recorded on spans. None
            reads OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT ("true", "span_only" or
            "span_and_event" record them); without it they are not recorded.

    Raises:
        ImportError: when opentelemetry-api is not installed, naming the extra.

    ```python
    from ollama_transport import Client, instrument, uninstrument

    instrument(capture_content=False)
    with Client() as client:
        print(client.chat(model="llama3.2", messages=[{"role": "user", "content": "Hello"}]))
    uninstrument()
    ```
    """
    _Switch.on = _made(tracer_provider, meter_provider, capture_content)


def uninstrument() -> None:
    """Undo `instrument`; models with ``telemetry=True`` continue, with the global providers."""
    _Switch.on = None


class Instrumentor:
    """The entry point that ``opentelemetry-instrument`` calls."""

    def instrument(self, **given: Any) -> None:
        """Call `instrument` with the given providers, or else the global ones."""
        names = ("tracer_provider", "meter_provider")
        instrument(**{name: given.get(name) for name in names})

    def uninstrument(self, **_: Any) -> None:
        """Call `uninstrument`."""
        uninstrument()


def active(told: bool | None) -> "Telemetry | None":
    """Return the telemetry that records the calls of a model; None if they are not recorded.

    ``told`` is the model's own setting; None follows `instrument`.

    Raises:
        ImportError: when the model has telemetry=True and opentelemetry-api is not installed.
    """
    if told is None or _Switch.on is not None:
        return None if told is False else _Switch.on
    if told and _Switch.fallback is None:
        _Switch.fallback = _made(None, None, None)
    return _Switch.fallback if told else None


def _made(tracer_provider: Any, meter_provider: Any, capture_content: bool | None) -> "Telemetry":
    try:
        # Imported here, so that programs without telemetry do not need OpenTelemetry.
        from ollama_transport.telemetry.spans import Telemetry
    except ImportError as error:
        raise ImportError(
            "telemetry needs opentelemetry-api: pip install 'ollama-ext[otel]'."
        ) from error
    return Telemetry(tracer_provider, meter_provider, capture_content)
