"""Serialise a model for LangChain's traces and caches, without its secrets.

``is_lc_serializable`` stays False: langchain-core's ``load`` only accepts core's own packages.
"""

from collections.abc import Mapping
from typing import Any, Self, cast

from langchain_core.language_models import BaseLanguageModel

from langchain_ollama_ext._fields import ModelFields
from ollama_transport import __version__


class SerializedFields(ModelFields):
    """Keeps the serialised form for traces up to date; put it before core's base class."""

    def model_post_init(self, context: Any, /) -> None:
        """Run core's hook after the constructor too, which adds core's version to traces."""
        # Called by name: the method that pydantic generates for private attributes does not call
        # super(), so core's would be skipped.
        super().model_post_init(context)
        BaseLanguageModel.model_post_init(cast("Any", self), context)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        # Core caches the serialised form for traces: a change must invalidate it.
        self.__dict__.pop("_serialized", None)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields changed, which shares the connections."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("_serialized", None)
        return copied


def stamp_version(model: BaseLanguageModel[Any]) -> None:
    """Record our version where core keeps package versions for traces (since 1.5)."""
    add_version = getattr(model, "_add_version", None)
    if add_version is not None:
        add_version("ollama-ext", __version__)
