"""Every error of ours, sorted by what the caller can do about it.

    OllamaError
      ConfigError (ValueError)             fix the call or the settings; raised before any I/O
        UnsupportedOptionError             this server cannot carry that option
      UnsupportedContentError (ValueError) a role or a part of a message that cannot be sent
      BudgetExceededError                  a limit of the caller's own: .limit, .spent
      ToolCallMissingError (ValueError)    a forced call is not in the answer: .text .thinking
      TransportError                       no complete answer came; .url
        OllamaConnectionError (ConnectionError)   not reached: start it, check the host
        OllamaTimeoutError (TimeoutError)         it was too slow: .phase, .timeout_s, .received
        ProtocolError                      the server is not an Ollama: .line, its first bytes
          EmptyAnswerError                 a success that held nothing: ask again
      ResponseError                        the server answered, with a failure: .error .status_code
        StatusError                        the server said no: .body .headers
          AuthenticationError              401, 403: .signin_url
          ModelNotFoundError               404: .model; pull it
          RequestRejectedError             fix the request
            ContextOverflowError           .prompt_tokens .context_length
            UnsupportedCapabilityError     the model cannot do that: .capability
          ServerBusyError                  408, 429, 502 and more: come again; .retry_after_s
          ServerError                      other 5xx: see the server's log
        StreamError                        the answer began and then failed: .received
          StreamFailedError                the server sent an error line
          StreamTruncatedError             it ended without its last line

Every message says what happened, at which URL (without credentials) and what to do next. Every
class pickles. No httpx type crosses the edge of this package; its error is the ``__cause__``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ollama_transport.error_texts import http_date, inner_error, is_used_up


def _restore(
    cls: type["OllamaError"], args: tuple[Any, ...], state: dict[str, Any]
) -> "OllamaError":
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class OllamaError(Exception):
    """The root of every error that this package raises.

    ``text_index`` is the place of the text that an embedding failed for, in the list that was
    given; None where the failure is about no text, or the text is not known.
    """

    # Set once the error is made, so that every class keeps its own constructor.
    text_index: int | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own way calls the constructor with args alone, which ours would refuse.
        return _restore, (type(self), self.args, dict(self.__dict__))


class ConfigError(OllamaError, ValueError):
    """Raised for a wrong setting or argument, before anything is sent."""

    @property
    def error(self) -> str:
        """Return the message, as ollama-python's RequestError has it."""
        return str(self)


class UnsupportedOptionError(ConfigError):
    """Raised when the server in use cannot carry an option."""

    def __init__(self, message: str, *, option: str) -> None:
        super().__init__(message)
        self.option = option


class UnsupportedContentError(OllamaError, ValueError):
    """Raised when a role or a part of a message cannot be sent to this server."""


class BudgetExceededError(OllamaError):
    """Raised when a budget forbids a call; nothing was sent.

    ``limit`` is the name of the limit, ``spent`` what was used or held when it was reached.
    """

    def __init__(self, message: str, *, limit: str, spent: float) -> None:
        super().__init__(message)
        self.limit = limit
        self.spent = spent


# A ValueError as well: LlamaIndex raises that where a required call is missing.
class ToolCallMissingError(OllamaError, ValueError):
    """Raised when an answer lacks the tool call that was forced by ``tool_choice``.

    ``tools`` are the names of the tools of which one had to be called. ``text`` is what the model
    wrote instead and ``thinking`` what it thought, "" for none; ``done_reason`` is why the answer
    ended ("length" when it was cut) and ``usage`` its tokens, None where the server did not say;
    ``raw`` is the last object of the answer as the server sent it.
    """

    def __init__(
        self,
        message: str,
        *,
        tools: tuple[str, ...] = (),
        text: str = "",
        thinking: str = "",
        done_reason: str | None = None,
        usage: Any = None,
        raw: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.tools = tools
        self.text = text
        self.thinking = thinking
        self.done_reason = done_reason
        self.usage = usage
        self.raw = {} if raw is None else raw


class TransportError(OllamaError):
    """Raised when no complete answer came from ``url`` (its credentials removed).

    ``answered`` is True when the answer had begun.
    """

    # Set once the error is made, so that every class keeps its own constructor.
    answered: bool = False

    def __init__(self, message: str, *, url: str) -> None:
        super().__init__(message)
        self.url = url


# Builtin errors as well: code that moves here from the official client keeps its `except`.
class OllamaConnectionError(TransportError, ConnectionError):
    """Raised when the server was never reached, or went away before it answered.

    ``sent`` is True when the request may have arrived all the same.
    """

    def __init__(self, message: str, *, url: str, sent: bool = False) -> None:
        super().__init__(message, url=url)
        self.sent = sent


class OllamaTimeoutError(TransportError, TimeoutError):
    """Raised when the server was too slow in ``phase`` (connect, read, write or pool).

    ``received`` holds the typed lines that had come when it fell silent in the middle of a stream,
    in order; () where none had.
    """

    def __init__(
        self,
        message: str,
        *,
        url: str,
        phase: str,
        timeout_s: float | None,
        received: tuple[Any, ...] = (),
    ) -> None:
        super().__init__(message, url=url)
        self.phase = phase
        self.timeout_s = timeout_s
        self.received = received


class ProtocolError(TransportError):
    """Raised when the answer is not what an Ollama server sends; ``line`` is its start."""

    # Decoders know no URL; who reads from the network adds it.
    def __init__(self, message: str, *, url: str = "", line: bytes = b"") -> None:
        super().__init__(message, url=url)
        self.line = line


class EmptyAnswerError(ProtocolError):
    """Raised when a success held nothing: no text, no thoughts, no call, no reason to end."""


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The answer behind a StatusError, for tracers that ask for ``error.response``."""

    status_code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    def json(self) -> Any:
        """Return the body as JSON; json.JSONDecodeError if it is not JSON."""
        return json.loads(self.text)


_SHORT_WAIT_S = 60.0
"""A limit of a day that asks for no longer wait than this is renewed bit by bit."""

MAX_WAIT_DIGITS = 15
"""A ``Retry-After`` of more digits is none: no clock reads it."""

GATEWAY_TIMEOUTS = frozenset({408, 504, 524})
"""By these a proxy says that it waited for an answer: OpenRouter's, most, and Cloudflare's."""

LONG_SILENCE_S = 2.0
"""A proxy that waited so long had reached the server: the model is at work on the answer."""


class ResponseError(OllamaError):
    """Raised when a server answered with a failure, at once or in the middle of a stream.

    The name and the two attributes are ollama-python's. ``error`` is the server's own text;
    ``status_code`` the HTTP status, -1 where the failure came in a stream.
    """

    def __init__(self, error: str, status_code: int = -1) -> None:
        super().__init__(error)
        self._error = inner_error(error)
        self._status_code = status_code

    def __str__(self) -> str:
        # The kinds of it have messages that tell the status themselves.
        if type(self) is not ResponseError or self._status_code == -1:
            return super().__str__()
        return f"{self._error} (status code: {self._status_code})"

    @property
    def error(self) -> str:
        """Return the server's own text."""
        return self._error

    @property
    def status_code(self) -> int:
        """Return the HTTP status; -1 in a stream."""
        return self._status_code


class StatusError(ResponseError):
    """Raised when the server answered with an error.

    ``error`` is the server's own text, ``body`` the whole body as text, ``headers`` the lower-cased
    headers of the answer, ``model`` the model that was asked for, if one was; ``waited_s`` is how
    long the answer took to come, in seconds, None where that is not known. Some servers tell an
    error inside of an answer with status 200: ``status`` is the one that it names then, or the one
    that such an error usually has, and ``received`` holds the typed lines that came before it.
    """

    # Set once the error is made, so that every kind has one constructor.
    received: tuple[Any, ...] = ()
    _told_wait_s: float | None = None

    def __init__(
        self,
        message: str,
        *,
        url: str,
        status: int,
        error: str = "",
        body: str = "",
        headers: Mapping[str, str] | None = None,
        model: str | None = None,
    ) -> None:
        super().__init__(message, status)
        self.url = url
        self.status = status
        self._error = error
        self.body = body
        self.headers = dict(headers) if headers is not None else {}
        self.model = model
        self.waited_s: float | None = None

    @property
    def response(self) -> ErrorResponse:
        """Return status, headers and body as tracers of LangChain read them."""
        return ErrorResponse(self.status, self.headers, self.body)

    @property
    def request_id(self) -> str | None:
        """Return the ``x-request-id`` of a proxy in front of the server, if there was one."""
        # Ollama sends none itself.
        return self.headers.get("x-request-id")

    @property
    def retry_after_s(self) -> float | None:
        """Return the seconds that the ``Retry-After`` header asks for, or else the body.

        None where neither does. A date is counted from the answer's own ``Date``, or else from now.
        """
        text = self.headers.get("retry-after", "")
        # Seconds, or else a date (RFC 9110, 10.2.3); some servers send parts of seconds.
        whole, _, part = text.strip().removeprefix("-").partition(".")
        if (whole + part).isascii() and (whole + part).isdigit():
            return max(0.0, float(text)) if len(text) <= MAX_WAIT_DIGITS else None
        until = http_date(text)
        if until is None:
            return self._told_wait_s
        sent = http_date(self.headers.get("date", ""))
        return max(0.0, (until - (datetime.now(UTC) if sent is None else sent)).total_seconds())


class AuthenticationError(StatusError):
    """Raised when the server wants other credentials, or none of its users may do this.

    ``signin_url`` is where to sign the server in to ollama.com, when it names one.
    """

    # Set once the error is made, so that every kind has one constructor.
    signin_url: str | None = None


class ModelNotFoundError(StatusError):
    """Raised when the server does not have ``model``."""


class RequestRejectedError(StatusError):
    """Raised when the server refuses this request as it is."""


class ContextOverflowError(RequestRejectedError):
    """Raised when the prompt does not fit the context.

    ``prompt_tokens`` and ``context_length`` are in tokens; None where the server did not say.
    """

    prompt_tokens: int | None = None
    context_length: int | None = None


class UnsupportedCapabilityError(RequestRejectedError):
    """Raised when the model cannot do what was asked; ``capability`` as ``/api/show`` names it."""

    capability: str = ""


class ServerBusyError(StatusError):
    """The server has too much to do, or was not reached; ``retry_after_s`` when it said how long.

    ``is_loading`` is True while the server loads the model.
    """

    # Set once the error is made, so that every kind has one constructor.
    is_loading: bool = False

    @property
    def is_used_up(self) -> bool:
        """Return whether an account has used all it may for hours or days: no second try helps."""
        wait_s = self.retry_after_s
        is_short = wait_s is not None and wait_s <= _SHORT_WAIT_S
        return self.status == 429 and not is_short and is_used_up(self.error)

    @property
    def is_long_silence(self) -> bool:
        """Return whether a proxy gave up on an answer that the model may still be writing."""
        waited = self.waited_s if self.waited_s is not None else 0.0
        return self.status in GATEWAY_TIMEOUTS and waited >= LONG_SILENCE_S


class ServerError(StatusError):
    """Raised when the server failed; its log says more."""


class StreamError(ResponseError):
    """Raised when an answer began and then failed.

    ``received`` holds what had come until then: the typed lines, in order.
    """

    def __init__(self, message: str, *, url: str = "", received: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.url = url
        self.received = received


class StreamFailedError(StreamError):
    """Raised when the server sent an error instead of the next line; ``error`` is its text."""

    def __init__(
        self, message: str, *, url: str = "", received: tuple[Any, ...] = (), error: str = ""
    ) -> None:
        super().__init__(message, url=url, received=received)
        self._error = error


class StreamTruncatedError(StreamError):
    """Raised when an answer ended without its last line, so that the end of it is missing."""
