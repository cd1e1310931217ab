"""The text completion model: OllamaLLM, a drop-in for the one of langchain-ollama."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseLLM, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.outputs import GenerationChunk, LLMResult
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from pydantic import ConfigDict, PrivateAttr, model_validator

from langchain_ollama_ext._completions import (
    CALL_ARGUMENTS,
    STREAMING_ARGUMENTS,
    CompletionFields,
    chunk_of,
    identity,
    joined,
    resolve_completion,
    result_of,
    with_prompt,
)
from langchain_ollama_ext._core_fields import core_fields_described
from langchain_ollama_ext._errors import langchain_errors
from langchain_ollama_ext._params import SERVER_ARGUMENTS, known_arguments, obeying, settings_with
from langchain_ollama_ext._serialized import stamp_version
from langchain_ollama_ext._stream import PROVIDER, wants_tokens
from langchain_ollama_ext._tokens import TextCounting
from ollama_transport import GenerateRequest, ServerFields
from ollama_transport.concurrency import map_tasks, map_threads

_Managers = CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun


@core_fields_described
class OllamaLLM(CompletionFields, TextCounting, BaseLLM):
    """A text completion model of an Ollama server (``/api/generate``, wire reference 4).

    ```python
    import asyncio

    from langchain_ollama_ext import OllamaLLM

    llm = OllamaLLM(model="llama3.2", temperature=0, num_ctx=8192)
    print(llm.invoke("Why is the sky blue?"))
    for piece in llm.stream("Tell me a story."):
        print(piece, end="")
    print(asyncio.run(llm.ainvoke("Name a river.")))
    print(llm.batch(["Name a river.", "Name a mountain."]))
    print(llm.generate(["Name a river."]).llm_output["token_usage"])
    print(llm.invoke("Name a person.", format="json"))
    ```

    Every option can be given to the constructor, per call (``invoke(…, temperature=0)``), by
    ``bind`` and by ``configurable_fields``. Per call, None counts as not given; ``options`` and
    ``stop`` are merged with the model's own. ``suffix`` (the text after the gap to fill),
    ``images`` (bytes, base64 or data URIs) and ``context`` (of an earlier answer) can only be given
    per call. ``timeout``, ``max_retries``, ``api_key`` and ``headers`` can be given per call too.

    ``batch`` and ``abatch`` run concurrently, up to ``config["max_concurrency"]`` or else
    `max_concurrency` (None: 4), and so do the prompts of one ``generate``. An empty prompt loads
    the model and completes nothing. Reasoning is never part of the text: it is returned in
    ``generation_info["reasoning_content"]`` (and ``["thinking"]``), the token counts in
    ``generation_info["usage_metadata"]`` and ``llm_output["token_usage"]``.

    Creating one does no I/O, except with `validate_model_on_init`. Use it from any number of
    threads and event loops, and through pickle (without its secrets). Models of equal settings
    share connections; close them with `close` or `aclose`, or use the model as a context manager.

    Raises:
        ConfigError: from the constructor and before a request, for a wrong or unknown argument.

    Calls raise the errors of ``ollama_transport``, which also belong to langchain-core's ModelError
    family. A prompt that does not fit the context is not cut in silence, unless
    `on_context_overflow` is "truncate".
    """

    model_config = ConfigDict(populate_by_name=True, protected_namespaces=())

    # Set on the copy of the model that serves one call: its request, for traces and caches.
    _asked: GenerateRequest | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _stamp_ollama_ext_version(self) -> Self:
        stamp_version(self)
        return self

    def generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Return the completions of prompts, in their order; as `BaseLLM.generate`."""
        # Not super(), whose `self` would be this model and not the copy that has the arguments.
        model, arguments = self._for_call(kwargs)
        return BaseLLM.generate(model, prompts, stop, callbacks, **arguments)

    async def agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Return the completions of prompts, in their order; as `BaseLLM.agenerate`."""
        model, arguments = self._for_call(kwargs)
        return await BaseLLM.agenerate(model, prompts, stop, callbacks, **arguments)

    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[str]:
        """Yield the completion piece by piece; closing the iterator stops the server."""
        model, arguments = self._for_call(kwargs)
        yield from BaseLLM.stream(model, input, config, stop=stop, **arguments)

    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[str]:
        """Yield the completion piece by piece; closing the iterator stops the server."""
        model, arguments = self._for_call(kwargs)
        pieces = BaseLLM.astream(model, input, config, stop=stop, **arguments)
        async with aclosing(pieces):  # type: ignore[type-var] # core's generator, typed as iterator
            async for piece in pieces:
                yield piece

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """Return the completions of inputs, in their order, computed concurrently in threads."""
        limited = _limited(config, self.requests_at_once)
        # Not BaseLLM's: that waits for the slowest of each group, and one failure fails all.
        return Runnable.batch(self, inputs, limited, return_exceptions=return_exceptions, **kwargs)

    async def abatch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """Return the completions of inputs, in their order, computed concurrently."""
        limited = _limited(config, self.requests_at_once)
        return await Runnable.abatch(
            self, inputs, limited, return_exceptions=return_exceptions, **kwargs
        )

    def configurable_fields(self, **kwargs: Any) -> RunnableSerializable[Any, Any]:
        """Return the model with fields that a config can set; as core's own method."""
        # Then each call makes its own model. Opening the pools here keeps the connections alive
        # beyond that model.
        self.sync_client().pool()
        self.async_client().pool()
        return super().configurable_fields(**kwargs)

    def _for_call(self, arguments: Mapping[str, Any]) -> tuple[Self, dict[str, Any]]:
        """Return a copy of the model with the arguments of a call, and core's arguments.

        Core keys its cache by the model alone, and traces the arguments unchanged: the request must
        be on the model, and secrets must not be among the arguments.
        """
        # Nearly every call has no arguments, and needs no copy.
        if not arguments:
            return self, {}
        core = {name: arguments[name] for name in _FOR_CORE & arguments.keys()}
        others = {name: value for name, value in arguments.items() if name not in core}
        with langchain_errors():
            given = known_arguments(others, CALL_ARGUMENTS)
            server = {name: given.pop(name) for name in SERVER_ARGUMENTS & given.keys()}
            called = self._reaching(server) if server else self.model_copy()
            called._asked = resolve_completion(self, None, given)
        # `stream` and `streaming` are not fields of a request, but `_generate` reads them.
        streaming = {name: others[name] for name in STREAMING_ARGUMENTS if name in others}
        return called, {**core, **given, **streaming}

    def _reaching(self, server: Mapping[str, Any]) -> Self:
        # A copy shares the connections of its original if the settings are equal.
        changed = settings_with(self, server)
        names = ServerFields.model_fields
        called = self.model_copy(update={name: getattr(changed, name) for name in names})
        obeying(called.sync_client(), called)
        obeying(called.async_client(), called)
        return called

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        with langchain_errors():
            request, client = resolve_completion(self, stop, kwargs), self.sync_client()
            # Core passes only the first prompt's run manager, so several prompts have no tokens.
            if len(prompts) == 1 and self._wants_tokens(run_manager, kwargs):
                lines = []
                with closing(client.generate_stream(with_prompt(request, prompts[0]))) as stream:
                    for line in stream:
                        lines.append(line)
                        self._tell(run_manager, chunk_of(line))
                return result_of([joined(lines)])
            answers = map_threads(
                lambda prompt: client.generate(with_prompt(request, prompt)),
                prompts,
                self.requests_at_once,
            )
            return result_of(answers)

    async def _agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        with langchain_errors():
            request, client = resolve_completion(self, stop, kwargs), self.async_client()
            if len(prompts) == 1 and self._wants_tokens(run_manager, kwargs):
                lines = []
                asked = with_prompt(request, prompts[0])
                async with aclosing(client.generate_stream(asked)) as stream:
                    async for line in stream:
                        lines.append(line)
                        await self._atell(run_manager, chunk_of(line))
                return result_of([joined(lines)])
            answers = await map_tasks(
                lambda prompt: client.generate(with_prompt(request, prompt)),
                prompts,
                self.requests_at_once,
            )
            return result_of(answers)

    def _stream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        with langchain_errors():
            request = with_prompt(resolve_completion(self, stop, kwargs), prompt)
            with closing(self.sync_client().generate_stream(request)) as lines:
                for line in lines:
                    chunk = chunk_of(line)
                    self._tell(run_manager, chunk)
                    yield chunk

    async def _astream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[GenerationChunk]:
        with langchain_errors():
            request = with_prompt(resolve_completion(self, stop, kwargs), prompt)
            async with aclosing(self.async_client().generate_stream(request)) as lines:
                async for line in lines:
                    chunk = chunk_of(line)
                    await self._atell(run_manager, chunk)
                    yield chunk

    def _tell(self, manager: CallbackManagerForLLMRun | None, chunk: GenerationChunk) -> None:
        # Core reports tokens for chat models, but not for text models.
        if manager is not None:
            manager.on_llm_new_token(chunk.text, chunk=chunk, verbose=self.verbose)

    async def _atell(
        self, manager: AsyncCallbackManagerForLLMRun | None, chunk: GenerationChunk
    ) -> None:
        if manager is not None:
            await manager.on_llm_new_token(chunk.text, chunk=chunk, verbose=self.verbose)

    def _wants_tokens(self, manager: _Managers | None, arguments: Mapping[str, Any]) -> bool:
        """Return whether invoke must stream: if requested, or if a handler wants tokens."""
        for name in STREAMING_ARGUMENTS:
            if arguments.get(name) is not None:
                return bool(arguments[name])
        if "streaming" in self.model_fields_set:
            return bool(self.streaming)
        return wants_tokens(manager)

    @property
    def _llm_type(self) -> str:
        return "ollama-llm"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        asked = self._asked if self._asked is not None else resolve_completion(self, None, {})
        # On another server the same name may be another model.
        where = {} if self.base_url is None else {"base_url": self.base_url}
        # Core writes the call's stop texts over "stop", so all of them have a name of their own.
        stops = {"stops": asked.options["stop"]} if "stop" in asked.options else {}
        return {**identity(asked), **where, **stops, "api": self.api}

    def _get_ls_params(self, stop: Sequence[str] | None = None, **kwargs: Any) -> LangSmithParams:
        request = resolve_completion(self, stop, kwargs)
        found = LangSmithParams(ls_provider=PROVIDER, ls_model_type="llm")
        if request.model is not None:
            found["ls_model_name"] = request.model
        if "temperature" in request.options:
            found["ls_temperature"] = request.options["temperature"]
        if "num_predict" in request.options:
            found["ls_max_tokens"] = request.options["num_predict"]
        if "stop" in request.options:
            found["ls_stop"] = request.options["stop"]
        return found


_FOR_CORE = frozenset({"metadata", "run_id", "run_name", "tags"})
"""Arguments of ``generate`` that belong to core."""


def _limited(
    config: RunnableConfig | list[RunnableConfig] | None, limit: int
) -> RunnableConfig | list[RunnableConfig]:
    """Return a config with the limit, unless it has one."""
    if isinstance(config, list):
        return [_with_limit(one, limit) for one in config]
    return _with_limit(config, limit)


def _with_limit(config: RunnableConfig | None, limit: int) -> RunnableConfig:
    given: RunnableConfig = {} if config is None else config
    if given.get("max_concurrency") is not None:
        return given
    return {**given, "max_concurrency": limit}
