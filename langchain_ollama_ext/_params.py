"""Resolve one call: the model's fields, overridden by the arguments of the call."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr

from langchain_ollama_ext._fields import (
    OTHER_NAMES,
    ChatFields,
    ModelFields,
    canonical_names,
    with_logprobs,
)
from langchain_ollama_ext._obsolete import PEER_OBSOLETE
from langchain_ollama_ext._tools import (
    read_format,
    read_response_format,
    read_tool_choice,
    read_tools,
)
from ollama_transport import ChatRequest, ConfigError, ServerFields
from ollama_transport.callers import caller_level
from ollama_transport.settings import (
    OBSOLETE_OPTIONS,
    OPTION_NAMES,
    check_options,
    set_options,
    warn_obsolete,
)
from ollama_transport.settings import unknown_name as _unknown_name

if TYPE_CHECKING:
    from ollama_transport import AsyncClient, Client

C = TypeVar("C", "Client", "AsyncClient")

SERVER_ARGUMENTS = frozenset({"api_key", "headers", "max_retries", "retry_max_wait_s", "timeout"})
"""Server settings that a call can override; calls with equal values share connections."""

_REQUEST_ARGUMENTS = frozenset(
    {
        "format",
        "keep_alive",
        "logprobs",
        "model",
        "on_context_overflow",
        "on_missing_call",
        "options",
        "parallel_tool_calls",
        "reasoning",
        "response_format",
        "merge_system",
        "salvage_tool_calls",
        "shift",
        "split_thinking",
        "stop",
        "tool_choice",
        "tools",
        "top_logprobs",
        "truncate",
    }
)
_PICKED = (
    "keep_alive",
    "model",
    "on_context_overflow",
    "shift",
    "split_thinking",
    "top_logprobs",
    "truncate",
)
# Core reads these before it calls us (stream, streaming, the formats for tracing), and `strict`
# arrives with tools whose schemas already reflect it.
_READ_ELSEWHERE = frozenset(
    {"ls_structured_output_format", "stream", "streaming", "strict", "structured_output_format"}
)
CALL_ARGUMENTS = (
    _REQUEST_ARGUMENTS
    | _READ_ELSEWHERE
    | SERVER_ARGUMENTS
    | OPTION_NAMES
    | frozenset(OTHER_NAMES)
    | frozenset(PEER_OBSOLETE)
)
"""All arguments of invoke, stream, bind and an agent's model_settings."""

_TRACED_SECRETS = ("api_key", "headers")


@dataclass(frozen=True, slots=True)
class ChatCall:
    """One call: the fields of its request except the messages, and its server settings."""

    fields: Mapping[str, Any]
    server: Mapping[str, Any] = field(default_factory=dict)

    def with_messages(self, messages: Sequence[Any]) -> ChatRequest:
        """Return the request with these messages.

        Raises:
            ConfigError: for a value that no server would accept.
        """
        return ChatRequest(messages=messages, **self.fields)


def resolve_call(
    model: ChatFields, stop: Sequence[str] | None, arguments: Mapping[str, Any]
) -> ChatCall:
    """Return the call for a model's fields and the arguments of one call.

    None counts as not given. Options are merged, and so are stop texts.

    Raises:
        ConfigError: for an unknown name (it suggests a similar one), a value out of range, and
            arguments that contradict each other.
    """
    given = known_arguments(arguments)
    pick = Picker(model, given)
    fields = {
        **shared_fields(model, stop, given, pick),
        "tools": read_tools(given.get("tools", ())),
        "tool_choice": read_tool_choice(given.get("tool_choice")),
        "parallel_tool_calls": given.get("parallel_tool_calls"),
        "on_missing_call": given.get("on_missing_call", "error"),
        "format": _format(model, given),
        "merge_system": pick("merge_system"),
        "salvage_tool_calls": pick("salvage_tool_calls"),
    }
    return ChatCall(fields, {name: given[name] for name in SERVER_ARGUMENTS & given.keys()})


def shared_fields(
    model: ModelFields, stop: Sequence[str] | None, given: Mapping[str, Any], pick: "Picker"
) -> dict[str, Any]:
    """Return the fields that requests of a chat and of a completion share."""
    return {
        "options": merged_options(model, stop, given),
        "think": pick("reasoning"),
        "logprobs": with_logprobs(pick("logprobs"), pick("top_logprobs")),
        **{name: pick(name) for name in _PICKED},
        **model.request_fields(),
    }


def known_arguments(
    arguments: Mapping[str, Any], known: frozenset[str] = CALL_ARGUMENTS
) -> dict[str, Any]:
    """Return the arguments of a call under our names, without None and without core's arguments.

    Raises:
        ConfigError: for an unknown name.
    """
    named = canonical_names(arguments)
    for name in named:
        if name not in known:
            raise _unknown_name("argument", name, known)
    # Agents and middlewares pass unset settings as None.
    given = {name: value for name, value in named.items() if value is not None}
    for name in PEER_OBSOLETE:
        if given.pop(name, None) is not None:
            warn_obsolete(name)
    return {name: value for name, value in given.items() if name not in _READ_ELSEWHERE}


@dataclass(frozen=True, slots=True)
class Picker:
    """Picks an argument of the call, or else the model's field."""

    model: ModelFields
    given: Mapping[str, Any]

    def __call__(self, name: str) -> Any:
        return self.given[name] if name in self.given else getattr(self.model, name)


def _format(model: ChatFields, given: Mapping[str, Any]) -> str | Mapping[str, Any] | None:
    if "format" in given:
        if "response_format" in given:
            warnings.warn(
                "format and response_format are both given, so response_format is ignored: give "
                "only one of them.",
                stacklevel=caller_level(),
            )
        return read_format(given["format"])
    if "response_format" in given:
        return read_response_format(given["response_format"])
    return read_format(model.format)


def merged_options(
    model: ModelFields, stop: Sequence[str] | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the model's options, overridden by those of the call; all stop texts are kept.

    Raises:
        ConfigError: for an unknown option, and a value out of range.
    """
    whole = given.get("options", {})
    if not isinstance(whole, Mapping):
        raise ConfigError(f"options must be a mapping such as {{'num_ctx': 8192}}, got {whole!r}.")
    single = {name: given[name] for name in OPTION_NAMES & given.keys() - {"stop"}}
    own = set_options(model)
    # Checked together: an option by itself and the same inside `options` are one option.
    merged = {**own, **check_options({**_living(whole), **single})}
    # A chain adds its own stop texts to those that the prompt's format needs: all must stay.
    texts = _checked(all_stops(own.get("stop"), whole.get("stop"), given.get("stop"), stop))
    return {**merged, "stop": texts} if texts else _without_stop(merged)


def _living(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options without obsolete ones, warning about those."""
    for name in OBSOLETE_OPTIONS & options.keys():
        warn_obsolete(name)
    return {n: v for n, v in options.items() if n not in OBSOLETE_OPTIONS and n != "stop"}


def _without_stop(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "stop"}


def all_stops(*given: Sequence[str] | str | None) -> list[str]:
    """Return all stop texts, each once, the model's own first."""
    texts: list[str] = []
    for part in given:
        listed = [part] if isinstance(part, str) else part if part is not None else []
        texts.extend(text for text in listed if text not in texts)
    return texts


def _checked(texts: list[str]) -> list[str]:
    return [str(text) for text in check_options({"stop": texts})["stop"]] if texts else []


def settings_with(model: ServerFields, server: Mapping[str, Any]) -> ServerFields:
    """Return the model's server settings, overridden for one call.

    Headers are merged. A key or an Authorization header replaces any other authentication.

    Raises:
        ConfigError: for a value that cannot work.
    """
    own = {name: getattr(model, name) for name in ServerFields.model_fields}
    secret = own.pop("secret_headers")
    headers = {**_plain(own.pop("headers")), **{n: v.get_secret_value() for n, v in secret.items()}}
    more = {name.lower(): value for name, value in _plain(server.get("headers")).items()}
    # The settings refuse two ways to authenticate at once.
    if "api_key" in server or "authorization" in more:
        own["credentials"] = own["api_key"] = None
        headers = {n: v for n, v in headers.items() if n.lower() != "authorization"}
    kept = {name: value for name, value in headers.items() if name.lower() not in more}
    return ServerFields(**{**own, **server, "headers": {**kept, **more}})


def _plain(headers: Mapping[str, str] | None) -> Mapping[str, str]:
    return {} if headers is None else headers


def without_secrets(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call with secrets masked, for traces and caches."""
    return {
        name: SecretStr("") if name in _TRACED_SECRETS else value
        for name, value in arguments.items()
    }


def obeying(client: C, fields: ServerFields) -> C:
    """Return the client, if it has the settings of the fields.

    Raises:
        ConfigError: when the client was passed to the model and has other settings than the call.
    """
    if client.settings != fields.server_settings():
        raise ConfigError(
            "this model uses a client that was passed to it, whose timeout, retries, key and "
            "headers cannot be changed for one call: set them on that client."
        )
    return client
