"""Errors that are ours and langchain-core's ModelError family at once.

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

"again" stands for ``is_retryable``. Retry middlewares go by it, and summarisation recovers from
core's ContextOverflowError. Before langchain-core 1.6 the family is a stand-in
(``_core_errors``). Code that catches the classes of ``ollama_transport`` works alike.
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
    """Raised when the answer is not what an Ollama server sends; the next one would not be."""

    # Core's ModelAPIError says that it is: a failing server may recover, a foreign one will not.
    is_retryable = False


class LangChainEmptyAnswerError(ours.EmptyAnswerError, core.ModelAPIError):
    """Raised when a success held nothing; the next one may hold something."""


class LangChainAuthenticationError(ours.AuthenticationError, core.ModelAuthenticationError):
    """Raised when the server wants other credentials (401)."""


class LangChainPermissionError(ours.AuthenticationError, core.ModelPermissionDeniedError):
    """Raised when these credentials do not allow the request (403)."""


class LangChainModelNotFoundError(ours.ModelNotFoundError, core.ModelNotFoundError):
    """Raised when the server does not have the model."""


class LangChainRequestRejectedError(ours.RequestRejectedError, core.ModelInvalidRequestError):
    """Raised when the server refuses this request as it is."""


class LangChainUnsupportedCapabilityError(
    ours.UnsupportedCapabilityError, core.ModelInvalidRequestError
):
    """Raised when the model cannot do what was asked."""


class LangChainContextOverflowError(
    ours.ContextOverflowError, ContextOverflowError, core.ModelError
):
    """Raised when the prompt does not fit the context; summarisation recovers from it."""


class LangChainServerBusyError(ours.ServerBusyError, core.ModelRateLimitError):
    """Raised when the server has too much to do."""


class LangChainServerError(ours.ServerError, core.ModelAPIError):
    """Raised when the server failed."""


class LangChainStreamFailedError(ours.StreamFailedError, core.ModelAPIError):
    """Raised when the server sent an error instead of the next line."""


class LangChainStreamTruncatedError(ours.StreamTruncatedError, core.ModelAPIError):
    """Raised when an answer ended without its last line."""


class LangChainBudgetExceededError(ours.BudgetExceededError, core.ModelError):
    """Raised when a budget forbids a call; nothing was sent."""


# A retry middleware asks again for whatever is not a ModelError: so even a wrong argument is one.
# A table, and not a rule, so that a new error of the transport fails its test until it has a twin.
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
}


def langchain_error(error: ours.OllamaError) -> ours.OllamaError:
    """Return (not raise) the twin of an error: same text and attributes, langchain-core's family.

    An error that is a twin already, or of a class without one, is returned itself.
    """
    twin = _twin_class(error)
    if twin is None:
        return error
    # Like unpickling: the constructors want arguments that live in __dict__ by now.
    made = twin.__new__(twin, *error.args)
    made.args = error.args
    made.__dict__.update(error.__dict__)
    if isinstance(made, LangChainServerBusyError) and (made.is_long_silence or made.is_used_up):
        made.is_retryable = False  # the model is at work on the answer, or the account is empty
    return made


def _twin_class(error: ours.OllamaError) -> type[ours.OllamaError] | None:
    # One class of ours, two of core's: other credentials may help at 401, and do not at 403.
    if isinstance(error, ours.AuthenticationError) and error.status_code == 403:
        return LangChainPermissionError
    return TWINS.get(type(error))


@contextmanager
def langchain_errors() -> Generator[None]:
    """Raise errors of the transport as their LangChain twins, with the cause of the original.

    For blocking and asynchronous code alike; other exceptions pass.
    """
    try:
        yield
    except ours.OllamaError as error:
        twin = langchain_error(error)
        if twin is error:
            raise
        # One traceback and not two: the original is the twin's parent and says the same.
        raise twin.with_traceback(error.__traceback__) from error.__cause__
