"""What an `Ollama` knows about its model, and keeps through pickles."""

from typing import TYPE_CHECKING, Any, Self

from pydantic import PrivateAttr

from llamaindex_ollama_ext._fields import LLMFields
from llamaindex_ollama_ext._info import UNKNOWN, ModelFacts, aask, alearn, ask, known_to, learn

if TYPE_CHECKING:
    from ollama_transport import AsyncClient, Client


class KnownModel(LLMFields):
    """The fields of `Ollama`, and what the server said about its model."""

    # By model name, since a call or the user may choose another model.
    _known: dict[str, ModelFacts] = PrivateAttr(default_factory=dict)

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        # LlamaIndex drops what cannot be pickled; without its client the copy would silently use
        # another server.
        private = state["__pydantic_private__"]
        if private is None or "_clients" not in private:
            raise TypeError(
                f"this {type(self).__name__} has a client with your own http_client, which cannot "
                "be pickled: give base_url, timeout and client_kwargs instead."
            )
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        # LlamaIndex recreates the object from its fields, which do not include these.
        private = state["__pydantic_private__"]
        self._clients, self._known = private["_clients"], private["_known"]

    @classmethod
    def from_server(cls, model: str, **kwargs: Any) -> Self:
        """Return a model whose `metadata` comes from the server, by one request.

        Raises:
            ModelNotFoundError: when the server does not have the model.
            OllamaError: one of its subclasses, when the request fails.
        """
        llm = cls(model=model, **kwargs)
        llm._known[model] = ask(llm.client, model)
        return llm

    @classmethod
    async def afrom_server(cls, model: str, **kwargs: Any) -> Self:
        """Same as `from_server`, for asyncio."""
        llm = cls(model=model, **kwargs)
        llm._known[model] = await aask(llm.async_client, model)
        return llm

    def _facts(self) -> ModelFacts:
        return known_to(self).get(self._resolved_name(), UNKNOWN)

    def _resolved_name(self) -> str:
        name = self.model if self.model is not None else self.chosen_model()
        return "unknown" if name is None else name

    def _ready_client(self, model: str | None) -> "Client":
        # Before the call, so that a model without tools is known even if the call fails.
        client = self.client
        learn(known_to(self), client, client.resolve_model(model))
        return client

    async def _aready_client(self, model: str | None) -> "AsyncClient":
        client = self.async_client
        await alearn(known_to(self), client, await client.resolve_model(model))
        return client
