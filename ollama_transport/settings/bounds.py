"""Size limits of answers: an endless or compressed one must not fill the memory."""

from ollama_transport.errors import ConfigError

MAX_ANSWER_BYTES = 256 * 1024 * 1024
"""Default for the bytes read of an answer: four times the largest answer seen."""

MAX_ERROR_BYTES = 1024 * 1024
"""Bytes kept of an error's body; the rest is not read."""


def check_max_bytes(value: int) -> int:
    """Return a limit in bytes.

    Raises:
        ConfigError: for anything but a whole number above 0.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ConfigError(f"max_answer_bytes={value!r}: give a whole number of bytes above 0.")
