"""Errors that belong to our tree and to langchain-core's ModelError family at once.

    ConfigError, UnsupportedOptionError, UnsupportedContentError    ModelInvalidRequestError
    OllamaConnectionError                                           ModelConnectionError, again
    OllamaTimeoutError                                              ModelTimeoutError, again
    ProtocolError                                                   ModelAPIError
    EmptyAnswerError                                                ModelAPIError, again
    AuthenticationError                             401: ModelAuthenticationError
                                                    403: ModelPermissionDeniedError
    ModelNotFoundError                                              ModelNotFoundError
    RequestRejectedError, UnsupportedCapabilityError                ModelInvalidRequestError
    ContextOverflowError                                            ContextOverflowError
    ServerBusyError                                                 ModelRateLimitError, again
    ServerError, StreamFailedError, StreamTruncatedError            ModelAPIError, again
    BudgetExceededError                                             ModelError
    ToolCallMissingError                                            ModelError

"again" means ``is_retryable``, which retry middlewares check; summarisation recovers from core's
ContextOverflowError. Before langchain-core 1.6 the family is a stand-in (``_core_errors``). Code
that catches the classes of ``ollama_transport`` works too.
"""

from collections.abc import Generator
from contextlib import contextmanager

from langchain_core.exceptions import ContextOverflowError

import ollama_transport as ours
from langchain_ollama_ext import _core_errors as core


class LangChainConfigError(ours.ConfigError, core.ModelInvalidRequestError):
    """Raised for a wrong setting or argument, before anything is sent."""


class LangChainUnsupportedOptionError(ours.UnsupportedOptionError, core.ModelInvalidRequestError):
    """Raised when the server in use cannot carry an option."""


class LangChainUnsupportedContentError(ours.UnsupportedContentError, core.ModelInvalidRequestError):
    """Raised when a role or a part of a message cannot be sent to this server."""


class LangChainConnectionError(ours.OllamaConnectionError, core.ModelConnectionError):
    """Raised when the server was never reached, or went away before it answered."""


class LangChainTimeoutError(ours.OllamaTimeoutError, core.ModelTimeoutError):
    """Raised when the server was too slow."""


class LangChainProtocolError(ours.ProtocolError, core.ModelAPIError):
    """Raised when the answer is not one of an Ollama server; a retry would not help."""

    # Core's ModelAPIError is retryable: a failing server may recover, but a foreign one will not.
    is_retryable = False


class LangChainEmptyAnswerError(ours.EmptyAnswerError, core.ModelAPIError, ValueError):
    """Raised when an answer is empty; a retry may help."""


class LangChainAuthenticationError(ours.AuthenticationError, core.ModelAuthenticationError):
    """Raised when the server does not accept the credentials (401)."""


class LangChainPermissionError(ours.AuthenticationError, core.ModelPermissionDeniedError):
    """Raised when these credentials do not allow the request (403)."""


class LangChainModelNotFoundError(ours.ModelNotFoundError, core.ModelNotFoundError):
    """Raised when the server does not have the model."""


class LangChainRequestRejectedError(ours.RequestRejectedError, core.ModelInvalidRequestError):
    """Raised when the server refuses the request."""


class LangChainUnsupportedCapabilityError(
    ours.UnsupportedCapabilityError, core.ModelInvalidRequestError
):
    """Raised when the model cannot do what was asked."""


class LangChainContextOverflowError(
    ours.ContextOverflowError, ContextOverflowError, core.ModelError
):
    """Raised when the prompt does not fit the context; summarisation recovers from it."""


class LangChainServerBusyError(ours.ServerBusyError, core.ModelRateLimitError):
    """Raised when the server is overloaded."""


class LangChainServerError(ours.ServerError, core.ModelAPIError):
    """Raised when the server failed."""


class LangChainStreamFailedError(ours.StreamFailedError, core.ModelAPIError):
    """Raised when the server sent an error instead of the next line."""


class LangChainStreamTruncatedError(ours.StreamTruncatedError, core.ModelAPIError):
    """Raised when an answer ended without its last line."""


class LangChainBudgetExceededError(ours.BudgetExceededError, core.ModelError):
    """Raised when a budget forbids a call; nothing was sent."""


class LangChainToolCallMissingError(ours.ToolCallMissingError, core.ModelError):
    """Raised when an answer lacks the forced call; the next answer would lack it as well."""


# Retry middlewares repeat whatever is not a ModelError, so even a wrong argument has to be one.
# A table rather than a rule, so that a new error of the transport fails a test until it has a twin.
TWINS: dict[type[ours.OllamaError], type[ours.OllamaError]] = {
    ours.ConfigError: LangChainConfigError,
    ours.UnsupportedOptionError: LangChainUnsupportedOptionError,
    ours.UnsupportedContentError: LangChainUnsupportedContentError,
    ours.OllamaConnectionError: LangChainConnectionError,
    ours.OllamaTimeoutError: LangChainTimeoutError,
    ours.ProtocolError: LangChainProtocolError,
    ours.EmptyAnswerError: LangChainEmptyAnswerError,
    ours.AuthenticationError: LangChainAuthenticationError,
    ours.ModelNotFoundError: LangChainModelNotFoundError,
    ours.RequestRejectedError: LangChainRequestRejectedError,
    ours.UnsupportedCapabilityError: LangChainUnsupportedCapabilityError,
    ours.ContextOverflowError: LangChainContextOverflowError,
    ours.ServerBusyError: LangChainServerBusyError,
    ours.ServerError: LangChainServerError,
    ours.StreamFailedError: LangChainStreamFailedError,
    ours.StreamTruncatedError: LangChainStreamTruncatedError,
    ours.BudgetExceededError: LangChainBudgetExceededError,
    ours.ToolCallMissingError: LangChainToolCallMissingError,
}


def langchain_error(error: ours.OllamaError) -> ours.OllamaError:
    """Return (not raise) the twin of an error in langchain-core's family, with equal attributes.

    An error that already is a twin, or whose class has none, is returned unchanged.
    """
    twin = _twin_class(error)
    if twin is None:
        return error
    # As in unpickling: the constructors take arguments that are already in __dict__.
    made = twin.__new__(twin, *error.args)
    made.args = error.args
    made.__dict__.update(error.__dict__)
    if isinstance(made, LangChainServerBusyError) and (made.is_long_silence or made.is_used_up):
        made.is_retryable = False  # the model is still working, or the account is used up
    return made


def _twin_class(error: ours.OllamaError) -> type[ours.OllamaError] | None:
    # Core has two classes for one of ours: other credentials may help with 401, but not with 403.
    if isinstance(error, ours.AuthenticationError) and error.status_code == 403:
        return LangChainPermissionError
    return TWINS.get(type(error))


@contextmanager
def langchain_errors() -> Generator[None]:
    """Raise errors of the transport as their LangChain twins, with the cause of the original.

    It serves blocking and asynchronous code; other exceptions pass unchanged.
    """
    try:
        yield
    except ours.OllamaError as error:
        twin = langchain_error(error)
        if twin is error:
            raise
        # `from` the cause, so that the traceback does not show the same error twice.
        raise twin.with_traceback(error.__traceback__) from error.__cause__
