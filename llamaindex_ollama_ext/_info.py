"""Cache what a server knows about a model, so that `metadata` needs no request."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

from pydantic import BaseModel

from ollama_transport import (
    ModelNotFoundError,
    OllamaError,
    ProtocolError,
    ShowAnswer,
    StatusError,
)

if TYPE_CHECKING:
    from ollama_transport import AsyncClient, Client


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts from ``/api/show`` about a model (wire reference 9); None is unknown.

    ``context_length`` is what the model was trained for, ``num_ctx`` and ``num_predict`` are set in
    its Modelfile, all in tokens.
    """

    context_length: int | None = None
    num_ctx: int | None = None
    num_predict: int | None = None
    capabilities: frozenset[str] | None = None

    @classmethod
    def of(cls, shown: ShowAnswer) -> Self:
        """Return the facts in the server's answer."""
        # Older servers list no capabilities, which does not mean that the model has none.
        known = shown.capabilities
        return cls(
            context_length=shown.context_length,
            num_ctx=shown.num_ctx,
            num_predict=_parameter(shown, "num_predict"),
            capabilities=None if known is None else frozenset(known),
        )

    @property
    def context_window(self) -> int | None:
        """Return the tokens that fit if a request does not set num_ctx; None when unknown."""
        # The server uses the Modelfile's value, whatever the model was trained for (wire reference
        # 3.8).
        return self.context_length if self.num_ctx is None else self.num_ctx

    @property
    def lacks_tools(self) -> bool:
        """Return whether the model is known not to support tools."""
        return self.capabilities is not None and "tools" not in self.capabilities


UNKNOWN = ModelFacts()


def _parameter(shown: ShowAnswer, name: str) -> int | None:
    # Text as in a Modelfile, with names padded by spaces (wire reference 9).
    for line in (shown.parameters if shown.parameters is not None else "").splitlines():
        found, _, value = line.partition(" ")
        # Negative values mean no limit, and say nothing about a length.
        if found == name and value.strip().isdigit():
            return int(value)
    return None


def ask(client: "Client", model: str) -> ModelFacts:
    """Return the facts about a model, by one request.

    Of the OpenAI-compatible servers, only vLLM and llama.cpp list the length of the context.

    Raises:
        ModelNotFoundError: when Ollama does not have the model.
        OllamaError: one of its subclasses, when the request fails.
    """
    if client.config.wire == "native":
        return ModelFacts.of(client.show(model))
    return ModelFacts(context_length=client.context_length(model))


async def aask(client: "AsyncClient", model: str) -> ModelFacts:
    """Same as `ask`, for asyncio."""
    if client.config.wire == "native":
        return ModelFacts.of(await client.show(model))
    return ModelFacts(context_length=await client.context_length(model))


Known = MutableMapping[str, ModelFacts]
"""The facts by model name; filled in once for each name."""


def known_to(llm: BaseModel) -> Known:
    """Return the facts that a model keeps under ``_known``."""
    # pydantic's way to a private attribute costs more than what is done with it here.
    private = llm.__pydantic_private__
    if private is not None:
        return cast(Known, private["_known"])
    # B009: mypy does not see a private attribute of a BaseModel by its plain name.
    return cast(Known, getattr(llm, "_known"))  # noqa: B009


def learn(known: Known, client: "Client", model: str) -> None:
    """Request the facts about a model unless they are known.

    It never raises: a chat works without them, and any error will occur in the chat as well, which
    then reports it.
    """
    if not _begin(known, client, model):
        return
    try:
        known[model] = ModelFacts.of(client.show(model))
    except OllamaError as error:
        _give_up(known, model, error)


async def alearn(known: Known, client: "AsyncClient", model: str) -> None:
    """Same as `learn`, for asyncio."""
    if not _begin(known, client, model):
        return
    try:
        known[model] = ModelFacts.of(await client.show(model))
    except OllamaError as error:
        _give_up(known, model, error)


def _begin(known: Known, client: "Client | AsyncClient", model: str) -> bool:
    if model in known:
        return False
    # Entered before the answer arrives, so that a hundred concurrent first chats send one request.
    known[model] = UNKNOWN
    # Servers on /v1 have no such endpoint.
    return client.config.wire == "native"


def _give_up(known: Known, model: str, error: OllamaError) -> None:
    if isinstance(error, StatusError | ProtocolError) and not isinstance(error, ModelNotFoundError):
        return  # keep UNKNOWN: the next request would fail too
    # Not reached, or not pulled yet: the next call may succeed.
    known.pop(model, None)
