"""Replacements for what older versions of llama-index-core lack, back to 0.14.5."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_index.core.base.llms.types import BaseContentBlock
else:
    from llama_index.core.base.llms import types
    from pydantic import BaseModel

    # Before 0.14.15 the blocks derive directly from BaseModel.
    BaseContentBlock = getattr(types, "BaseContentBlock", BaseModel)

__all__ = ["BaseContentBlock", "rate_limiter_of"]


def rate_limiter_of(model: object) -> Any:
    """Return the rate limiter of a model; None if it has none, or core has no such field."""
    return getattr(model, "rate_limiter", None)
