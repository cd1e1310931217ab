"""Check a model in the constructor: the implementation of ``validate_model_on_init``.

Failures raise the same errors as a call, which here are ValueErrors as well, since code written for
langchain-ollama catches those.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from langchain_ollama_ext._errors import TWINS, LangChainPermissionError, langchain_error
from ollama_transport import ConfigError, OllamaError, ServerFields

if TYPE_CHECKING:
    from ollama_transport import ShowAnswer

_WORDS = {"completion": "chat", "embedding": "embed"}
_INSTEAD = {
    "completion": "a model that generates text, such as llama3.2",
    "embedding": "an embedding model, such as nomic-embed-text",
}


def _value_error(twin: type[OllamaError]) -> type[OllamaError]:
    return type(f"{twin.__name__}OnInit", (twin, ValueError), {"__module__": __name__})


_PARENTS: list[type[OllamaError]] = [*TWINS.values(), LangChainPermissionError]
_TWINS_ON_INIT = {twin: _value_error(twin) for twin in _PARENTS if not issubclass(twin, ValueError)}
# Pickle finds a class by its name in its module.
globals().update({twin.__name__: twin for twin in _TWINS_ON_INIT.values()})


def validate_model(fields: ServerFields, model: str | None, capability: str) -> None:
    """Check, by blocking requests, that the server has a model with a capability.

    None stands for the server's first model with the capability. An OpenAI-compatible server lists
    only names, no capabilities.

    Raises:
        ModelNotFoundError: when the server does not have the model.
        ConfigError: when the model lacks the capability, and when an OpenAI-compatible server does
            not list it.
        OllamaError: one of its subclasses, when a request fails. Each of them is a ValueError.
    """
    with _on_init(fields):
        client = fields.sync_client()
        name = client.resolve_model(model, capability)
        if client.config.wire == "native":
            check_can(name, client.show(name), capability)
        else:
            check_listed(name, [one.name for one in client.list()])


@contextmanager
def _on_init(fields: ServerFields) -> Generator[None]:
    try:
        yield
    except OllamaError as error:
        # The constructor fails, so the caller has no model to close.
        fields.close()
        twin = langchain_error(error)
        raise _on_init_error(twin).with_traceback(error.__traceback__) from error.__cause__


def _on_init_error(twin: OllamaError) -> OllamaError:
    kind = _TWINS_ON_INIT.get(type(twin))
    if kind is None:
        return twin
    made = kind.__new__(kind, *twin.args)
    made.args = twin.args
    made.__dict__.update(twin.__dict__)
    return made


def check_can(model: str, answer: "ShowAnswer", capability: str) -> None:
    """Refuse a model that lacks a capability; if the server lists none, the model is accepted.

    Raises:
        ConfigError: for a missing capability; it names what the model can do.
    """
    if answer.capabilities is None or answer.can(capability):
        return
    raise ConfigError(
        f"the model {model!r} cannot {_WORDS[capability]} (it can: "
        f"{', '.join(answer.capabilities)}): choose {_INSTEAD[capability]}."
    )


def check_listed(model: str, names: Iterable[str]) -> None:
    """Refuse a model that a server does not list.

    Raises:
        ConfigError: for such a model; it names those that are listed.
    """
    known = list(names)
    # Ollama lists its models with their tags on /v1 too.
    if model not in known and f"{model}:latest" not in known:
        raise ConfigError(
            f"the server does not list the model {model!r}; it lists: {', '.join(known) or 'none'}."
        )
