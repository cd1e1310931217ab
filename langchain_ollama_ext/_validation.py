"""A model asked for in its constructor: what ``validate_model_on_init`` does, and how it fails.

What goes wrong is raised as the error of a call would be, which is a ValueError as well: code
written for langchain-ollama catches that.
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
# Pickles find a class by the name that it has in its module.
globals().update({twin.__name__: twin for twin in _TWINS_ON_INIT.values()})


def validate_model(fields: ServerFields, model: str | None, capability: str) -> None:
    """Ask the server, blocking, whether it has a model that can do what it is for.

    None stands for the server's first model with the capability. An OpenAI-compatible server tells
    no capabilities, only names.

    Raises:
        ModelNotFoundError: when the server does not have the model.
        ConfigError: when the model cannot do it, and when an OpenAI-compatible server does not
            list it.
        OllamaError: and its kinds, when the server cannot be asked. Each of them is a ValueError.
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
        # Nobody has the model then who could close it.
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
    """Refuse a model that lacks a capability; a server that tells no capabilities is believed.

    Raises:
        ConfigError: naming what the model can do instead.
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
        ConfigError: naming those that it does.
    """
    known = list(names)
    # Ollama lists its models with their tags on this wire too.
    if model not in known and f"{model}:latest" not in known:
        raise ConfigError(
            f"the server does not list the model {model!r}; it lists: {', '.join(known) or 'none'}."
        )
