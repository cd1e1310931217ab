"""The model that `as_structured_llm` returns."""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, closing
from typing import Any

from llama_index.core.base.llms.generic_utils import (
    achat_to_completion_decorator,
    astream_chat_to_completion_decorator,
    chat_to_completion_decorator,
    stream_chat_to_completion_decorator,
)
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
)
from llama_index.core.llms.llm import LLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.prompts.base import ChatPromptTemplate
from pydantic import BaseModel


class CountedStructuredLLM(StructuredLLM):
    """A model that answers with objects of one class, in ``raw``; the text is their JSON.

    Core's own class fires an LLM event around that of the chat inside it, so that counters see
    every call twice, the second time as an estimate. This class leaves the events to the chat
    inside, to which it passes its own callbacks.
    """

    def _inner(self) -> LLM:
        if self.llm.callback_manager is self.callback_manager:
            return self.llm
        # A copy, since the caller's model keeps its own callbacks.
        return self.llm.model_copy(update={"callback_manager": self.callback_manager})

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return the object in a response."""
        prompt = ChatPromptTemplate(message_templates=list(messages))
        return _response(
            self._inner().structured_predict(self.output_cls, prompt, llm_kwargs=kwargs)
        )

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return the object in a response."""
        prompt = ChatPromptTemplate(message_templates=list(messages))
        inner = self._inner()
        return _response(
            await inner.astructured_predict(self.output_cls, prompt, llm_kwargs=kwargs)
        )

    def stream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> Generator[ChatResponse, None, None]:
        """Yield the object as it grows."""
        prompt = ChatPromptTemplate(message_templates=list(messages))
        inner = self._inner()
        partials = inner.stream_structured_predict(self.output_cls, prompt, llm_kwargs=kwargs)
        # Closed with this generator, so that the server stops when the user does.
        with closing(partials):
            for partial in partials:
                yield _response(partial)

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse, None]:
        """Return a generator of the object as it grows."""
        prompt = ChatPromptTemplate(message_templates=list(messages))
        partials = await self._inner().astream_structured_predict(
            self.output_cls, prompt, llm_kwargs=kwargs
        )

        async def grow() -> AsyncGenerator[ChatResponse, None]:
            async with aclosing(partials):
                async for partial in partials:
                    yield _response(partial)

        return grow()

    def complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 - part of core's signature; not used by a chat
        **kwargs: Any,
    ) -> CompletionResponse:
        """Return the object as a completion."""
        return chat_to_completion_decorator(self.chat)(prompt, **kwargs)

    async def acomplete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 - as above
        **kwargs: Any,
    ) -> CompletionResponse:
        """Return the object as a completion."""
        return await achat_to_completion_decorator(self.achat)(prompt, **kwargs)

    def stream_complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 - as above
        **kwargs: Any,
    ) -> Generator[CompletionResponse, None, None]:
        """Yield the object as it grows, as completions."""
        return stream_chat_to_completion_decorator(self.stream_chat)(prompt, **kwargs)

    async def astream_complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 - as above
        **kwargs: Any,
    ) -> AsyncGenerator[CompletionResponse, None]:
        """Return a generator of the object as it grows, as completions."""
        return await astream_chat_to_completion_decorator(self.astream_chat)(prompt, **kwargs)


def _response(output: BaseModel) -> ChatResponse:
    message = ChatMessage(role=MessageRole.ASSISTANT, content=output.model_dump_json())
    return ChatResponse(message=message, raw=output)
