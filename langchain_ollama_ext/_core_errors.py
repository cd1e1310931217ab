"""langchain-core's ModelError family, or stand-ins for it before version 1.6, which had none.

A stand-in has the base class and the ``is_retryable`` of the real class.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_core.exceptions import (
        ModelAPIError,
        ModelAuthenticationError,
        ModelConnectionError,
        ModelError,
        ModelInvalidRequestError,
        ModelNotFoundError,
        ModelPermissionDeniedError,
        ModelRateLimitError,
        ModelRefusalError,
        ModelTimeoutError,
    )
else:
    from langchain_core import exceptions as core

    def _class(name: str, parent: type, *, is_retryable: bool = False) -> type:
        stand_in = {"__module__": __name__, "is_retryable": is_retryable}
        return getattr(core, name, None) or type(name, (parent,), stand_in)

    ModelError = _class("ModelError", core.LangChainException)
    ModelAPIError = _class("ModelAPIError", ModelError, is_retryable=True)
    ModelAuthenticationError = _class("ModelAuthenticationError", ModelError)
    ModelConnectionError = _class("ModelConnectionError", ModelError, is_retryable=True)
    ModelInvalidRequestError = _class("ModelInvalidRequestError", ModelError)
    ModelNotFoundError = _class("ModelNotFoundError", ModelError)
    ModelPermissionDeniedError = _class("ModelPermissionDeniedError", ModelError)
    ModelRateLimitError = _class("ModelRateLimitError", ModelError, is_retryable=True)
    ModelRefusalError = _class("ModelRefusalError", ModelError)
    ModelTimeoutError = _class("ModelTimeoutError", ModelError, is_retryable=True)

__all__ = [
    "ModelAPIError",
    "ModelAuthenticationError",
    "ModelConnectionError",
    "ModelError",
    "ModelInvalidRequestError",
    "ModelNotFoundError",
    "ModelPermissionDeniedError",
    "ModelRateLimitError",
    "ModelRefusalError",
    "ModelTimeoutError",
]
