"""Runtime options: their types, their defaults and how they merge (wire reference 6)."""

from collections.abc import Mapping

from ollama_ext.embedded.protocol.failures import WireError

# Ollama's own table; names that are not in it are ignored with a log line there.
_INTEGERS = frozenset(
    {
        "num_ctx",
        "num_batch",
        "num_gpu",
        "main_gpu",
        "num_thread",
        "draft_num_predict",
        "num_keep",
        "seed",
        "num_predict",
        "top_k",
        "repeat_last_n",
    }
)
_FLOATS = frozenset(
    {
        "top_p",
        "min_p",
        "typical_p",
        "temperature",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
    }
)
_FLAGS = frozenset({"use_mmap"})
DEFAULT_NUM_KEEP = 4
# Ollama's own on a machine with less than 23 GiB of video memory (3.8).
DEFAULT_NUM_CTX = 4096


def merge_options(*layers: Mapping[str, object] | None) -> dict[str, object]:
    """Merge options, later layers over earlier ones; unknown names and nulls are dropped.

    Raises:
        WireError: **500**, for an option of a wrong type.
    """
    merged: dict[str, object] = {}
    for layer in layers:
        for name, value in (layer or {}).items():
            if value is not None:
                merged.update(_checked(name, value))
    return merged


def _checked(name: str, value: object) -> dict[str, object]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _INTEGERS:
        if not number:
            raise _wrong(name, "integer")
        # Fractions are cut off, as Go does.
        return {name: int(value)}  # type: ignore[call-overload] # number says it is one
    if name in _FLOATS:
        if not number:
            raise _wrong(name, "float32")
        return {name: value}
    if name in _FLAGS:
        if not isinstance(value, bool):
            raise _wrong(name, "boolean")
        return {name: value}
    return {name: _stops(value)} if name == "stop" else {}


def _stops(value: object) -> list[object]:
    if not isinstance(value, list):
        raise _wrong("stop", "array")
    if not all(isinstance(item, str) for item in value):
        raise WireError(500, 'option "stop" must be of an array of strings')
    return value


def _wrong(name: str, wanted: str) -> WireError:
    return WireError(500, f'option "{name}" must be of type {wanted}')


def whole(options: Mapping[str, object], name: str, default: int) -> int:
    """Return an integer option, or its default."""
    value = options.get(name, default)
    return value if isinstance(value, int) else default


def context_size(options: Mapping[str, object], trained: int, *, vision: bool) -> int:
    """Return the context in tokens a request runs with (wire reference 3.8)."""
    # Below 4 the engine cannot run, and pictures need 2048.
    asked = whole(options, "num_ctx", DEFAULT_NUM_CTX)
    return min(max(asked, 2048 if vision else 4), trained)
