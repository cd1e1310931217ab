"""What a server knows of a model, kept, so that `metadata` has to ask nobody."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Self

from ollama_transport import (
    AsyncClient,
    Client,
    ModelNotFoundError,
    OllamaError,
    ProtocolError,
    ShowAnswer,
    StatusError,
)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What ``/api/show`` told of a model (wire reference 9); None is unknown.

    ``context_length`` is what the model was trained for, ``num_ctx`` and ``num_predict`` what its
    Modelfile asks for, all in tokens.
    """

    context_length: int | None = None
    num_ctx: int | None = None
    num_predict: int | None = None
    capabilities: frozenset[str] | None = None

    @classmethod
    def of(cls, shown: ShowAnswer) -> Self:
        """Read the facts off the server's answer."""
        # Other servers may list none, which is not the same as being able to do nothing.
        known = shown.capabilities
        return cls(
            context_length=shown.context_length,
            num_ctx=shown.num_ctx,
            num_predict=_parameter(shown, "num_predict"),
            capabilities=None if known is None else frozenset(known),
        )

    @property
    def context_window(self) -> int | None:
        """Return the tokens that fit when no request asks for a num_ctx; None when unknown."""
        return self.context_length if self.num_ctx is None else self.num_ctx

    @property
    def lacks_tools(self) -> bool:
        """Return whether the model is known to call no tools."""
        return self.capabilities is not None and "tools" not in self.capabilities


UNKNOWN = ModelFacts()


def _parameter(shown: ShowAnswer, name: str) -> int | None:
    # Text as in a Modelfile, the names padded with blanks (wire reference 9).
    for line in (shown.parameters if shown.parameters is not None else "").splitlines():
        found, _, value = line.partition(" ")
        if found == name and value.strip().isdigit():
            return int(value)
    return None


def ask(client: Client, model: str) -> ModelFacts:
    """Return what a server tells of a model.

    An OpenAI-compatible one tells the context in its list, if at all: vLLM and llama.cpp do.

    Raises:
        ModelNotFoundError: when Ollama does not have the model.
        OllamaError: as every call.
    """
    if client.config.wire == "native":
        return ModelFacts.of(client.show(model))
    return ModelFacts(context_length=client.context_length(model))


async def aask(client: AsyncClient, model: str) -> ModelFacts:
    """Same as `ask`, without blocking the loop."""
    if client.config.wire == "native":
        return ModelFacts.of(await client.show(model))
    return ModelFacts(context_length=await client.context_length(model))


Known = MutableMapping[str, ModelFacts]
"""The facts by the name of the model; filled in once for each name."""


def learn(known: Known, client: Client, model: str) -> None:
    """Ask for the facts of a model that is not among the known ones.

    Never raises: a chat works without them, and what is wrong will be wrong for the chat as well,
    which says so.
    """
    if not _begin(known, client, model):
        return
    try:
        known[model] = ModelFacts.of(client.show(model))
    except OllamaError as error:
        _give_up(known, model, error)


async def alearn(known: Known, client: AsyncClient, model: str) -> None:
    """Do as `learn`."""
    if not _begin(known, client, model):
        return
    try:
        known[model] = ModelFacts.of(await client.show(model))
    except OllamaError as error:
        _give_up(known, model, error)


def _begin(known: Known, client: Client | AsyncClient, model: str) -> bool:
    if model in known:
        return False
    # Before the answer, so that a hundred first chats at once ask one time.
    known[model] = UNKNOWN
    # Servers of the other wire have no such endpoint.
    return client.config.wire == "native"


def _give_up(known: Known, model: str, error: OllamaError) -> None:
    if isinstance(error, StatusError | ProtocolError) and not isinstance(error, ModelNotFoundError):
        return  # it will not tell the next time either
    # Not reached, or not pulled yet: the next call may find it.
    known.pop(model, None)
