"""The methods of the two clients, one for each endpoint; a dialect builds their calls."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ollama_transport.client.choices import can, likeliest, listed_context
from ollama_transport.client.keyword_requests import OptionsLike, options_of, whole_request
from ollama_transport.client.transfers import AsyncTransfers, Transfers
from ollama_transport.client.wires import AsyncWires, Wires
from ollama_transport.errors import ModelNotFoundError
from ollama_transport.settings.values import KeepAlive
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.native import calls as native
from ollama_transport.wire.native import web
from ollama_transport.wire.values.answers import (
    ChatLine,
    Embeddings,
    GenerateLine,
    ModelSummary,
    RunningModel,
    ShowAnswer,
)
from ollama_transport.wire.values.by_key import Listed
from ollama_transport.wire.values.requests import ChatRequest, GenerateRequest
from ollama_transport.wire.values.web_answers import FetchAnswer, SearchAnswer

if TYPE_CHECKING:
    from ollama_transport.wire.values.systemone import (
        SystemOneContent,
        SystemOneQuestion,
        SystemOneResponse,
    )

T = TypeVar("T")


def no_model(capability: str, url: str) -> ModelNotFoundError:
    """Return (not raise) the error for a server without a model of the capability."""
    example = {"embedding": "nomic-embed-text", "vision": "llama3.2-vision"}.get(
        capability, "llama3.2"
    )
    return ModelNotFoundError(
        f"no model at {url} has the capability {capability!r}: `ollama pull {example}` gets one.",
        url=url,
        status=404,
    )


class Endpoints(Wires, Transfers):
    """Methods for every endpoint of a server, blocking."""

    def chat_stream(self, request: ChatRequest, *, in_runs: bool = False) -> Generator[ChatLine]:
        """Yield the next message of a chat, piece by piece; the last line has ``done``.

        With ``in_runs``, plain lines that came together may be one, a `TextRun`.
        """
        asked = whole_request(ChatRequest, request)
        return self._streamed(lambda dialect: dialect.chat(asked), in_runs=in_runs)

    def generate_stream(self, request: GenerateRequest) -> Generator[GenerateLine]:
        """Yield the completion of a prompt, piece by piece; the last line has ``done``."""
        asked = whole_request(GenerateRequest, request)
        return self._streamed(lambda dialect: dialect.generate(asked))

    def embeddings(
        self,
        model: str,
        prompt: str,
        options: OptionsLike | None = None,
        keep_alive: KeepAlive | None = None,
    ) -> Embeddings:
        """Return the vector of one text over the legacy endpoint, not normalised."""
        given = options_of(options)
        call = native.embeddings(model, prompt, options=given or None, keep_alive=keep_alive)
        return self.send(call)

    def list(self) -> Listed[ModelSummary]:
        """Return the models that the server has; Ollama lists the newest first."""
        answer = self.send(self.made(lambda dialect: dialect.models()))
        return Listed(answer.models)

    def show(
        self,
        model: str,
        *,
        verbose: bool = False,
        system: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ShowAnswer:
        """Return what the server knows about a model; ``verbose`` adds the long arrays.

        ``system`` and ``options`` are shown as if the model had them.
        """
        call = native.show(model, verbose=verbose, system=system, options=options)
        return self.send(call)

    def capabilities(self, model: str) -> Sequence[str]:
        """Return what a model can do: completion, tools, thinking, vision, embedding, …."""
        found = (self.show(model)).capabilities
        return [] if found is None else found

    def context_length(self, model: str) -> int | None:
        """Return the context a model was trained for, in tokens; None when unknown.

        On an OpenAI-compatible server it is taken from the list of models, and is the length that
        the server was started with if that is smaller.
        """
        if self.config.wire == "openai":
            return listed_context(self.list(), model)
        return (self.show(model)).context_length

    def default_model(self, capability: str = "completion") -> str:
        """Return the first model in the server's list that has a capability.

        An OpenAI-compatible server does not list capabilities: the first model with a fitting name
        (an embedding model has "embed" in it) is used, or else the first of all.

        Raises:
            ModelNotFoundError: when no model has the capability.
        """
        names = [model.name for model in self.list()]
        if self.config.wire == "openai" and (first := likeliest(names, capability)) is not None:
            return first
        # Asked one by one: the capabilities in /api/tags are computed from less data, and can be
        # wrong (wire reference 5.3).
        for name in names:
            if can(self.show(name), name, capability):
                return name
        raise no_model(capability, self.config.endpoint.url)

    def resolve_model(self, model: str | None, capability: str = "completion") -> str:
        """Return a model's name; for None the server's first model with the capability.

        It is looked up and logged once for this client, and again when the server lost that model.
        """
        name = model if model is not None else self.memory.default(capability)
        if name is not None:
            return name
        # Concurrent first calls look it up once.
        with self.memory.lookups.turn(capability) as is_mine:
            if is_mine:
                found = self.default_model(capability)
                self.memory.choose(capability, found, self.config.endpoint.url)
        # Not `found`: another caller may have looked it up, or a refusal may have made it
        # forgotten.
        return self.resolve_model(None, capability)

    def _named(self, call: Call[T]) -> Call[T]:
        # Calls without a capability need no model, such as listing models.
        if call.model is not None or call.capability is None:
            return call
        return call.with_model(self.resolve_model(None, call.capability))

    def ps(self) -> Listed[RunningModel]:
        """Return the models in memory; waits while one is being loaded."""
        answer = self.send(native.ps())
        return Listed(answer.models)

    def version(self) -> str:
        """Return the server's version."""
        answer = self.send(native.version())
        return answer.version

    def load(self, model: str, *, keep_alive: KeepAlive | None = None) -> ChatLine:
        """Load a model and keep it in memory for ``keep_alive``."""
        # A chat without messages loads the model (wire reference 3.5).
        return self.send(native.chat(ChatRequest(model, keep_alive=keep_alive)))

    def unload(self, model: str) -> ChatLine:
        """Remove a model from memory."""
        # Without messages, keep_alive 0 unloads at once (wire reference 3.5).
        return self.send(native.chat(ChatRequest(model, keep_alive=0)))

    def systemone(
        self,
        model: str,
        state: "SystemOneContent",
        questions: "Mapping[str, SystemOneQuestion | Mapping[str, Any]]",
        keep_alive: KeepAlive | None = None,
    ) -> "SystemOneResponse":
        """Have a System One model answer questions about a state, in one response.

        ``state`` is text or JSON. A question asks for a choice, a score or a probability; it is an
        object or a dict, such as ``{"type": "noul", "instructions": "Is it urgent?"}``.
        """
        from ollama_transport.wire.native.systemone import systemone  # here: hardly any program

        return self.send(systemone(model, state, questions, keep_alive))

    @abstractmethod
    def web_client(self) -> Self | None:
        """Return a client of ollama.com, which the caller closes; None to use this server."""

    def web_search(self, query: str, max_results: int | None = None) -> SearchAnswer:
        """Search the web: at ollama.com with a key, or through a server that is signed in.

        If OLLAMA_API_KEY is set, the request goes to ollama.com, whatever this client's server is.
        """
        if (there := self.web_client()) is not None:
            with closing(there):
                return there.web_search(query, max_results)
        cloud = self.config.endpoint.is_cloud
        return self.send(web.search(query, max_results=max_results, cloud=cloud))

    def web_fetch(self, url: str) -> FetchAnswer:
        """Return a web page, requested from the same server as in `web_search`."""
        if (there := self.web_client()) is not None:
            with closing(there):
                return there.web_fetch(url)
        return self.send(web.fetch(url, cloud=self.config.endpoint.is_cloud))

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""


class AsyncEndpoints(AsyncWires, AsyncTransfers):
    """Methods for every endpoint of a server, for asyncio."""

    def chat_stream(
        self, request: ChatRequest, *, in_runs: bool = False
    ) -> AsyncGenerator[ChatLine]:
        """Yield the next message of a chat, piece by piece; the last line has ``done``.

        With ``in_runs``, plain lines that came together may be one, a `TextRun`.
        """
        asked = whole_request(ChatRequest, request)
        return self._streamed(lambda dialect: dialect.chat(asked), in_runs=in_runs)

    def generate_stream(self, request: GenerateRequest) -> AsyncGenerator[GenerateLine]:
        """Yield the completion of a prompt, piece by piece; the last line has ``done``."""
        asked = whole_request(GenerateRequest, request)
        return self._streamed(lambda dialect: dialect.generate(asked))

    async def embeddings(
        self,
        model: str,
        prompt: str,
        options: OptionsLike | None = None,
        keep_alive: KeepAlive | None = None,
    ) -> Embeddings:
        """Return the vector of one text over the legacy endpoint, not normalised."""
        given = options_of(options)
        call = native.embeddings(model, prompt, options=given or None, keep_alive=keep_alive)
        return await self.send(call)

    async def list(self) -> Listed[ModelSummary]:
        """Return the models that the server has; Ollama lists the newest first."""
        answer = await self.send(await self.made(lambda dialect: dialect.models()))
        return Listed(answer.models)

    async def show(
        self,
        model: str,
        *,
        verbose: bool = False,
        system: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ShowAnswer:
        """Return what the server knows about a model; ``verbose`` adds the long arrays.

        ``system`` and ``options`` are shown as if the model had them.
        """
        call = native.show(model, verbose=verbose, system=system, options=options)
        return await self.send(call)

    async def capabilities(self, model: str) -> Sequence[str]:
        """Return what a model can do: completion, tools, thinking, vision, embedding, …."""
        found = (await self.show(model)).capabilities
        return [] if found is None else found

    async def context_length(self, model: str) -> int | None:
        """Return the context a model was trained for, in tokens; None when unknown.

        On an OpenAI-compatible server it is taken from the list of models, and is the length that
        the server was started with if that is smaller.
        """
        if self.config.wire == "openai":
            return listed_context(await self.list(), model)
        return (await self.show(model)).context_length

    async def default_model(self, capability: str = "completion") -> str:
        """Return the first model in the server's list that has a capability.

        An OpenAI-compatible server does not list capabilities: the first model with a fitting name
        (an embedding model has "embed" in it) is used, or else the first of all.

        Raises:
            ModelNotFoundError: when no model has the capability.
        """
        names = [model.name for model in await self.list()]
        if self.config.wire == "openai" and (first := likeliest(names, capability)) is not None:
            return first
        for name in names:
            if can(await self.show(name), name, capability):
                return name
        raise no_model(capability, self.config.endpoint.url)

    async def resolve_model(self, model: str | None, capability: str = "completion") -> str:
        """Return a model's name; for None the server's first model with the capability.

        It is looked up and logged once for this client, and again when the server lost that model.
        """
        name = model if model is not None else self.memory.default(capability)
        if name is not None:
            return name
        async with self.memory.lookups.turn(capability) as is_mine:
            if is_mine:
                found = await self.default_model(capability)
                self.memory.choose(capability, found, self.config.endpoint.url)
        return await self.resolve_model(None, capability)

    async def _named(self, call: Call[T]) -> Call[T]:
        if call.model is not None or call.capability is None:
            return call
        return call.with_model(await self.resolve_model(None, call.capability))

    async def ps(self) -> Listed[RunningModel]:
        """Return the models in memory; waits while one is being loaded."""
        answer = await self.send(native.ps())
        return Listed(answer.models)

    async def version(self) -> str:
        """Return the server's version."""
        answer = await self.send(native.version())
        return answer.version

    async def load(self, model: str, *, keep_alive: KeepAlive | None = None) -> ChatLine:
        """Load a model and keep it in memory for ``keep_alive``."""
        return await self.send(native.chat(ChatRequest(model, keep_alive=keep_alive)))

    async def unload(self, model: str) -> ChatLine:
        """Remove a model from memory."""
        return await self.send(native.chat(ChatRequest(model, keep_alive=0)))

    async def systemone(
        self,
        model: str,
        state: "SystemOneContent",
        questions: "Mapping[str, SystemOneQuestion | Mapping[str, Any]]",
        keep_alive: KeepAlive | None = None,
    ) -> "SystemOneResponse":
        """Have a System One model answer questions about a state, in one response.

        ``state`` is text or JSON. A question asks for a choice, a score or a probability; it is an
        object or a dict, such as ``{"type": "noul", "instructions": "Is it urgent?"}``.
        """
        from ollama_transport.wire.native.systemone import systemone  # here: hardly any program

        return await self.send(systemone(model, state, questions, keep_alive))

    @abstractmethod
    def web_client(self) -> Self | None:
        """Return a client of ollama.com, which the caller closes; None to use this server."""

    async def web_search(self, query: str, max_results: int | None = None) -> SearchAnswer:
        """Search the web: at ollama.com with a key, or through a server that is signed in.

        If OLLAMA_API_KEY is set, the request goes to ollama.com, whatever this client's server is.
        """
        if (there := self.web_client()) is not None:
            async with aclosing(there):
                return await there.web_search(query, max_results)
        cloud = self.config.endpoint.is_cloud
        return await self.send(web.search(query, max_results=max_results, cloud=cloud))

    async def web_fetch(self, url: str) -> FetchAnswer:
        """Return a web page, requested from the same server as in `web_search`."""
        if (there := self.web_client()) is not None:
            async with aclosing(there):
                return await there.web_fetch(url)
        return await self.send(web.fetch(url, cloud=self.config.endpoint.is_cloud))

    @abstractmethod
    async def aclose(self) -> None:
        """Close the connections."""
