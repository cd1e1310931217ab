"""All errors of this package, sorted by what the caller can do about them.

    OllamaError
      ConfigError (ValueError)             fix the call or the settings; raised before any I/O
        UnsupportedOptionError             this server cannot carry that option
      UnsupportedContentError (ValueError) a role or a part of a message that cannot be sent
      BudgetExceededError                  a limit of the caller's own: .limit, .spent
      ToolCallMissingError (ValueError)    a forced call is not in the answer: .text .thinking
      TransportError                       no complete answer came; .url
        OllamaConnectionError (ConnectionError)   no connection: start it, check the host
        OllamaTimeoutError (TimeoutError)         too slow: .phase, .timeout_s, .received
        ProtocolError                      not an answer of Ollama: .line, its first bytes
          EmptyAnswerError                 status 200 with an empty answer: try again
      ResponseError                        the server reported a failure: .error .status_code
        StatusError                        an error status: .body .headers
          AuthenticationError              401, 403: .signin_url
          ModelNotFoundError               404: .model; pull it
          RequestRejectedError             fix the request
            ContextOverflowError           .prompt_tokens .context_length
            UnsupportedCapabilityError     the model cannot do that: .capability
          ServerBusyError                  408, 429, 502 and more: retry; .retry_after_s
          ServerError                      other 5xx: see the server's log
        StreamError                        the answer began and then failed: .received
          StreamFailedError                the server sent an error line
          StreamTruncatedError             the last line is missing

Every message says what happened, at which URL (without credentials) and what to do next. Every
class pickles. No httpx type crosses the edge of this package; its error is the ``__cause__``.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ollama_transport.error_texts import ErrorResponse, gave_up, http_date, inner_error, is_used_up


def _restore(
    cls: type["OllamaError"], args: tuple[Any, ...], state: dict[str, Any]
) -> "OllamaError":
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class OllamaError(Exception):
    """The root of every error that this package raises.

    ```python
    import ollama_transport as ollama

    try:
        ollama.show("no-such-model")
    except ollama.ModelNotFoundError as error:
        print("pull it:", error.model, error.status_code)
    except ollama.OllamaError as error:
        print("anything else:", error)
    ```

    ``text_index`` is the index of the text that could not be embedded, in the caller's list; None
    if the error concerns no single text, or the text is unknown.
    """

    # Set after construction, so that each subclass keeps its own constructor.
    text_index: int | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the constructor with args alone, but ours need keyword arguments.
        return _restore, (type(self), self.args, dict(self.__dict__))


class ConfigError(OllamaError, ValueError):
    """Raised for a wrong setting or argument, before anything is sent."""

    @property
    def error(self) -> str:
        """Return the message, like RequestError of ollama-python."""
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

    ``limit`` is the name of the limit, ``spent`` what was used or reserved at that time.
    """

    def __init__(self, message: str, *, limit: str, spent: float) -> None:
        super().__init__(message)
        self.limit = limit
        self.spent = spent


# Also a ValueError: LlamaIndex raises that for a missing required call.
class ToolCallMissingError(OllamaError, ValueError):
    """Raised when an answer lacks the tool call that was forced by ``tool_choice``.

    ``tools`` names the tools of which one had to be called. ``text`` and ``thinking`` are what the
    model wrote instead, or "". ``done_reason`` is why the answer ended ("length" if it was cut) and
    ``usage`` its tokens; None if the server did not say. ``raw`` is the last object that the server
    sent.
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

    ``answered`` is True if the answer had begun.
    """

    # Set after construction, so that each subclass keeps its own constructor.
    answered: bool = False

    def __init__(self, message: str, *, url: str) -> None:
        super().__init__(message)
        self.url = url


# Also builtin errors: code that moves here from the official client keeps its `except`.
class OllamaConnectionError(TransportError, ConnectionError):
    """Raised when the server could not be reached, or closed the connection before it answered.

    ``sent`` is True if the request may have reached the server.
    """

    def __init__(self, message: str, *, url: str, sent: bool = False) -> None:
        super().__init__(message, url=url)
        self.sent = sent


class OllamaTimeoutError(TransportError, TimeoutError):
    """Raised when the server was too slow in ``phase`` (connect, read, write or pool).

    ``received`` holds the lines of a stream that had arrived, in order.
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
    """Raised when the answer does not follow the protocol; ``line`` is its start."""

    # Decoders do not know the URL; the client adds it.
    def __init__(self, message: str, *, url: str = "", line: bytes = b"") -> None:
        super().__init__(message, url=url)
        self.line = line


class EmptyAnswerError(ProtocolError):
    """Raised when a successful answer is empty: no text, thinking, tool call or done_reason."""


_SHORT_WAIT_S = 60.0
"""A daily limit with a shorter ``Retry-After`` is refilled continuously: retrying helps."""

MAX_WAIT_DIGITS = 15
"""A longer ``Retry-After`` is ignored: it is not a sensible time."""


class ResponseError(OllamaError):
    """Raised when a server reported a failure, at once or in the middle of a stream.

    The name and both attributes are those of ollama-python. ``error`` is the server's text,
    ``status_code`` the HTTP status, or -1 for a failure within a stream.
    """

    def __init__(self, error: str, status_code: int = -1) -> None:
        super().__init__(error)
        self._error = inner_error(error)
        self._status_code = status_code

    def __str__(self) -> str:
        # The messages of subclasses already contain the status.
        if type(self) is not ResponseError or self._status_code == -1:
            return super().__str__()
        return f"{self._error} (status code: {self._status_code})"

    @property
    def error(self) -> str:
        """Return the server's text."""
        return self._error

    @property
    def status_code(self) -> int:
        """Return the HTTP status; -1 for a failure within a stream."""
        return self._status_code


class StatusError(ResponseError):
    """Raised when the server answered with an error status.

    ``error`` is the server's text, ``body`` the whole body as text, ``headers`` the headers with
    lower-case names, ``model`` the requested model or None, ``waited_s`` the seconds until the
    answer arrived, None if unknown. Some servers report an error in an answer with status 200:
    then ``status`` is the one that it names, or the usual one of such an error, and ``received``
    holds the lines before it.
    """

    # Set after construction, so that all subclasses share one constructor.
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
        """Return status, headers and body in the form that LangChain's tracers read."""
        return ErrorResponse(self.status, self.headers, self.body)

    @property
    def request_id(self) -> str | None:
        """Return the ``x-request-id`` that a proxy added; Ollama itself sends none."""
        return self.headers.get("x-request-id")

    @property
    def retry_after_s(self) -> float | None:
        """Return the seconds to wait by the ``Retry-After`` header, or else by the body, or None.

        A date is relative to the ``Date`` of the answer, or to now if that is missing.
        """
        text = self.headers.get("retry-after", "")
        # Seconds, or else a date (RFC 9110, 10.2.3); some servers send fractions.
        whole, _, part = text.strip().removeprefix("-").partition(".")
        if (whole + part).isascii() and (whole + part).isdigit():
            return max(0.0, float(text)) if len(text) <= MAX_WAIT_DIGITS else None
        until = http_date(text)
        if until is None:
            return self._told_wait_s
        sent = http_date(self.headers.get("date", ""))
        return max(0.0, (until - (datetime.now(UTC) if sent is None else sent)).total_seconds())


class AuthenticationError(StatusError):
    """Raised when credentials are missing, wrong, or do not permit the request.

    ``signin_url`` is where to sign the server in to ollama.com, or None.
    """

    signin_url: str | None = None


class ModelNotFoundError(StatusError):
    """Raised when the server does not have ``model``."""


class RequestRejectedError(StatusError):
    """Raised when the server refuses this request; sending it again does not help."""


class ContextOverflowError(RequestRejectedError):
    """Raised when the prompt does not fit the context.

    ``prompt_tokens`` and ``context_length`` are in tokens; None if the server did not say.
    """

    prompt_tokens: int | None = None
    context_length: int | None = None


class UnsupportedCapabilityError(RequestRejectedError):
    """Raised when the model lacks ``capability``, which is a name of ``/api/show``."""

    capability: str = ""


class ServerBusyError(StatusError):
    """Raised when the server is overloaded or a proxy cannot reach it; see ``retry_after_s``.

    ``is_loading`` is True while the server loads the model.
    """

    is_loading: bool = False

    @property
    def is_used_up(self) -> bool:
        """Return whether a quota is used up for hours or days, so that no retry helps."""
        wait_s = self.retry_after_s
        is_short = wait_s is not None and wait_s <= _SHORT_WAIT_S
        return self.status == 429 and not is_short and is_used_up(self.error)

    @property
    def is_long_silence(self) -> bool:
        """Return whether a proxy gave up waiting while the model may still be generating."""
        # A server that names a time, or is loading, knows that it did not take the call.
        names_time = self.status in (502, 503) and self.retry_after_s is not None
        return gave_up(self.status, self.waited_s) and not (self.is_loading or names_time)


class ServerError(StatusError):
    """Raised when the server failed internally; see its log."""


class StreamError(ResponseError):
    """Raised when an answer began and then failed.

    ```python
    import ollama_transport as ollama

    text = ""
    try:
        for line in ollama.generate("llama3.2", "Tell me a story.", stream=True):
            text += line.text
    except ollama.StreamError as error:
        text = "".join(line.text for line in error.received)
    print(text)
    ```

    ``received`` holds the lines that had arrived, in order.
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
    """Raised when an answer ended without its last line, so that it is incomplete.

    ``has_begun`` is False for a stream of which no text, thought or call had arrived: such a call
    is tried again first, as often as its `RetryPolicy` allows.
    """

    has_begun: bool = True
