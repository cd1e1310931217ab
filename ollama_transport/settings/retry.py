"""When to retry, and how long to wait before that; tenacity does the arithmetic."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ollama_transport.errors import (
    ConfigError,
    EmptyAnswerError,
    OllamaConnectionError,
    OllamaError,
    OllamaTimeoutError,
    ServerBusyError,
    StreamTruncatedError,
)

if TYPE_CHECKING:
    import tenacity

DEFAULT_MAX_RETRIES = 2
DEFAULT_MAX_WAIT_S = 30.0
DEFAULT_LOADING_MAX_WAIT_S = 300.0
"""A large model takes minutes to load from a slow disk."""

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 10.0

R = TypeVar("R")

logger = logging.getLogger("ollama_transport")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and for how long to retry; all times in seconds.

    ```python
    from ollama_transport import Client, RetryPolicy

    with Client(retry=RetryPolicy(max_retries=5, max_wait_s=120)) as client:
        print(client.version())
    ```

    Connection failures, empty answers and the statuses 408, 429, 502 to 504, 520 to 524, 529 and
    530 (also inside an answer with status 200) are retried before the first text of an answer, as
    is a stream that is cut before it; truncated vectors are requested again as well. Waits grow
    exponentially from ``first_wait_s``, each random below that (full jitter); a ``Retry-After``
    header is honoured. ``max_wait_s`` limits the total wait of a call. Read timeouts are not
    retried: the server stops loading a model when the client disconnects, so a second try would
    start from scratch (wire reference 7.4). A 408, 504 or 524 after a long silence is not retried
    either, nor a 502 or 503 after 20 seconds without ``Retry-After``: the model may still be
    generating, and would do so twice.

    While a server reports that it is loading the model (503), the call is retried for at most
    ``loading_max_wait_s``, regardless of the other limits; with ``max_retries=0`` it is not.

    Raises:
        ConfigError: for anything but numbers of 0 or more.
    """

    max_retries: int = DEFAULT_MAX_RETRIES
    max_wait_s: float = DEFAULT_MAX_WAIT_S
    first_wait_s: float = 0.5
    loading_max_wait_s: float = DEFAULT_LOADING_MAX_WAIT_S

    def __post_init__(self) -> None:
        tries: object = self.max_retries
        if not isinstance(tries, int) or tries < 0:
            raise ConfigError(f"max_retries={tries!r}: give a whole number, 0 or more.")
        waits: tuple[object, ...] = (self.max_wait_s, self.first_wait_s, self.loading_max_wait_s)
        if not all(isinstance(wait, int | float) and wait >= 0 for wait in waits):
            raise ConfigError("the waits between retries must be seconds: give 0 or more.")

    def tries_again(self, error: OllamaError, repeatable: bool, *, of_numbers: bool) -> bool:
        """Return whether another try may follow a first one that failed with this error.

        ``of_numbers`` is True for a call whose answer is vectors.
        """
        return self.max_retries > 0 and is_repeatable(error, repeatable, of_numbers=of_numbers)

    def tenacity_arguments(
        self, repeatable: bool, elapsed_s: float = 0.0, *, of_numbers: bool = False
    ) -> dict[str, Any]:
        """Return the arguments of ``tenacity.Retrying`` and ``AsyncRetrying`` alike.

        ``elapsed_s`` is the duration of the first try in seconds, which counts as well;
        ``of_numbers`` is as for `tries_again`.
        """
        import tenacity  # imported here: creating a model does not need it

        again = partial(is_repeatable, repeatable=repeatable, of_numbers=of_numbers)
        return {
            "stop": self._stop(elapsed_s),
            "wait": self._wait(),
            "retry": tenacity.retry_if_exception(again),
            "before_sleep": _log,
            "reraise": True,
        }

    def _stop(self, elapsed_s: float) -> "Callable[[tenacity.RetryCallState], bool]":
        counted = 0
        loading_s = 0.0

        def stop(state: "tenacity.RetryCallState") -> bool:
            nonlocal counted, loading_s
            # A wait that would exceed the limit is not begun.
            waited = elapsed_s + (state.seconds_since_start or 0.0) + state.upcoming_sleep
            if self.max_retries and _is_loading(state):
                loading_s = waited
                return waited > self.loading_max_wait_s
            counted += 1
            # The time of loading does not count.
            return counted > self.max_retries or waited - loading_s > self.max_wait_s

        return stop

    def _wait(self) -> "Callable[[tenacity.RetryCallState], float]":
        import tenacity  # see above

        jitter = tenacity.wait_random_exponential(multiplier=self.first_wait_s, max=self.max_wait_s)

        def wait(state: "tenacity.RetryCallState") -> float:
            error = state.outcome.exception() if state.outcome is not None else None
            asked = error.retry_after_s if isinstance(error, ServerBusyError) else None
            if _is_loading(state):
                return _loading_pause(self.first_wait_s, state.attempt_number, asked)
            return jitter(state) if asked is None else asked

        return wait


class FirstTry:
    """The failure of the first try of a call.

    The first try runs without tenacity, which would add a third to the cost of a short call.
    """

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._error: OllamaError | None = None
        self.elapsed_s = 0.0

    def fail(self, error: OllamaError) -> None:
        """Record the failure."""
        self._error = error
        self.elapsed_s = time.monotonic() - self._begin

    def then(self, send: Callable[..., R]) -> Callable[..., R]:
        """Return the function that tenacity calls for each try; the first has failed already."""

        def again(call: Any) -> R:
            self.raise_once()
            return send(call)

        return again

    def then_async(self, send: Callable[..., Awaitable[R]]) -> Callable[..., Awaitable[R]]:
        """Same as `then`, for asyncio."""

        async def again(call: Any) -> R:
            self.raise_once()
            return await send(call)

        return again

    def raise_once(self) -> None:
        """Raise the failure once, so that tenacity counts it; later calls do nothing."""
        error, self._error = self._error, None
        if error is not None:
            raise error


def _loading_pause(first_s: float, attempt: int, asked_s: float | None) -> float:
    """Return the seconds to wait for a loading model: more with each try, or as the server asks."""
    # Bounded, since a power of many tries exceeds the range of a float.
    grown = max(first_s, _SHORTEST_PAUSE_S) * 2 ** min(attempt - 1, 16)
    return min(grown, _LONGEST_PAUSE_S) if asked_s is None else max(asked_s, _SHORTEST_PAUSE_S)


def _is_loading(state: "tenacity.RetryCallState") -> bool:
    error = state.outcome.exception() if state.outcome is not None else None
    return isinstance(error, ServerBusyError) and error.is_loading


_NOT_TAKEN = frozenset({429, 503, 521, 523, 529, 530})
"""Statuses of calls that certainly did not reach the model."""


def is_repeatable(
    error: BaseException, repeatable: bool = True, *, of_numbers: bool = False
) -> bool:
    """Return whether a call that failed with this error may be sent again.

    ``repeatable`` is False for calls that must not arrive twice: they are sent again only if they
    certainly did not arrive. ``of_numbers`` is True for a call whose answer is vectors.
    """
    if isinstance(error, StreamTruncatedError):
        # Computing vectors again is fast and gives the same; a text may have taken minutes.
        return repeatable and (of_numbers or not error.has_begun)
    if isinstance(error, OllamaConnectionError | OllamaTimeoutError) and error.answered:
        return False
    if isinstance(error, OllamaConnectionError):
        return repeatable or not error.sent
    if isinstance(error, EmptyAnswerError):
        return repeatable
    if isinstance(error, OllamaTimeoutError):
        return error.phase == "connect"
    if not isinstance(error, ServerBusyError) or error.is_long_silence or error.is_used_up:
        return False
    # After 502 or 504 it is unknown whether the call reached the server behind the gateway.
    return repeatable or error.status in _NOT_TAKEN


def _log(state: "tenacity.RetryCallState") -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    # Without the server's message, which may quote the conversation.
    status = f" {error.status}" if isinstance(error, ServerBusyError) else ""
    logger.info(
        "try %d at %s failed, next one in %.2f s: %s%s",
        state.attempt_number,
        getattr(error, "url", ""),
        state.upcoming_sleep,
        type(error).__name__,
        status,
    )
