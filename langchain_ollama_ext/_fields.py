"""The fields of ChatOllama, their checks, and their alternative names."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from langchain_ollama_ext._obsolete import ObsoleteOptions
from ollama_transport import (
    ConfigError,
    KeepAlive,
    OverflowPolicy,
    SamplingOptions,
    ServerFields,
    Think,
)
from ollama_transport.conversation import FetchFields, SalvageFields, SplitFields, SystemFields
from ollama_transport.settings import (
    check_format,
    check_think,
    check_top_logprobs,
    keep_alive,
)

OTHER_NAMES: Mapping[str, str] = {
    "max_tokens": "num_predict",
    "model_name": "model",
    "think": "reasoning",
}
"""LangChain's standard names, and the server's, for fields that have langchain-ollama's names."""


def canonical_names(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments under the names of the fields; see OTHER_NAMES.

    Raises:
        ConfigError: when both names of one field are given, and differ.
    """
    named = dict(given)
    # configurable_fields and load pass every field under its own name, often as None: two names
    # conflict only if both have values, and different ones.
    for other, name in OTHER_NAMES.items():
        if other not in named:
            continue
        value = named.pop(other)
        if named.get(name) is not None and value is not None and named[name] != value:
            raise ConfigError(f"{other} is another name of {name}: give only one of them.")
        if named.get(name) is None:
            named[name] = value
    return named


def with_logprobs(logprobs: bool | None, top_logprobs: int | None) -> bool | None:
    """Return the ``logprobs`` to send beside ``top_logprobs`` (wire reference 3.1).

    Raises:
        ConfigError: when top_logprobs is set and logprobs is False.
    """
    check_top_logprobs(top_logprobs)
    # The server silently ignores top_logprobs without logprobs.
    if not top_logprobs:
        return logprobs
    if logprobs is False:
        raise ConfigError(
            f"top_logprobs={top_logprobs} needs logprobs, which is False: set logprobs=True, or "
            "leave top_logprobs out."
        )
    return True


# Two bases at a time: with three, pydantic's mypy plugin fails over its own model_construct.
class _Options(SamplingOptions, ObsoleteOptions):
    """The current options, and the obsolete ones that are still accepted."""

    # Never instantiated itself, so pydantic need not build its validator.
    model_config = ConfigDict(defer_build=True)


class _Writing(_Options, SplitFields):
    """The options, and the fields on how answers are read."""

    model_config = ConfigDict(defer_build=True)


class ModelFields(ServerFields, _Writing):
    """The fields that ChatOllama and OllamaLLM both add to those of langchain-core.

    ``max_tokens``, ``think`` and ``model_name`` are accepted for ``num_predict``, ``reasoning``
    and ``model``.
    """

    model: str | None = Field(
        default=None,
        description="Name of the model, such as llama3.2 or qwen3:8b. None means the first in the "
        "server's list that can chat, looked up at the first call.",
    )
    reasoning: Think | None = Field(
        default=None,
        description="Whether to reason: True, False, or a level (low, medium, high, max, or "
        "one of the model's own). None leaves it to the server, which reasons if the model can. "
        " The reasoning is returned in "
        "additional_kwargs['reasoning_content'], and as a reasoning block of content_blocks.",
    )
    format: str | dict[str, Any] | None = Field(
        default=None,
        description='"json" for any JSON, or a JSON schema (bare, or in an OpenAI envelope) that '
        'the answer must follow. None and "" mean no format.',
    )
    keep_alive: KeepAlive | None = Field(
        default=None,
        description="How long the model stays in memory after the call: seconds (-1 for ever, 0 "
        'unloads it), or a duration such as "5m". None leaves it to the server (5 minutes).',
    )
    logprobs: bool | None = Field(
        default=None,
        description="Whether to return the log probability of each token, in response_metadata.",
    )
    top_logprobs: int | None = Field(
        default=None,
        description="Number of likely tokens to list at each position, 0 to 20; enables logprobs.",
    )
    truncate: bool | None = Field(
        default=None,
        description="Whether the server may cut a prompt that is too long. None means that "
        "on_context_overflow decides.",
    )
    on_context_overflow: OverflowPolicy = Field(
        default="warn",
        description="What to do with a prompt that does not fit num_ctx: 'warn' lets the server "
        "cut it and warns with both token counts, 'error' raises ContextOverflowError before "
        "anything is generated, 'truncate' cuts silently.",
    )
    shift: bool | None = Field(
        default=None,
        description="Whether the server may drop early tokens when the answer fills the context. "
        "Changing it reloads the model.",
    )
    # Not simply False: configurable_fields passes every field, and core heeds an explicit False.
    streaming: bool | None = Field(
        default=None,
        description="True makes invoke stream, False keeps stream from streaming, None leaves it "
        "to the caller.",
    )
    token_counter: Literal["approximate", "server"] = Field(
        default="approximate",
        description="How get_num_tokens counts: by langchain-core's approximation, or exactly, by "
        "a request that makes the server read the prompt and generate one token.",
    )
    validate_model_on_init: bool = Field(
        default=False,
        description="True makes the constructor send a blocking request and raise if the server "
        "does not have the model. False does no I/O: the first call raises ModelNotFoundError.",
    )

    def __init__(self, **data: Any) -> None:
        super().__init__(**canonical_names(data))
        if self.validate_model_on_init:
            # Imported here, since it loads the errors, which only this option needs so early.
            from langchain_ollama_ext._validation import validate_model

            validate_model(self, self.model, "completion")

    @field_validator("stop", mode="before")
    @classmethod
    def _list_stop(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    # Before pydantic's own validation, whose messages for unions of literals list every branch.
    @field_validator("reasoning", mode="before")
    @classmethod
    def _check_reasoning(cls, value: Any) -> Any:
        return check_think(value)

    @field_validator("format", mode="before")
    @classmethod
    def _check_format(cls, value: Any) -> Any:
        return check_format(value)

    # OLLAMA_KEEP_ALIVE allows forms that a request does not; they are converted here, once.
    @field_validator("keep_alive", mode="before")
    @classmethod
    def _check_keep_alive(cls, value: Any) -> Any:
        return keep_alive(value)

    @model_validator(mode="after")
    def _check_logprobs(self) -> Self:
        self.logprobs = with_logprobs(self.logprobs, self.top_logprobs)
        return self

    @property
    def max_tokens(self) -> int | None:
        """Return ``num_predict`` under LangChain's name."""
        return self.num_predict

    @property
    def model_name(self) -> str | None:
        """Return ``model`` under the name that other chat models use."""
        return self.model

    @property
    def think(self) -> Think | None:
        """Return ``reasoning`` under the server's name."""
        return self.reasoning


class _Chatting(FetchFields, SalvageFields, SystemFields):
    """The fields on fetching media and on calls in the text."""


class ChatFields(ModelFields, _Chatting):
    """The fields that ChatOllama adds to those of langchain-core."""
