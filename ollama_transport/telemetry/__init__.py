"""OpenTelemetry: spans and metrics of calls to a model, by the GenAI semantic conventions.

Off until `instrument` is called or a model has ``telemetry=True``; until then no module of
OpenTelemetry is imported. ``switch`` decides, ``spans`` alone talks to OpenTelemetry, ``requests``
and ``answers`` are pure functions from calls and answers to attributes, ``content`` writes
messages, which are recorded only when asked for.
"""

from ollama_transport.telemetry.switch import active, instrument, uninstrument

__all__ = ["active", "instrument", "uninstrument"]
