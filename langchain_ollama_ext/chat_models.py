"""The chat model: ChatOllama, a drop-in for the one of langchain-ollama."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Self, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, ValidatorFunctionWrapHandler, field_validator, model_validator

from langchain_ollama_ext._binding import ToolBinding
from langchain_ollama_ext._core_fields import core_fields_described
from langchain_ollama_ext._errors import langchain_errors
from langchain_ollama_ext._media import image_addresses
from langchain_ollama_ext._messages import read_messages
from langchain_ollama_ext._params import (
    ChatCall,
    all_stops,
    obeying,
    resolve_call,
    settings_with,
    without_secrets,
)
from langchain_ollama_ext._profile import KnownProfile, profile_of, profile_unasked
from langchain_ollama_ext._serialized import SerializedFields, stamp_version
from langchain_ollama_ext._stream import PROVIDER, ChunkMaker, wants_tokens, whole_result
from ollama_transport import ChatRequest, ConfigError, ShowAnswer
from ollama_transport.conversation import afetch_media, fetch_media
from ollama_transport.settings import set_options

if TYPE_CHECKING:  # loads httpx, which the first call does anyway
    from ollama_transport import AsyncClient, Client

_IDENTIFYING = (
    "model",
    "base_url",
    "api",
    "reasoning",
    "format",
    "keep_alive",
    "logprobs",
    "top_logprobs",
    "truncate",
    "on_context_overflow",
    "shift",
    "fetch_image_urls",
    "split_thinking",
    "merge_system",
    "salvage_tool_calls",
    "output_version",
    "extra_body",
)


@core_fields_described
class ChatOllama(SerializedFields, ToolBinding):
    """A chat model of an Ollama server, or of an OpenAI-compatible one.

    ```python
    import asyncio

    from langchain_ollama_ext import ChatOllama

    model = ChatOllama(model="qwen3:8b", temperature=0, num_ctx=8192)
    answer = model.invoke("Why is the sky blue?")
    print(answer.content, answer.usage_metadata)
    print(model.invoke("Hello", reasoning=True).additional_kwargs["reasoning_content"])
    for chunk in model.stream("Tell me a story."):  # or: async for … in model.astream(…)
        print(chunk.content, end="")
    print(asyncio.run(model.ainvoke("Name a river.")).content)
    ```

    Tools, structured output and images:

    ```python
    from langchain_core.messages import HumanMessage

    def weather(city: str) -> str:
        return f"Rain in {city}."

    print(model.bind_tools([weather]).invoke("Rain in Rome?").tool_calls)
    schema = {"title": "Person", "type": "object", "properties": {"name": {"type": "string"}}}
    print(model.with_structured_output(schema).invoke("Ada is 36."))
    dot = (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAA"
        "AABJRU5ErkJggg=="
    )
    image = {"type": "image", "base64": dot, "mime_type": "image/png"}
    question = HumanMessage(content=[{"type": "text", "text": "What is this?"}, image])
    print(ChatOllama(model="llava").invoke([question]).content)
    ```

    Every option can be given to the constructor, per call (``invoke(…, temperature=0)``), by
    ``bind``, by ``configurable_fields`` and by an agent's ``model_settings``. Per call, None counts
    as not given; ``options`` and ``stop`` are merged with the model's own. ``timeout``,
    ``max_retries``, ``api_key`` and ``headers`` can be given per call as well.

    Creating one does no I/O, except with `validate_model_on_init`. Use it from any number of
    threads and event loops, and through pickle (without its secrets). Models of equal settings
    share connections; close them with `close` or `aclose`, or use the model as a context manager.

    ``invoke`` requests a whole answer, and streams only if a handler wants tokens or
    ``streaming=True``. ``bind_tools(tool_choice=…)`` forces a call by constraining what the model
    may write, since the server has no such field. Give images as base64, bytes or data URIs in any
    provider's blocks; the server puts them before the text.

    Raises:
        ConfigError: from the constructor and before a request, for a wrong or unknown argument.

    Calls raise the errors of ``ollama_transport``, which also belong to langchain-core's ModelError
    family. A prompt that does not fit the context is not cut in silence, unless
    `on_context_overflow` is "truncate".
    """

    model_config = ConfigDict(populate_by_name=True, protected_namespaces=())

    @model_validator(mode="after")
    def _stamp_ollama_ext_version(self) -> Self:
        stamp_version(self)
        return self

    @classmethod
    def from_server(cls, model: str, **fields: Any) -> Self:
        """Return a chat model whose `profile` comes from the server.

        Agents and summarisation read the profile before any call: whether tools, structured
        output, images and reasoning are supported, and how many tokens fit. ``fields`` are those of
        the constructor; a given ``profile`` overrides the server's.

        Raises:
            ModelNotFoundError: when the server does not have the model.
            OllamaError: one of its subclasses, when the request fails.
        """
        chat = cls(model=model, **fields)
        with langchain_errors():
            client = chat.sync_client()
            if client.config.wire == "openai":
                return chat._listed(client.context_length(model), fields.get("profile"))
            return chat._profiled(client.show(model), fields.get("profile"))

    @classmethod
    async def afrom_server(cls, model: str, **fields: Any) -> Self:
        """Same as `from_server`, for asyncio."""
        chat = cls(model=model, **fields)
        with langchain_errors():
            client = chat.async_client()
            if client.config.wire == "openai":
                return chat._listed(await client.context_length(model), fields.get("profile"))
            return chat._profiled(await client.show(model), fields.get("profile"))

    def _resolve_model_profile(self) -> ModelProfile:
        # Core's hook, called by the constructor: no I/O.
        return self._unasked(None, None)

    def _unasked(self, length: int | None, given: ModelProfile | None) -> ModelProfile:
        return profile_unasked(
            self.model,
            num_ctx=self.num_ctx,
            fetches_images=self.fetch_image_urls,
            length=length,
            given=given,
        )

    def _listed(self, length: int | None, given: ModelProfile | None) -> Self:
        self.profile = self._unasked(length, given)
        return self

    def _profiled(self, answer: ShowAnswer, given: ModelProfile | None) -> Self:
        self.profile = profile_of(
            answer,
            name=self.model if self.model is not None else "",
            num_ctx=self.num_ctx,
            fetches_images=self.fetch_image_urls,
            # A given profile overrides the server: its author may know more.
            given=given,
        )
        return self

    @field_validator("profile", mode="wrap")
    @classmethod
    def _keep_known(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        # LangChain builds a model from the fields of another one, including its profile.
        return value if isinstance(value, KnownProfile) else handler(value)

    @model_validator(mode="after")
    def _set_model_profile(self) -> Self:
        if self.profile is None:
            self.profile = self._resolve_model_profile()
        else:
            self._renew_profile()
        return self

    @model_validator(mode="after")
    def _check_profile_keys(self) -> Self:
        # Core resolves the annotations of its keys for each model; ours are among them.
        known = self.profile
        if not isinstance(known, KnownProfile) or known.given:
            cast("Any", super())._check_profile_keys()
        return self

    def _renew_profile(self) -> None:
        known = self.profile
        if not isinstance(known, KnownProfile):
            return
        is_same = known.get("name") == self.model
        renewed = known.following(self.num_ctx) if is_same else self._resolve_model_profile()
        self.profile = cast("ModelProfile", renewed)

    def __setattr__(self, name: str, value: Any) -> None:
        # An assignment runs no validators here, so the profile would keep the old context.
        super().__setattr__(name, value)
        if name in ("model", "num_ctx"):
            self._renew_profile()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields changed; a profile that was not provided follows them."""
        copied = super().model_copy(update=update, deep=deep)
        if update is None or "profile" not in update:
            # pydantic's model_copy runs no validators.
            copied._renew_profile()
        return copied

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 # core's signature
        **kwargs: Any,
    ) -> ChatResult:
        # Tokens are reported by core, which streams where a handler reads them (`_should_stream`).
        with langchain_errors():
            request, client = self._prepare_chat(messages, stop, kwargs)
            return whole_result(client.chat(request))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002 # as above
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors():
            request, client = await self._aprepare_chat(messages, stop, kwargs)
            return whole_result(await client.chat(request))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with langchain_errors():
            request, client = self._prepare_chat(messages, stop, kwargs)
            # Core passes a run manager only for streams that it turns into events.
            maker = ChunkMaker(for_events=run_manager is not None)
            with closing(client.chat_stream(request, in_runs=True)) as lines:
                for line in lines:
                    yield from maker.push(line)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with langchain_errors():
            request, client = await self._aprepare_chat(messages, stop, kwargs)
            maker = ChunkMaker(for_events=run_manager is not None)
            async with aclosing(client.chat_stream(request, in_runs=True)) as lines:
                async for line in lines:
                    for chunk in maker.push(line):
                        yield chunk

    def _prepare_chat(
        self,
        messages: Sequence[BaseMessage],
        stop: Sequence[str] | None,
        arguments: Mapping[str, Any],
    ) -> tuple[ChatRequest, "Client"]:
        call = self._chat_call(messages, stop, arguments)
        fetched = {}
        if urls := self._image_addresses(messages):
            call.with_messages(())  # checks the call before anything is fetched
            fetched = fetch_media(urls, self.fetch_limits)
        return call.with_messages(read_messages(messages, fetched)), self._sync_client(call)

    async def _aprepare_chat(
        self,
        messages: Sequence[BaseMessage],
        stop: Sequence[str] | None,
        arguments: Mapping[str, Any],
    ) -> tuple[ChatRequest, "AsyncClient"]:
        call = self._chat_call(messages, stop, arguments)
        fetched = {}
        if urls := self._image_addresses(messages):
            call.with_messages(())  # as above
            fetched = await afetch_media(urls, self.fetch_limits)
        return call.with_messages(read_messages(messages, fetched)), self._async_client(call)

    def _chat_call(
        self,
        messages: Sequence[BaseMessage],
        stop: Sequence[str] | None,
        arguments: Mapping[str, Any],
    ) -> ChatCall:
        if not messages:
            # The server would take that as a request to load the model (wire reference 3.5).
            raise ConfigError("messages is empty: give at least one.")
        return resolve_call(self, stop, arguments)

    def _image_addresses(self, messages: Sequence[BaseMessage]) -> list[str]:
        if not self.fetch_image_urls:
            return []
        return image_addresses(message.content for message in messages)

    def _sync_client(self, call: ChatCall) -> "Client":
        # From the model's own clients, one for each set of server settings, which keep connections.
        if not call.server:
            return self.sync_client()
        fields = settings_with(self, call.server)
        client = self._clients.sync(fields._recipe())
        return obeying(client, fields)

    def _async_client(self, call: ChatCall) -> "AsyncClient":
        if not call.server:
            return self.async_client()
        fields = settings_with(self, call.server)
        client = self._clients.asynchronous(fields._recipe())
        return obeying(client, fields)

    def _streaming_disabled(self, **kwargs: Any) -> bool:
        return super()._streaming_disabled(**_streaming_as_stream(kwargs))

    def _should_stream(self, **kwargs: Any) -> bool:
        # Since 1.4 core itself checks this, by `_streaming_disabled`.
        if self.streaming is False:
            return False
        given = _streaming_as_stream(kwargs)
        if given.get("stream") is None and wants_tokens(given.get("run_manager")):
            given["stream"] = True  # core alone would stream for its own handlers only
        return super()._should_stream(**given)

    @property
    def _llm_type(self) -> str:
        return "chat-ollama"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        given = {name: getattr(self, name) for name in _IDENTIFYING}
        named = {name: value for name, value in given.items() if value is not None}
        return {**named, **set_options(self)}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        # The arguments of the call override the fields.
        call = {**_options_in(kwargs), **kwargs}
        limit = call.get("num_predict", call.get("max_tokens", self.num_predict))
        heat = call.get("temperature", self.temperature)
        model = call.get("model", self.model)
        texts = all_stops(self.stop, stop)
        found = LangSmithParams(ls_provider=PROVIDER, ls_model_type="chat")
        if model is not None:
            found["ls_model_name"] = model
        if heat is not None:
            found["ls_temperature"] = heat
        if limit is not None:
            found["ls_max_tokens"] = limit
        if texts:
            found["ls_stop"] = texts
        return found

    def _get_invocation_params(
        self, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        # Core keys its caches by this, and would see the call's stop texts alone.
        texts = all_stops(self.stop, stop)
        return super()._get_invocation_params(texts if texts else None, **without_secrets(kwargs))

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        return super()._get_llm_string(stop, **without_secrets(kwargs))


def _streaming_as_stream(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return core's arguments with ``streaming``, given per call, under core's name for it."""
    others = {name: value for name, value in arguments.items() if name != "streaming"}
    wanted = arguments.get("streaming")
    # None is dropped: core would read it as False, which switches streaming off.
    return others if wanted is None else {**others, "stream": wanted}


def _options_in(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    options = arguments.get("options")
    return options if isinstance(options, Mapping) else {}
