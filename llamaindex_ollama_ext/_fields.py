"""The fields of `Ollama`, and their checks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_validator, model_validator

import ollama_transport
from llamaindex_ollama_ext._params import Defaults, with_own_names
from ollama_transport import (
    ConfigError,
    KeepAlive,
    OverflowPolicy,
    SamplingOptions,
    ServerFields,
    Think,
)
from ollama_transport.conversation import FetchFields, SalvageFields, SplitFields, SystemFields
from ollama_transport.settings import keep_alive as checked_keep_alive
from ollama_transport.settings import set_options, without_obsolete

if TYPE_CHECKING:
    from ollama_transport import AsyncClient, Client

NOT_GIVEN: Any = object()
"""A default that differs from None, which means no time limit."""

SERVER_DECIDES = -1
"""The value of `context_window` that sends nothing."""


class LLMFields(
    ServerFields, SamplingOptions, FetchFields, SplitFields, SalvageFields, SystemFields
):
    """The fields of `Ollama`: those of llama-index-llms-ollama, and our additions."""

    model: str | None = Field(
        default=None,
        min_length=1,
        description="The model's name, such as llama3.2 or qwen3:8b. None means the first in the "
        "server's list that can chat, looked up at the first call.",
    )
    context_window: int = Field(
        default=SERVER_DECIDES,
        description="Tokens of prompt and answer, sent as num_ctx; for an OpenAI-compatible server "
        "it is not sent, and only informs LlamaIndex. -1 or None sends nothing: the server then "
        "uses the Modelfile's num_ctx, or its own default.",
    )
    fetch_image_urls: bool = Field(
        default=True,
        description="Whether http(s) URLs of images and audio in messages are downloaded and sent "
        "along, as LlamaIndex does. Set False if untrusted people write the messages.",
    )
    prompt_key: str = Field(default="prompt", description="Not used; kept for old configurations.")
    json_mode: bool = Field(default=False, description="Make every answer a JSON object.")
    additional_kwargs: dict[str, Any] = Field(
        default_factory=dict,
        description="Further options, which override the named ones and are sent unchecked; those "
        "that Ollama no longer has are dropped with a DeprecationWarning. ``max_tokens`` is "
        "``num_predict``, and ``extra_body`` holds further fields of the request, as in "
        "LlamaIndex's OpenAI class.",
    )
    is_function_calling_model: bool = Field(
        default=True,
        description="False never uses tools; True does, unless the model is known to lack them.",
    )
    keep_alive: KeepAlive | None = Field(
        default=None,
        description='How long the model stays in memory after a call: seconds, or "5m"; -1 means '
        "for ever, 0 unloads at once. None is the server's default, 5 minutes.",
    )
    thinking: Think | None = Field(
        default=None,
        description='Reason before the answer: True, False, or a level ("low", "medium", "high", '
        '"max", or one of the model\'s own). None leaves it to the server, which does so with '
        "models that can.",
    )
    on_context_overflow: OverflowPolicy | None = Field(
        default="warn",
        description='For a prompt that does not fit: "warn" warns and lets the server cut it, '
        '"error" raises ContextOverflowError, "truncate" and None cut it silently.',
    )
    truncate: bool | None = Field(
        default=None, description="Sent unchanged; None means that on_context_overflow decides."
    )
    shift: bool | None = Field(
        default=None,
        description="Whether early tokens are dropped when the answer fills the context; changing "
        "it reloads the model.",
    )
    logprobs: bool | None = Field(
        default=None, description="Return the log probability of each token of the answer."
    )
    top_logprobs: int | None = Field(
        default=None,
        ge=0,
        le=20,
        description="Alternatives to each token whose log probability is returned, 0 to 20.",
    )

    # Before pydantic's own check, which does not accept None as a number.
    @field_validator("context_window", mode="before")
    @classmethod
    def _check_context_window(cls, value: Any) -> Any:
        if value is None:
            return SERVER_DECIDES
        if isinstance(value, int) and value < 1 and value != SERVER_DECIDES:
            raise ValueError("give a number of tokens, or -1 to leave it to the server")
        return value

    @field_validator("additional_kwargs")
    @classmethod
    def _drop_obsolete(cls, value: dict[str, Any]) -> dict[str, Any]:
        further = value.get("extra_body")
        if further is not None and not isinstance(further, Mapping):
            raise ValueError(f"extra_body must be a dict, got {further!r:.80}")
        return without_obsolete(value)

    @field_validator("keep_alive")
    @classmethod
    def _check_keep_alive(cls, value: KeepAlive | None) -> KeepAlive | None:
        return checked_keep_alive(value)

    @model_validator(mode="after")
    def _check_one_context(self) -> Self:
        if self.num_ctx is not None and self.context_window not in (SERVER_DECIDES, self.num_ctx):
            raise ValueError(
                f"context_window={self.context_window} and num_ctx={self.num_ctx} mean the same: "
                "give only one of them"
            )
        return self

    # Properties like those of llama-index-llms-ollama, for programs that use its client.
    @property
    def client(self) -> "Client":
        """Return the blocking client, made when first needed."""
        return self.sync_client()

    @property
    def async_client(self) -> "AsyncClient":  # type: ignore[override] # a property in the class this replaces
        """Return the asynchronous client, made when first needed."""
        return super().async_client()

    @property
    def request_timeout(self) -> float | None:
        """Return the longest silence of the server allowed, in seconds; None means no limit."""
        return self.server_settings().timeouts.read_s

    @request_timeout.setter
    def request_timeout(self, seconds: float | None) -> None:
        self.timeout = seconds

    def _set_options(self, wire: str = "native") -> dict[str, Any]:
        # additional_kwargs come last: in the peer they are the only way to set most options.
        window = self.context_window
        # /v1 has no field for the context; there the value only informs LlamaIndex.
        sent = window != SERVER_DECIDES and wire == "native"
        context = {"num_ctx": window} if sent else {}
        further = {k: v for k, v in self.additional_kwargs.items() if k != "extra_body"}
        return {**set_options(self), **context, **with_own_names(further)}

    def request_fields(self) -> dict[str, Any]:
        """Return the fields that every request of this model has."""
        shared = super().request_fields()
        # LlamaIndex's OpenAI class takes fields of one server there.
        further = self.additional_kwargs.get("extra_body")
        return {**shared, "extra": {**shared["extra"], **further}} if further else shared

    def _call_defaults(self, client: "Client | AsyncClient") -> Defaults:
        return Defaults(
            model=self.model,
            options=self._set_options(client.config.wire),
            format="json" if self.json_mode else None,
            think=self.thinking,
            split_thinking=self.split_thinking,
            merge_system=self.merge_system,
            salvage_tool_calls=self.salvage_tool_calls,
            keep_alive=self.keep_alive,
            truncate=self.truncate,
            on_context_overflow=self.on_context_overflow,
            shift=self.shift,
            logprobs=self.logprobs,
            top_logprobs=self.top_logprobs,
            **self.request_fields(),
        )


def with_timeout(kwargs: dict[str, Any], seconds: Any) -> dict[str, Any]:
    """Return constructor arguments with ``request_timeout`` renamed to ``timeout``.

    Raises:
        ConfigError: when both names are used.
    """
    # None is a value here: no time limit.
    if seconds is NOT_GIVEN:
        return kwargs
    if "timeout" in kwargs:
        raise ConfigError("request_timeout and timeout mean the same: give only one of them.")
    return {**kwargs, "timeout": seconds}


def check_client(name: str, given: object, kind: str) -> None:
    """Refuse a client that is not ollama_transport's, whose answers this class could not read.

    Raises:
        ConfigError: for such a client; it says what to give instead.
    """
    # By name: the clients bring httpx, which most programs need at their first call only.
    if given is not None and not isinstance(given, getattr(ollama_transport, kind)):
        raise ConfigError(
            f"{name} must be an ollama_transport.{kind}, got "
            f"{type(given).__module__}.{type(given).__name__}: give one, or set base_url, headers, "
            "timeout, api_key or client_kwargs instead of a client."
        )
