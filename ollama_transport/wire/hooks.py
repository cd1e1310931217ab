"""What a caller may want to be told of while a call runs."""

from collections.abc import Callable

from ollama_transport.wire.answers import Progress

OnToken = Callable[[str, bool], object]
"""Told of each piece of text as it comes, and whether the model is thinking there.

A whole answer is one piece, or two where it has thoughts, which come first. It is called in the
thread or event loop of the call; what it raises ends the call.
"""

OnPull = Callable[[Progress], object]
"""Told of each step of a pull, by the call that pulls, in its thread or event loop."""
