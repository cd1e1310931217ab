"""Which models of a list can do what is asked."""

from collections.abc import Sequence

from ollama_transport.wire.answers import ShowAnswer

_EMBEDS = "embed"


def can(shown: ShowAnswer, name: str, capability: str) -> bool:
    """Return whether a model has a capability; by its name where the server does not say.

    Servers of before the capabilities leave them out (wire reference 9).
    """
    if shown.capabilities is None:
        return bool(likely([name], capability))
    return shown.can(capability)


def likely(names: Sequence[str], capability: str) -> list[str]:
    """Return the names that promise a capability, in their order.

    All there is on an OpenAI-compatible server, which tells no capabilities: "embed" in its name
    is the mark of an embedding model, and of one that does nothing else.
    """
    # An embedding model does nothing else, so any other wish excludes it.
    wanted = capability == "embedding"
    return [name for name in names if (_EMBEDS in name.lower()) == wanted]


def likeliest(names: Sequence[str], capability: str) -> str | None:
    """Return the first name that promises a capability, else the first; None without any."""
    promising = likely(names, capability)
    return next(iter([*promising, *names]), None)
