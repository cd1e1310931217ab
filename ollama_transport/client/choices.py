"""Choose the models of a list that have a capability."""

from collections.abc import Sequence

from ollama_transport.wire.values.answers import ModelSummary, ShowAnswer

_EMBEDS = "embed"


def can(shown: ShowAnswer, name: str, capability: str) -> bool:
    """Return whether a model has a capability, judged by its name if the server lists none.

    Older servers do not list capabilities (wire reference 9).
    """
    if shown.capabilities is None:
        return bool(likely([name], capability))
    return shown.can(capability)


def likely(names: Sequence[str], capability: str) -> list[str]:
    """Return the names that suggest a capability, in order.

    OpenAI-compatible servers list no capabilities, so names are the only hint: "embed" marks an
    embedding model.
    """
    # An embedding model can do nothing else, so any other capability excludes it.
    wanted = capability == "embedding"
    return [name for name in names if (_EMBEDS in name.lower()) == wanted]


def likeliest(names: Sequence[str], capability: str) -> str | None:
    """Return the first name that suggests a capability, else the first; None if names is empty."""
    promising = likely(names, capability)
    return next(iter([*promising, *names]), None)


def listed_context(models: Sequence[ModelSummary], name: str) -> int | None:
    """Return the context length of a model of ``/v1/models``, in tokens; None if unknown.

    A LoRA adapter has that of its base model, which vLLM names as its parent.
    """
    by_name = {model.name: model for model in models}
    # Ollama's list has the tag, which callers may leave out.
    model = by_name.get(name, by_name.get(f"{name}:latest"))
    if model is None:
        return None
    parent = by_name.get(str(model.get("parent")))
    for one in (model, parent):
        if one is not None and one.details is not None and one.details.context_length is not None:
            return one.details.context_length
    return None
