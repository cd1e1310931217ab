"""Count the tokens of a text or a conversation: approximately, or by the server."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from langchain_core.language_models.base import BaseLanguageModel
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage

from langchain_ollama_ext._errors import langchain_errors
from langchain_ollama_ext._fields import ChatFields, ModelFields
from langchain_ollama_ext._messages import read_messages
from langchain_ollama_ext._params import resolve_call
from langchain_ollama_ext._tools import read_tools
from ollama_transport import (
    ChatLine,
    ChatRequest,
    ConfigError,
    ContextOverflowError,
    GenerateLine,
    GenerateRequest,
    ProtocolError,
)
from ollama_transport.settings import set_options

_CHARACTERS_PER_TOKEN = 4.0  # the same as langchain-core

R = TypeVar("R", ChatRequest, GenerateRequest)
Line = TypeVar("Line", ChatLine, GenerateLine)


def approximate_text(text: str) -> int:
    """Return an estimate of how many tokens a text has."""
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def approximate_messages(messages: Sequence[Any], tools: Sequence[Any] | None) -> int:
    """Return an estimate of how many tokens messages and the schemas of tools have."""
    # Imported here: it is slow to import, and few programs count tokens.
    from langchain_core.messages.utils import count_tokens_approximately

    return count_tokens_approximately(messages, tools=list(tools) if tools else None)


def counting(request: R) -> R:
    """Return a request that makes the server read the prompt and generate one token.

    With 0 tokens the server would generate a whole answer (wire reference 14).
    """
    options = {**request.options, "num_predict": 1}
    return replace(
        request, options=options, format=None, truncate=None, on_context_overflow="error"
    )


def count(send: Callable[[R], Line], request: R) -> int:
    """Return how many tokens a prompt has, by sending it; the prompt may exceed the context.

    Raises:
        ProtocolError: when the server sends no count.
        OllamaError: one of its subclasses, when the request fails.
    """
    # The refusal of a prompt that is too long contains its count too.
    try:
        usage = send(counting(request)).usage
    except ContextOverflowError as error:
        if error.prompt_tokens is None:
            raise
        return error.prompt_tokens
    if usage is None or usage.prompt_tokens is None or usage.estimated:
        raise ProtocolError(
            "the server did not say how many tokens the prompt has: use "
            'token_counter="approximate".'
        )
    return usage.prompt_tokens


class TextCounting(ModelFields, BaseLanguageModel[Any]):
    """The token counting that core's text splitters use."""

    def get_token_ids(self, text: str) -> list[int]:
        """Return the ids of a text's tokens, by ``custom_get_token_ids``.

        Raises:
            ConfigError: without that function, since the server sends counts but no ids.
        """
        if self.custom_get_token_ids is None:
            raise ConfigError(
                "Ollama counts tokens but does not return their ids: set custom_get_token_ids, or "
                "call get_num_tokens."
            )
        return self.custom_get_token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """Return how many tokens a text has; see `token_counter`.

        The server also counts the special token at the beginning of a text.

        Raises:
            OllamaError: one of its subclasses, when the server counts and the request fails.
        """
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        if self.token_counter == "approximate" or not text:
            return approximate_text(text)
        # Raw, so that the chat template is not counted with the text.
        request = GenerateRequest(
            self.model, text, raw=True, options=set_options(self), keep_alive=self.keep_alive
        )
        with langchain_errors():
            return count(self.sync_client().generate, request)


class TokenCounting(TextCounting, ChatFields, BaseChatModel):
    """The token counting that core's trimming, splitting and summarisation use."""

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Return how many tokens messages have, with their tools; see `token_counter`.

        Raises:
            OllamaError: one of its subclasses, when the server counts and the request fails.
        """
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens_from_messages(messages, tools)
        if self.token_counter == "approximate" or not messages:
            return approximate_messages(messages, read_tools(tools) if tools else None)
        with langchain_errors():
            call = resolve_call(self, None, {"tools": tools} if tools else {})
            request = call.with_messages(read_messages(messages))
            return count(self.sync_client().chat, request)
