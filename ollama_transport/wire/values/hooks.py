"""The callbacks of a caller while a call runs."""

from collections.abc import Callable

from ollama_transport.wire.values.answers import Progress

OnToken = Callable[[str, bool], object]
"""Called with each piece of text as it arrives, and whether that piece is reasoning.

A whole answer is one piece, or two if it has reasoning, which comes first. It runs in the thread or
event loop of the call; an exception that it raises ends the call.
"""

OnPull = Callable[[Progress], object]
"""Called with each step of a pull, in the thread or event loop of the call that pulls."""
