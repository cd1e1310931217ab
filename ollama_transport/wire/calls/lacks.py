"""Parts of a request that some servers refuse, and the request without them.

A call lists such parts as `Lack`. When a server refuses one, the call is sent once more without
it; if that is answered, the client remembers it for the model (`ServerMemory.refused`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from ollama_transport.errors import (
    AuthenticationError,
    ConfigError,
    ContextOverflowError,
    ModelNotFoundError,
    OllamaError,
    StatusError,
    StreamFailedError,
)
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.errors.words import BOTH_WORDS

ReasoningHistory = Literal["auto", "never", "always"]
"""Whether the reasoning of earlier answers is sent back; "auto": unless the server refuses it."""

REASONING_FIELDS = frozenset({"reasoning", "reasoning_content", "thinking"})

# Servers refuse unknown fields with different statuses; some fail with 500, and OpenRouter finds no
# provider (404).
_REFUSING = frozenset({400, 404, 405, 415, 422, 500, 501})
# These say what else is wrong, whatever else they name.
_OTHERWISE = (AuthenticationError, ContextOverflowError, ModelNotFoundError)
# What vLLM quotes of the request, whatever was wrong with it.
_ECHO = re.compile(r"'input': .*?(?=\{'type': |\Z)", re.DOTALL)
_NO_ENDPOINT = frozenset({404, 405, 501})


@dataclass(frozen=True, slots=True)
class FieldLack:
    """A part of a call that some servers refuse by its name.

    ``words`` is the pattern by which a refusal names it; ``edit`` returns the call without it.
    ``then`` is what the server may refuse of that call in turn.
    """

    name: str
    words: str
    edit: Callable[[Call[Any]], Call[Any]]
    then: "tuple[FieldLack, ...]" = ()

    def is_refused(self, error: OllamaError) -> bool:
        """Return whether an error refuses this part."""
        if not isinstance(error, StatusError | StreamFailedError) or isinstance(error, _OTHERWISE):
            return False
        if isinstance(error, StreamFailedError):
            refuses = not error.received  # an error of status 200, without a code
        else:
            refuses = error.status in _REFUSING
        return refuses and re.search(self.words, _ECHO.sub("", error.error)) is not None

    def without(self, call: Call[Any]) -> Call[Any]:
        """Return the call without this part."""
        # So that a second refusal of the same part is raised and not repeated for ever.
        edited = self.edit(call)
        rest = tuple(lack for lack in edited.lacks if lack.name != self.name)
        return replace(edited, lacks=(*rest, *self.then))


@dataclass(frozen=True, slots=True)
class EndpointLack(FieldLack):
    """An endpoint that some servers do not have; ``edit`` returns the call of another one."""

    def is_refused(self, error: OllamaError) -> bool:
        """Return whether an error says that there is no such endpoint."""
        if not isinstance(error, StatusError) or isinstance(error, ModelNotFoundError):
            return False
        return error.status in _NO_ENDPOINT or FieldLack.is_refused(self, error)


def checked_history(value: object) -> None:
    """Check a value of ``reasoning_history``.

    Raises:
        ConfigError: for anything but "auto", "never" and "always".
    """
    if value not in get_args(ReasoningHistory):
        raise ConfigError(f'reasoning_history={value!r}: give "auto", "never" or "always".')


def body_of(call: Call[Any]) -> Mapping[str, Any]:
    """Return the body of a call; {} if it has none."""
    return {} if call.body is None else call.body


def dropped(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return fields without one of them."""
    return {key: value for key, value in fields.items() if key != name}


def _without_reasoning(name: str) -> Callable[[Call[Any]], Call[Any]]:
    def edit(call: Call[Any]) -> Call[Any]:
        body = body_of(call)
        messages = [dropped(message, name) for message in body.get("messages", ())]
        return replace(call, body={**body, "messages": messages})

    return edit


def _reasoning_words(name: str) -> str:
    # Never the word `thinking`: Ollama accepts the field, and its refusals use the word for a
    # missing capability.
    return BOTH_WORDS if name == "thinking" else rf"\b{name}\b|{BOTH_WORDS}"


def reasoning_lacks(body: Mapping[str, Any]) -> tuple[FieldLack, ...]:
    """Return the fields that carry the reasoning of a history; () if it has none."""
    return tuple(
        FieldLack(name, _reasoning_words(name), _without_reasoning(name))
        for name in sorted(REASONING_FIELDS)
        if any(name in message for message in body["messages"])
    )
