"""Map the errors of httpx to ours; no httpx error leaves the package."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, Protocol

import h11
import httpx

from ollama_transport.errors import (
    OllamaConnectionError,
    OllamaError,
    OllamaTimeoutError,
    ProtocolError,
    StatusError,
    StreamError,
    TransportError,
)
from ollama_transport.net.http11 import MalformedAnswer
from ollama_transport.settings.secrets import disarm, hide, secrets_of
from ollama_transport.wire.calls.call import truncated

_PHASES: dict[type[httpx.TimeoutException], str] = {
    httpx.ConnectTimeout: "connect",
    httpx.ReadTimeout: "read",
    httpx.WriteTimeout: "write",
    httpx.PoolTimeout: "pool",
}
# Everything that httpx defines; InvalidURL, StreamError and CookieConflict have no common root.
_HTTPX_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)
_HINTS = {
    "connect": "Check the address and the network, or raise the connect timeout.",
    "read": "The first byte comes after the model is loaded, and a long prompt takes time: raise "
    "the timeout (the longest silence allowed), or load the model beforehand.",
    "write": "Raise the timeout.",
    "pool": "Too many calls at once: raise the pool's limits.",
}


class Received(Protocol):
    """An object that knows how much of an answer has arrived."""

    @property
    def received(self) -> tuple[Any, ...]:
        """Return the lines received so far."""

    @property
    def complete(self) -> bool:
        """Return whether nothing is missing."""


class _Mapping:
    """Maps the errors of a block; costs next to nothing without an error.

    A call has four such blocks, and a generator-based context manager costs ten times as much.
    """

    def __init__(self, mapper: Callable[..., Any], *told: Any) -> None:
        self._mapper = mapper
        self._told = told

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if error is None:
            return False
        try:
            with _disarming(), self._mapper(*self._told):
                raise error
        except BaseException as mapped:
            if mapped is not error:
                raise
            error.__traceback__ = traceback  # without the line above
            return False
        return True  # type: ignore[unreachable] # an error after the end of an answer is swallowed


def opening(method: str, url: str) -> AbstractContextManager[None]:
    """Map errors before the first byte of the answer; also used around async code."""
    return _Mapping(_opening, method, url)


@contextmanager
def _disarming() -> Iterator[None]:
    """Remove the live request, which holds the API key, from the chain of our errors."""
    try:
        yield
    except OllamaError as error:
        # Python sets the context to the error being handled, even with `raise … from None`.
        for cause in (error.__cause__, error.__context__):
            if isinstance(cause, _HTTPX_ERRORS):
                error.args = tuple(hide(part, secrets_of(cause)) for part in error.args)
                disarm(cause)
        raise


@contextmanager
def _opening(method: str, url: str) -> Iterator[None]:
    try:
        yield
    except _HTTPX_ERRORS as error:
        raise _opening_error(error, method, url) from error
    except UnicodeError as error:
        # httpx has no class for this: a redirect names a host that cannot be decoded.
        raise ProtocolError(
            f"{method} {url} was redirected to an invalid host ({error})."
        ) from error
    except RuntimeError as error:
        # httpx has no class for this: the client was closed while a call was in flight.
        if "client has been closed" not in str(error):
            raise
        raise OllamaConnectionError(f"{method} {url}: {error}", url=url) from error


def reading(
    method: str,
    url: str,
    reader: Received | None = None,
    headers: Mapping[str, str] | None = None,
) -> AbstractContextManager[None]:
    """Map errors while an answer is read; the error holds what had arrived.

    ``headers`` are those of the answer: an error inside it may be retried after a time named there.

    A connection that breaks or falls silent after the last line of a stream is not an error: the
    answer is complete.
    """
    return _Mapping(_reading, method, url, reader, headers)


@contextmanager
def _reading(
    method: str, url: str, reader: Received | None, headers: Mapping[str, str] | None
) -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException as error:
        if reader is None or not reader.complete:
            received = () if reader is None else reader.received
            late = _timeout(error, method, url, received)
            late.answered = True
            raise late from error
    except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
        # Headers arrived, so the server had begun: this is not a failure to connect.
        if reader is None or not reader.complete:
            if _is_malformed(error):
                raise _malformed(error, method, url) from error
            received = () if reader is None else reader.received
            raise truncated(received, url=url, whole=reader is None) from error
    except _HTTPX_ERRORS as error:
        failure = _opening_error(error, method, url)
        if isinstance(failure, TransportError):
            failure.answered = True
        raise failure from error
    except (ProtocolError, StreamError, StatusError) as error:
        if not error.url:
            _locate(error, method, url)
        _add_headers(error, headers)
        raise


def _is_malformed(error: Exception) -> bool:
    """Return whether an answer is not HTTP: httpx has one class for this and for a cut answer."""
    below = error.__cause__
    if below is None or isinstance(below, MalformedAnswer):
        return below is not None
    # httpx's own transports read with h11, whose messages for a cut answer begin with "peer".
    return isinstance(below.__context__, h11.RemoteProtocolError) and not str(error).startswith(
        "peer "
    )


def _malformed(error: Exception, method: str, url: str) -> ProtocolError:
    return ProtocolError(
        f"the answer to {method} {url} is not valid HTTP: {error}. Is base_url the address of an "
        "Ollama or OpenAI-compatible server? A proxy in between may have damaged the answer.",
        url=url,
    )


def _locate(error: ProtocolError | StreamError | StatusError, method: str, url: str) -> None:
    error.url = url
    error.args = (f"{error.args[0]} ({method} {url})",)


def _add_headers(error: Exception, headers: Mapping[str, str] | None) -> None:
    if isinstance(error, StatusError) and headers is not None and not error.headers:
        error.headers = {name.lower(): value for name, value in headers.items()}


def _opening_error(error: Exception, method: str, url: str) -> OllamaError:
    if isinstance(error, httpx.TimeoutException):
        return _timeout(error, method, url)
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return OllamaConnectionError(
            f"no server answers at {url} ({error}). {_connect_hint(str(error), url)}", url=url
        )
    if _is_malformed(error):
        return _malformed(error, method, url)
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return OllamaConnectionError(
            f"the server at {url} closed the connection before it answered {method} ({error}). "
            "See its log.",
            url=url,
            # It was sent, so the server may be working on it: only repeatable calls are retried.
            sent=True,
        )
    return ProtocolError(f"{method} {url} failed: {type(error).__name__}: {error}.", url=url)


def _connect_hint(text: str, url: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "Trust the authority that signed it: client_kwargs={'verify': ssl_context}."
    if "SSL" in text:
        # Ollama itself has no TLS (wire reference 1.1): https needs a proxy in front of it.
        return "A server is there, but it does not speak TLS: try http:// in base_url."
    if "/v1/" in url:
        return "Is the server running there? Else set base_url."
    return "Is Ollama running there (`ollama serve`)? Else set base_url or OLLAMA_HOST."


def _timeout(
    error: httpx.TimeoutException, method: str, url: str, received: tuple[Any, ...] = ()
) -> OllamaTimeoutError:
    phase = _PHASES.get(type(error), "read")
    # Taken from the request: an http_client of the user's has timeouts of its own.
    seconds = error.request.extensions.get("timeout", {}).get(phase)
    return OllamaTimeoutError(
        f"{method} {url}: no data for {seconds:g} s ({phase}). {_HINTS[phase]}"
        if seconds is not None
        else f"{method} {url} timed out ({phase}). {_HINTS[phase]}",
        url=url,
        phase=phase,
        timeout_s=seconds,
        received=received,
    )
