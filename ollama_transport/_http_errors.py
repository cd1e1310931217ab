"""Turn what httpx raises into errors of ours; nothing of httpx leaves the package."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from ollama_transport._calls import truncated
from ollama_transport._config import Timeouts
from ollama_transport._errors import (
    OllamaConnectionError,
    OllamaError,
    OllamaTimeoutError,
    ProtocolError,
    StreamError,
)

_PHASES: dict[type[httpx.TimeoutException], str] = {
    httpx.ConnectTimeout: "connect",
    httpx.ReadTimeout: "read",
    httpx.WriteTimeout: "write",
    httpx.PoolTimeout: "pool",
}
_HINTS = {
    "connect": "Check the address and the network, or raise the connect timeout.",
    "read": "The first byte comes after the model is loaded, and a long prompt takes time: raise "
    "the timeout (it is the longest silence allowed), or load the model beforehand.",
    "write": "Raise the timeout.",
    "pool": "Too many calls at once: raise the pool's limits.",
}


@contextmanager
def opening(method: str, url: str, timeouts: Timeouts) -> Iterator[None]:
    """Map what fails before the answer's first byte; a plain context manager, for async as well."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _opening_error(error, method, url, timeouts) from error


@contextmanager
def reading(
    method: str, url: str, timeouts: Timeouts, received: Callable[[], tuple[Any, ...]]
) -> Iterator[None]:
    """Map what fails while an answer is read; what had come is in the error."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise _timeout(error, method, url, timeouts) from error
    except httpx.HTTPError as error:
        raise truncated(received(), url=url) from error
    except (ProtocolError, StreamError) as error:
        if not error.url:
            _locate(error, method, url)
        raise


def _locate(error: ProtocolError | StreamError, method: str, url: str) -> None:
    error.url = url
    error.args = (f"{error.args[0]} ({method} {url})",)


def _opening_error(
    error: httpx.HTTPError | httpx.InvalidURL, method: str, url: str, timeouts: Timeouts
) -> OllamaError:
    if isinstance(error, httpx.TimeoutException):
        return _timeout(error, method, url, timeouts)
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return OllamaConnectionError(
            f"no server answers at {url} ({error}). Is Ollama running there (`ollama serve`)? "
            "Else set base_url or OLLAMA_HOST.",
            url=url,
        )
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return OllamaConnectionError(
            f"the server at {url} closed the connection before it answered {method} ({error}). "
            "See its log.",
            url=url,
            sent=True,
        )
    return ProtocolError(f"{method} {url} failed: {type(error).__name__}: {error}.", url=url)


def _timeout(
    error: httpx.TimeoutException, method: str, url: str, timeouts: Timeouts
) -> OllamaTimeoutError:
    phase = _PHASES.get(type(error), "read")
    limit = {"connect": timeouts.connect_s, "read": timeouts.read_s, "write": timeouts.write_s}
    seconds = limit.get(phase)
    return OllamaTimeoutError(
        f"{method} {url}: nothing for {seconds:g} s ({phase}). {_HINTS[phase]}"
        if seconds is not None
        else f"{method} {url} timed out ({phase}). {_HINTS[phase]}",
        url=url,
        phase=phase,
        timeout_s=seconds,
    )
