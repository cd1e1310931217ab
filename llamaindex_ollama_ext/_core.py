"""Replacements for what older versions of llama-index-core lack, back to 0.14.5."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_index.core.base.llms.types import BaseContentBlock
else:
    from llama_index.core.base.llms import types
    from pydantic import BaseModel

    # Before 0.14.15 the blocks derive directly from BaseModel.
    BaseContentBlock = getattr(types, "BaseContentBlock", BaseModel)

__all__ = ["BaseContentBlock", "await_for_rate", "wait_for_rate"]


def wait_for_rate(model: object) -> None:
    """Wait until the rate limiter of a model allows a request, if it has one."""
    if (limiter := _rate_limiter(model)) is not None:
        limiter.acquire()


async def await_for_rate(model: object) -> None:
    """Same as `wait_for_rate`, for asyncio."""
    if (limiter := _rate_limiter(model)) is not None:
        await limiter.async_acquire()


def _rate_limiter(model: object) -> Any:
    # Older versions of core have no such field.
    return getattr(model, "rate_limiter", None)
