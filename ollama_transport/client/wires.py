"""Choose the wire of a server whose answers may show that it is an Ollama behind ``/v1``.

A ``base_url="http://host:11434/v1"`` copied from an OpenAI program gets everything that Ollama can
do, since its own wire is used as soon as the server is recognised. Other servers (vLLM, a hosted
service with a key) receive no additional request:

- The first answer decides, by its ``system_fingerprint``. It is used, unless ``/v1`` ignored a part
  of the request: then the request is sent again on Ollama's own wire.
- ``/api/version`` only confirms that ``/api`` can be reached there: some proxies serve ``/v1``
  alone. It is requested once per server, before the next call.
- If ``/v1`` cannot carry a request, ``/api/version`` is requested before an error is raised.

A server that answers this probe with an error is treated as not being an Ollama.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from dataclasses import replace
from typing import Any, TypeVar

from ollama_transport.client.memory import ServerMemory
from ollama_transport.client.started_streams import AsyncBegun, Begun
from ollama_transport.errors import (
    OllamaConnectionError,
    OllamaError,
    OllamaTimeoutError,
    ServerBusyError,
    ToolCallMissingError,
    UnsupportedOptionError,
)
from ollama_transport.settings.client_settings import Config, Settings
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.dialect import Dialect, dialect_of
from ollama_transport.wire.native import calls as native
from ollama_transport.wire.shaping.behind_v1 import bears_mark, is_unheeded, may_be_unheeded
from ollama_transport.wire.values.answers import Embeddings
from ollama_transport.wire.values.vectors import EmbeddingArray

T = TypeVar("T")
Make = Callable[[Dialect], Call[T]]

PROBE = native.version()
"""The probe that shows whether Ollama's own wire can be reached; no limit applies to it."""


class WireChoice(ABC):
    """What is known about the wire of a server, without I/O."""

    memory: ServerMemory

    @property
    @abstractmethod
    def config(self) -> Config:
        """Return where requests go."""

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """Return the settings of this client."""

    @property
    def dialect(self) -> Dialect:
        """Return the wire that chat, completion and embedding use."""
        return dialect_of(self.config)

    @property
    def may_be_ollama(self) -> bool:
        """Return whether the server behind ``/v1`` may still turn out to be an Ollama."""
        if self.memory.is_ollama is not None or self.settings.api != "auto":
            return False
        endpoint = self.config.endpoint
        # Ollama serves this API below /v1 only.
        return endpoint.wire == "openai" and not endpoint.is_root

    @property
    def asks_first(self) -> bool:
        """Return whether to probe the server before a call, since it seems to be an Ollama."""
        return self.memory.is_marked and self.may_be_ollama

    def twinned(self, make: Make[T]) -> Call[T]:
        """Return the call of a request, together with the same one on Ollama's own wire."""
        call = make(self.dialect)
        if not self.may_be_ollama:
            return call
        return replace(call, natively=lambda: make(dialect_of(self.config.native())))

    def note_failed_probe(self, error: OllamaError) -> None:
        """Remember that the server is not an Ollama, unless it could not be reached."""
        unreached = isinstance(error, OllamaConnectionError) and not error.sent
        unreached = unreached or (isinstance(error, OllamaTimeoutError) and error.phase != "read")
        if not unreached and not isinstance(error, ServerBusyError):
            self.memory.note_wire(self.config.endpoint.url, is_ollama=False)

    def gives_up(self, call: Call[Any], answer: Any) -> bool:
        """Return whether an answer of Ollama's ``/v1`` ignored a part of its request."""
        if call.natively is None:
            return False
        if isinstance(answer, OllamaError) and not isinstance(answer, ToolCallMissingError):
            return False
        if isinstance(answer, Embeddings | EmbeddingArray):
            return is_unheeded(call.body, answer)  # these have no mark
        lines = _lines(answer)
        self.memory.is_marked = any(bears_mark(line) for line in lines)
        if not self.memory.is_marked:
            if lines:
                self.memory.note_wire(self.config.endpoint.url, is_ollama=False)
            return False
        is_stream = isinstance(answer, Begun | AsyncBegun)
        # Only the start of a stream has arrived, so sending the request again costs little.
        return may_be_unheeded(call.body) if is_stream else is_unheeded(call.body, answer)

    def native_twin(self, call: Call[T]) -> Call[T]:
        """Return a call on Ollama's own wire."""
        assert call.natively is not None
        twin = call.natively()
        return twin if twin.model is not None or call.model is None else twin.with_model(call.model)


def _lines(answer: Any) -> tuple[Any, ...]:
    return answer.reader.received if isinstance(answer, Begun | AsyncBegun) else (answer,)


class Wires(WireChoice):
    """Find out which wire a server speaks, blocking."""

    @abstractmethod
    def stream(self, call: Call[T], *, in_runs: bool = False) -> Generator[T]:
        """Send a call and yield its lines as they come."""

    @abstractmethod
    def _ask(self, call: Call[T]) -> T:
        """Send a small call once and return its whole answer."""

    def made(self, make: Make[T]) -> Call[T]:
        """Return the call of a request on the best wire of the server.

        Raises:
            ConfigError, UnsupportedContentError: for what that wire cannot carry.
        """
        if self.asks_first:
            self._speaks_natively()
        try:
            return self.twinned(make)
        except UnsupportedOptionError:
            if not self.may_be_ollama or not self._speaks_natively():
                raise
        return self.twinned(make)

    def _streamed(self, make: Make[T], *, in_runs: bool = False) -> Generator[T]:
        try:
            if not self.asks_first:
                return self.stream(self.twinned(make), in_runs=in_runs)
        except UnsupportedOptionError:
            if not self.may_be_ollama:
                raise
        return self._streamed_after_asking(make)

    def _streamed_after_asking(self, make: Make[T]) -> Generator[T]:
        call = self.made(make)
        with closing(self.stream(call)) as lines:
            for line in lines:  # noqa: UP028 # as its twin, which cannot say `yield from`
                yield line

    def _speaks_natively(self) -> bool:
        # Concurrent calls probe once, and the others wait for the result.
        with self.memory.lookups.turn(PROBE.path) as is_mine:
            if is_mine and self.memory.is_ollama is None:
                try:
                    self._ask(PROBE)
                except OllamaError as error:
                    self.note_failed_probe(error)
                else:
                    self.memory.note_wire(self.config.endpoint.url, is_ollama=True)
        return self.memory.is_ollama is True

    def _natively(self, call: Call[T], answer: Any) -> Call[T] | None:
        """Return the native call to send instead of using an answer; None to use the answer."""
        if not self.gives_up(call, answer) or not self._speaks_natively():
            return None
        # A discarded stream is closed, so that the server stops generating.
        if isinstance(answer, Begun):
            answer.response.close()
        return self.native_twin(call)


class AsyncWires(WireChoice):
    """Find out which wire a server speaks, from asyncio."""

    @abstractmethod
    def stream(self, call: Call[T], *, in_runs: bool = False) -> AsyncGenerator[T]:
        """Send a call and yield its lines as they come."""

    @abstractmethod
    async def _ask(self, call: Call[T]) -> T:
        """Send a small call once and return its whole answer."""

    async def made(self, make: Make[T]) -> Call[T]:
        """Return the call of a request on the best wire of the server.

        Raises:
            ConfigError, UnsupportedContentError: for what that wire cannot carry.
        """
        if self.asks_first:
            await self._speaks_natively()
        try:
            return self.twinned(make)
        except UnsupportedOptionError:
            if not self.may_be_ollama or not await self._speaks_natively():
                raise
        return self.twinned(make)

    def _streamed(self, make: Make[T], *, in_runs: bool = False) -> AsyncGenerator[T]:
        try:
            if not self.asks_first:
                return self.stream(self.twinned(make), in_runs=in_runs)
        except UnsupportedOptionError:
            if not self.may_be_ollama:
                raise
        return self._streamed_after_asking(make)

    async def _streamed_after_asking(self, make: Make[T]) -> AsyncGenerator[T]:
        call = await self.made(make)
        async with aclosing(self.stream(call)) as lines:
            async for line in lines:
                yield line

    async def _speaks_natively(self) -> bool:
        async with self.memory.lookups.turn(PROBE.path) as is_mine:
            if is_mine and self.memory.is_ollama is None:
                try:
                    await self._ask(PROBE)
                except OllamaError as error:
                    self.note_failed_probe(error)
                else:
                    self.memory.note_wire(self.config.endpoint.url, is_ollama=True)
        return self.memory.is_ollama is True

    async def _natively(self, call: Call[T], answer: Any) -> Call[T] | None:
        """Return the native call to send instead of using an answer; None to use the answer."""
        if not self.gives_up(call, answer) or not await self._speaks_natively():
            return None
        if isinstance(answer, AsyncBegun):
            await answer.response.aclose()
        return self.native_twin(call)
