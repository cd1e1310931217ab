"""How a model shows itself to LangChain: serialised, traced and cached, without its secrets."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self, cast

from langchain_core.language_models import BaseLanguageModel

from langchain_ollama_ext._fields import ModelFields
from ollama_transport import Timeouts, __version__
from ollama_transport.client import plain_kwargs

_CLIENT_KWARGS = ("client_kwargs", "sync_client_kwargs", "async_client_kwargs")


class SerializedFields(ModelFields):
    """Let ``dumpd`` and ``load`` of langchain-core work; put before core's base class."""

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return True: ``dumpd`` and ``load`` of langchain-core work, secrets left out."""
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Return which argument is a secret, and the environment variable that has it."""
        return {"api_key": "OLLAMA_API_KEY"}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """Return the arguments that are no plain values, as plain values."""
        plain = {name: plain_kwargs(getattr(self, name)) for name in _CLIENT_KWARGS}
        given = {name: value for name, value in plain.items() if getattr(self, name)}
        return {**given, "timeout": asdict(Timeouts.of(self.timeout))}

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
