"""Structured prediction: from prompts to objects of pydantic classes."""

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation.events.llm import (
    LLMStructuredPredictEndEvent,
    LLMStructuredPredictInProgressEvent,
    LLMStructuredPredictStartEvent,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.output_parsers.pydantic import PydanticOutputParser
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.program.utils import FlexibleModel
from llama_index.core.prompts.base import BasePromptTemplate
from llama_index.core.types import Model, PydanticProgramMode
from pydantic import BaseModel, Field

from llamaindex_ollama_ext._chat_events import DISPATCHER, ChatTelling, told
from llamaindex_ollama_ext._core import await_for_rate, wait_for_rate
from llamaindex_ollama_ext._objects import Growth, read_object
from llamaindex_ollama_ext._structured_llm import CountedStructuredLLM
from ollama_transport import ChatLine, ChatRequest, ConfigError

if TYPE_CHECKING:
    from ollama_transport import AsyncClient, Client

_BY_CALL = (PydanticProgramMode.FUNCTION, PydanticProgramMode.OPENAI)


class StructuredOutputs(FunctionCallingLLM):
    """Methods that predict objects of pydantic classes, whole or as they grow.

    `pydantic_program_mode` selects how the answer is constrained to the class:

    - DEFAULT: the server constrains the answer to its JSON schema (``format``, wire reference
      3.6). The model itself does not see the schema, unless `schema_in_prompt` is set. GUIDANCE and
      LM_FORMAT_ENFORCER, whose packages do the same to local models, mean this too.
    - FUNCTION: the class is a tool that must be called. OPENAI means this too.
    - LLM: the schema is part of the prompt, and nothing enforces it.

    ``llm_kwargs`` are passed to the chat, and override what is derived from the class (``format``,
    for example); neither they nor the prompt are changed. The system prompt comes first. Each call
    is one chat, counted once.

    Besides the errors of a chat, each method raises StructuredOutputError, with the answer's text,
    when the answer is not such an object.
    """

    schema_in_prompt: bool = Field(
        default=False,
        description="Where the server constrains the answer, add the schema to the prompt as well, "
        "so that the model reads the descriptions of its fields, and servers that ignore `format` "
        "return the object too. It costs the tokens of the schema.",
    )

    # For the type checker only: LlamaIndex adds a span to its traces for each implementation of an
    # abstract method, so these must not be abstract.
    if TYPE_CHECKING:

        def _chat_request(
            self, messages: Sequence[ChatMessage], call: dict[str, Any]
        ) -> ChatRequest: ...

        async def _achat_request(
            self, messages: Sequence[ChatMessage], call: dict[str, Any]
        ) -> ChatRequest: ...

        def _ready_client(self, model: str | None) -> "Client": ...

        async def _aready_client(self, model: str | None) -> "AsyncClient": ...

    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return the object that the model predicts for a prompt."""
        _started(output_cls, prompt, prompt_args)
        chat = self._structured_chat(output_cls, prompt, llm_kwargs, prompt_args)
        result = read_object(self.chat(**chat), output_cls, forced=self._calls_class())
        DISPATCHER.event(LLMStructuredPredictEndEvent(output=result))
        return result

    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return the object that the model predicts for a prompt."""
        _started(output_cls, prompt, prompt_args)
        chat = self._structured_chat(output_cls, prompt, llm_kwargs, prompt_args)
        result = read_object(await self.achat(**chat), output_cls, forced=self._calls_class())
        DISPATCHER.event(LLMStructuredPredictEndEvent(output=result))
        return result

    def stream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Model | FlexibleModel, None, None]:
        """Yield the object as it grows, whenever it changes; the last one is complete.

        Until then it is a FlexibleModel: missing fields are None, and complete objects inside it
        already have their own classes. Closing the generator stops the server.
        """
        _started(output_cls, prompt, prompt_args)
        call = self._structured_chat(output_cls, prompt, llm_kwargs, prompt_args)
        messages = call.pop("messages")
        growth = Growth(output_cls, forced=self._calls_class())
        with told(self, messages, call) as telling:
            # Core acquires it in the decorator of `stream_chat`, which is not called here.
            wait_for_rate(self)
            request = self._chat_request(messages, call)
            with closing(self._ready_client(request.model).chat_stream(request)) as lines:
                for line in lines:
                    if (partial := _grown(growth, line, telling)) is not None:
                        yield partial
            telling.response = growth.response()
        yield _ended(growth)

    async def astream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Model | FlexibleModel, None]:
        """Return a generator of the object as it grows; see `stream_structured_predict`."""

        # Core's callers await this method, and iterate over what it returns.
        async def grow() -> AsyncGenerator[Model | FlexibleModel, None]:
            _started(output_cls, prompt, prompt_args)
            call = self._structured_chat(output_cls, prompt, llm_kwargs, prompt_args)
            messages = call.pop("messages")
            growth = Growth(output_cls, forced=self._calls_class())
            with told(self, messages, call) as telling:
                await await_for_rate(self)
                request = await self._achat_request(messages, call)
                client = await self._aready_client(request.model)
                async with aclosing(client.chat_stream(request)) as lines:
                    async for line in lines:
                        if (partial := _grown(growth, line, telling)) is not None:
                            yield partial
                telling.response = growth.response()
            yield _ended(growth)

        return grow()

    def as_structured_llm(self, output_cls: type[BaseModel], **kwargs: Any) -> StructuredLLM:
        """Return a model whose answers are objects of a class, in ``raw``.

        It fires no LLM events itself: those of the chat inside it have the real counts.
        """
        return CountedStructuredLLM(
            **{"callback_manager": self.callback_manager, **kwargs}, llm=self, output_cls=output_cls
        )

    def _structured_chat(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None,
        prompt_args: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return the arguments of the chat that produces the object."""
        given = {} if llm_kwargs is None else dict(llm_kwargs)
        mode = self.pydantic_program_mode
        messages = prompt.format_messages(llm=self, **prompt_args)
        if self._calls_class():
            return self._forced_call(output_cls, self._extend_messages(messages), given)
        if mode == PydanticProgramMode.LLM or self.schema_in_prompt:
            messages = with_schema(messages, output_cls)
        held = {} if mode == PydanticProgramMode.LLM else {"format": output_cls.model_json_schema()}
        return {"messages": self._extend_messages(messages), **held, **given}

    def _calls_class(self) -> bool:
        return self.pydantic_program_mode in _BY_CALL

    def _forced_call(
        self, output_cls: type[BaseModel], messages: list[ChatMessage], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        if not self.metadata.is_function_calling_model:
            raise ConfigError(
                f"{self.metadata.model_name} does not support tools: set pydantic_program_mode to "
                "DEFAULT, which works with any model."
            )
        # One call: a second one would be a second object. Whether it is missing is decided when the
        # object is read, which may be in the text.
        forced: dict[str, Any] = {"tool_required": True, "allow_parallel_tool_calls": False}
        forced |= {"on_missing_call": "pass", **given}
        tool = get_function_tool(output_cls)
        return self._prepare_chat_with_tools([tool], chat_history=messages, **forced)


class _PlainParser(PydanticOutputParser[Any]):
    """Writes the schema unchanged: core's own parser doubles its braces, which stay doubled."""

    def format(self, query: str) -> str:
        return f"{query}\n\n{self.get_format_string(escape_json=False)}"


def with_schema(messages: list[ChatMessage], output_cls: type[BaseModel]) -> list[ChatMessage]:
    """Return copies of messages that request JSON of a class, at the place that core uses."""
    copies = [message.model_copy(deep=True) for message in messages]
    return _PlainParser(output_cls).format_messages(copies)


def _started(
    output_cls: type[BaseModel], prompt: BasePromptTemplate, args: Mapping[str, Any]
) -> None:
    DISPATCHER.event(
        LLMStructuredPredictStartEvent(
            output_cls=output_cls, template=prompt, template_args=dict(args)
        )
    )


def _grown(growth: Growth, line: ChatLine, telling: ChatTelling) -> Any:
    """Return the object so far if a line changed it, and report both."""
    partial = growth.push(line)
    if telling.is_heard:
        telling.progress(growth.response())
        if partial is not None:
            DISPATCHER.event(LLMStructuredPredictInProgressEvent(output=partial))
    return partial


def _ended(growth: Growth) -> Any:
    result = growth.finish()
    DISPATCHER.event(LLMStructuredPredictInProgressEvent(output=result))
    # Fired before the last yield: a caller may stop iterating at the complete object.
    DISPATCHER.event(LLMStructuredPredictEndEvent(output=result))
    return result
