"""How a model shows itself to LangChain: traced and cached, without its secrets.

No model says that langchain-core can load it (``is_lc_serializable``): ``load`` knows core's own
packages, and would refuse it.
"""

from collections.abc import Mapping
from typing import Any, Self, cast

from langchain_core.language_models import BaseLanguageModel

from langchain_ollama_ext._fields import ModelFields
from ollama_transport import __version__


class SerializedFields(ModelFields):
    """Keep what traces show true to the fields; put before core's base class."""

    def model_post_init(self, context: Any, /) -> None:
        """Do what core does after the constructor, which adds its version to traces."""
        # The one that pydantic makes for the private attributes of ServerFields ends the chain.
        super().model_post_init(context)
        BaseLanguageModel.model_post_init(cast("Any", self), context)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        # Core keeps the serialised form, which traces show: it must not outlive a change.
        self.__dict__.pop("_serialized", None)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, with some fields changed; it shares the connections."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("_serialized", None)
        return copied


def stamp_version(model: BaseLanguageModel[Any]) -> None:
    """Record our version where core keeps the versions of packages for traces (from 1.5 on)."""
    add_version = getattr(model, "_add_version", None)
    if add_version is not None:
        add_version("ollama-ext", __version__)
