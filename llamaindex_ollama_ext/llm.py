"""`Ollama`: chat and completion for LlamaIndex."""

from collections.abc import Sequence
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Unpack

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW, DEFAULT_NUM_OUTPUTS
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools.types import BaseTool

from llamaindex_ollama_ext._blocks import media_blocks
from llamaindex_ollama_ext._core_fields import core_fields_described
from llamaindex_ollama_ext._fields import (
    NOT_GIVEN,
    SERVER_DECIDES,
    check_client,
    with_timeout,
)
from llamaindex_ollama_ext._info import ModelFacts
from llamaindex_ollama_ext._known import KnownModel
from llamaindex_ollama_ext._media import aload_media, load_media
from llamaindex_ollama_ext._messages import check_messages, to_messages
from llamaindex_ollama_ext._options import LLMOptions, undumped
from llamaindex_ollama_ext._params import (
    chat_fields,
    completion_fields,
    image_blocks,
    with_prompt,
)
from llamaindex_ollama_ext._stream import (
    ChatAnswer,
    CompletionAnswer,
    whole_chat,
    whole_completion,
)
from llamaindex_ollama_ext._structured import StructuredOutputs
from llamaindex_ollama_ext._tools import tool_selections, tool_spec, with_user_message
from ollama_transport import (
    ChatRequest,
    GenerateRequest,
    KeepAlive,
    Think,
)
from ollama_transport.conversation import FetchLimits

if TYPE_CHECKING:
    from ollama_transport import AsyncClient, Client


@core_fields_described
class Ollama(KnownModel, StructuredOutputs):
    """A chat and completion model of an Ollama server, or of an OpenAI-compatible one.

    A drop-in for the class of this name in llama-index-llms-ollama. Creating one does no I/O.

    ```python
    import asyncio

    from llama_index.core.llms import ChatMessage

    from llamaindex_ollama_ext import Ollama

    llm = Ollama("llama3.2", temperature=0, context_window=8192)
    print(llm.complete("Why is the sky blue?"))
    response = llm.chat([ChatMessage("Hello")])
    print(response.message.content, response.raw["usage"])
    for part in llm.stream_chat([ChatMessage("Tell me a story.")]):
        print(part.delta, end="")
    print(asyncio.run(llm.acomplete("Name a river.")))  # also: achat, astream_chat, …
    ```

    Tools and structured output:

    ```python
    from llama_index.core.tools import FunctionTool
    from pydantic import BaseModel

    class City(BaseModel):
        name: str

    def weather(city: str) -> str:
        return f"Rain in {city}."

    tool = FunctionTool.from_defaults(weather, description="The weather of a city.")
    response = llm.chat_with_tools([tool], user_msg="What is the weather in Rome?")
    print(llm.get_tool_calls_from_response(response, error_on_no_tool_call=False))
    print(llm.as_structured_llm(City).complete("Name a city.").raw)
    ```

    Images are blocks of a message. Reasoning is a block of the answer:

    ```python
    from llama_index.core.llms import ImageBlock, TextBlock

    dot = (
        b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAA"
        b"AABJRU5ErkJggg=="
    )
    question = ChatMessage(blocks=[TextBlock(text="What is this?"), ImageBlock(image=dot)])
    print(Ollama("llava").chat([question]).message.content)
    thoughtful = Ollama("qwen3:8b", thinking=True)
    print(thoughtful.chat([ChatMessage("Hello")]).message.blocks)
    ```

    Each option of `SamplingOptions` can be given here or with a call, as can ``options={…}``,
    ``keep_alive``, ``think``, ``format``, ``truncate``, ``shift``, ``logprobs``, ``top_logprobs``,
    ``on_context_overflow``, ``model`` and ``extra`` (further fields of the request, sent
    unchanged). An unknown argument is a ConfigError that suggests a similar one.
    ``request_timeout`` is another name for ``timeout``. A ``client`` and an ``async_client`` given
    here are used instead of the model's own; their creator closes them.

    `metadata` does no I/O. What the server knows about the model (the context it was trained for,
    whether it supports tools) is available after `from_server`, or after the first call.

    Every call raises: ConfigError, UnsupportedContentError, OllamaConnectionError,
    OllamaTimeoutError, ProtocolError, StatusError and its subclasses (which have ``status_code``),
    StreamError and its subclasses; the same for blocking, asynchronous and streamed calls.
    """

    # Spelled out in the order of the peer's class: some programs pass the first ones by position.
    def __init__(
        self,
        model: str | None = None,
        base_url: str | None = None,
        temperature: float | None = None,
        context_window: int | None = SERVER_DECIDES,
        request_timeout: float | None = NOT_GIVEN,
        prompt_key: str = "prompt",
        json_mode: bool = False,
        additional_kwargs: dict[str, Any] | None = None,
        client: "Client | None" = None,
        async_client: "AsyncClient | None" = None,
        is_function_calling_model: bool = True,
        keep_alive: KeepAlive | None = None,
        thinking: Think | None = None,
        headers: dict[str, str] | None = None,
        **kwargs: Unpack[LLMOptions],
    ) -> None:
        super().__init__(
            model=model,
            base_url=base_url,
            temperature=temperature,
            context_window=context_window,
            prompt_key=prompt_key,
            json_mode=json_mode,
            additional_kwargs={} if additional_kwargs is None else additional_kwargs,
            is_function_calling_model=is_function_calling_model,
            keep_alive=keep_alive,
            thinking=thinking,
            headers=headers,
            **with_timeout(undumped(kwargs), request_timeout),
        )
        check_client("client", client, "Client")
        check_client("async_client", async_client, "AsyncClient")
        # Last: `use_clients` refuses fields that only the clients of a model itself would heed.
        if client is not None or async_client is not None:
            self.use_clients(client, async_client)

    @classmethod
    def class_name(cls) -> str:
        """Return the peer's name, which ``load_llm``, stored indexes and tracers use."""
        return "Ollama_llm"

    @property
    def metadata(self) -> LLMMetadata:
        """Return what is known about the model so far; does no I/O and never raises."""
        facts = self._facts()
        return LLMMetadata(
            context_window=self.get_context_window(),
            num_output=self._num_output(facts),
            is_chat_model=True,
            is_function_calling_model=self.is_function_calling_model and not facts.lacks_tools,
            model_name=self._resolved_name(),
        )

    def get_context_window(self) -> int:
        """Return the tokens that prompt and answer may have together.

        It is the value of this object; else that of the Modelfile, or the length the model was
        trained for, if known; else LlamaIndex's default. A server with little memory provides less
        than the model was trained for: set ``context_window`` to be sure.
        """
        # additional_kwargs are unchecked, so this may not be a number.
        asked = self._set_options().get("num_ctx")
        if isinstance(asked, int):
            return asked
        known = self._facts().context_window
        return DEFAULT_CONTEXT_WINDOW if known is None else known

    def _num_output(self, facts: ModelFacts) -> int:
        asked = self._set_options().get("num_predict", facts.num_predict)
        # Negative values mean no limit, so they cannot be reserved in the context.
        return asked if isinstance(asked, int) and asked > 0 else DEFAULT_NUM_OUTPUTS

    def to_payload(self) -> dict[str, Any]:
        """Return what traces show of the model, without secrets."""
        # No super(): LlamaIndex has this hook only since 0.14.23. Not class_name(): OpenLLMetry
        # takes this name for the provider.
        return {
            "class_name": "Ollama",
            **self.metadata.model_dump(),
            "model": self.model,
            "temperature": self.temperature,
            **self._set_options(),
        }

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return the model's next message, whole."""
        request = self._chat_request(messages, kwargs)
        return whole_chat(self._ready_client(request.model).chat(request))

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return the model's next message, whole."""
        request = await self._achat_request(messages, kwargs)
        client = await self._aready_client(request.model)
        return whole_chat(await client.chat(request))

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Yield the model's next message as it grows; closing the generator stops the server."""
        # Checked here rather than in the generator, where errors would surface at the first line.
        return self._chat_stream(self._chat_request(messages, kwargs))

    @llm_chat_callback()
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Return a generator of the model's next message as it grows."""
        return self._achat_stream(await self._achat_request(messages, kwargs))

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Return the completion of a prompt, by ``/api/generate`` (wire reference 4).

        ``formatted`` prompts are sent without `completion_to_prompt` and `system_prompt`. Besides
        the arguments of every call, it takes ``suffix`` (fill the gap before it), ``raw`` (no
        template), ``template``, ``system``, ``images`` (bytes, base64 text or ImageBlocks) and
        ``context`` (from ``raw["context"]`` of an earlier completion).
        """
        request = self._completion_request(prompt, formatted, kwargs)
        return whole_completion(self._ready_client(request.model).generate(request))

    @llm_completion_callback()
    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """Return the completion of a prompt; see `complete`."""
        request = await self._acompletion_request(prompt, formatted, kwargs)
        client = await self._aready_client(request.model)
        return whole_completion(await client.generate(request))

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Yield the completion of a prompt as it grows; see `complete`."""
        return self._completion_stream(self._completion_request(prompt, formatted, kwargs))

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        """Return a generator of the completion as it grows; see `complete`."""
        request = await self._acompletion_request(prompt, formatted, kwargs)
        return self._acompletion_stream(request)

    def _fetches(self) -> FetchLimits | None:
        return self.fetch_limits if self.fetch_image_urls else None

    def _chat_request(self, messages: Sequence[ChatMessage], call: dict[str, Any]) -> ChatRequest:
        # The arguments are checked first, before anything is fetched.
        fields = chat_fields(self._call_defaults(self.client), call)
        check_messages(messages)
        media = load_media(media_blocks(messages), self._fetches())
        return ChatRequest(messages=to_messages(messages, media), **fields)

    async def _achat_request(
        self, messages: Sequence[ChatMessage], call: dict[str, Any]
    ) -> ChatRequest:
        fields = chat_fields(self._call_defaults(self.async_client), call)
        check_messages(messages)
        media = await aload_media(media_blocks(messages), self._fetches())
        return ChatRequest(messages=to_messages(messages, media), **fields)

    def _chat_stream(self, request: ChatRequest) -> ChatResponseGen:
        answer = ChatAnswer()
        # Closed with this generator, so that the server stops when the user does.
        with closing(self._ready_client(request.model).chat_stream(request, in_runs=True)) as lines:
            for line in lines:
                yield from answer.each(line)

    async def _achat_stream(self, request: ChatRequest) -> ChatResponseAsyncGen:
        answer = ChatAnswer()
        client = await self._aready_client(request.model)
        async with aclosing(client.chat_stream(request, in_runs=True)) as lines:
            async for line in lines:
                for response in answer.each(line):
                    yield response

    def _completion_request(
        self, prompt: str, formatted: bool, call: dict[str, Any]
    ) -> GenerateRequest:
        fields = self._completion_fields(self.client, prompt, formatted, call)
        blocks = image_blocks(fields.pop("images"))
        media = load_media(blocks, self._fetches())
        return GenerateRequest(images=[media[id(block)] for block in blocks], **fields)

    async def _acompletion_request(
        self, prompt: str, formatted: bool, call: dict[str, Any]
    ) -> GenerateRequest:
        fields = self._completion_fields(self.async_client, prompt, formatted, call)
        blocks = image_blocks(fields.pop("images"))
        media = await aload_media(blocks, self._fetches())
        return GenerateRequest(images=[media[id(block)] for block in blocks], **fields)

    def _completion_fields(
        self, client: "Client | AsyncClient", prompt: str, formatted: bool, call: dict[str, Any]
    ) -> dict[str, Any]:
        fields = completion_fields(self._call_defaults(client), call)
        system, to_prompt = self.system_prompt, self.completion_to_prompt
        return with_prompt(fields, prompt, formatted=formatted, system=system, to_prompt=to_prompt)

    def _completion_stream(self, request: GenerateRequest) -> CompletionResponseGen:
        # Generators of their own: the methods above check their arguments when called.
        answer = CompletionAnswer()
        with closing(self._ready_client(request.model).generate_stream(request)) as lines:
            for line in lines:
                yield answer.push(line)

    async def _acompletion_stream(self, request: GenerateRequest) -> CompletionResponseAsyncGen:
        answer = CompletionAnswer()
        client = await self._aready_client(request.model)
        async with aclosing(client.generate_stream(request)) as lines:
            async for line in lines:
                yield answer.push(line)

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,  # noqa: ARG002 - part of LlamaIndex's signature, for agents only
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        # tool_choice wins: programs always set tool_required as well.
        if tool_choice is None and tool_required:
            tool_choice = "required"
        return {
            **kwargs,
            "messages": with_user_message(chat_history, user_msg),
            "tools": [tool_spec(tool) for tool in tools],
            "tool_choice": tool_choice,
            "allow_parallel_tool_calls": allow_parallel_tool_calls,
        }

    def get_tool_calls_from_response(
        self,
        response: ChatResponse,
        error_on_no_tool_call: bool = True,
        **kwargs: Any,  # noqa: ARG002 - LlamaIndex passes all arguments of its own callers
    ) -> list[ToolSelection]:
        """Return the tool calls of a response, in the model's order.

        Raises:
            ValueError: when there is no call, unless `error_on_no_tool_call` is False.
            UnsupportedContentError: when the answer ended inside the arguments of a call.
        """
        return tool_selections(response, error_on_none=error_on_no_tool_call)
