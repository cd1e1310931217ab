"""What older versions of llama-index-core lack, from 0.14.5 on."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_index.core.base.llms.types import BaseContentBlock
else:
    from llama_index.core.base.llms import types
    from pydantic import BaseModel

    # Before 0.14.15 the blocks derive from BaseModel itself.
    BaseContentBlock = getattr(types, "BaseContentBlock", BaseModel)

__all__ = ["BaseContentBlock", "rate_limiter_of"]


def rate_limiter_of(model: object) -> Any:
    """Return the rate limiter of a model; None when it has none, or core has no such field."""
    return getattr(model, "rate_limiter", None)
