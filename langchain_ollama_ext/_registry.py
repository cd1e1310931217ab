"""LangChain's names of providers: ``"ollama:llama3.2"`` as a model of this package."""

from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any, Self

_CHAT = "langchain.chat_models.base"
_EMBEDDINGS = "langchain.embeddings.base"
_PROVIDER = "ollama"


class Registration:
    """The state of ``init_chat_model`` and ``init_embeddings`` before `register`.

    Use it as a context manager, or call `undo`, to have that state back.
    """

    def __init__(self) -> None:
        chats = _replacement(_CHAT, "ChatOllama", "_get_chat_model_creator")
        embeddings = _replacement(_EMBEDDINGS, "OllamaEmbeddings", "_get_embeddings_class_creator")
        # Only where both can be: half a registration would be hard to find.
        self._before = [chats(), embeddings()]

    def undo(self) -> None:
        """Give the name back to whom it belonged before; a second time does nothing."""
        while self._before:
            self._before.pop()()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.undo()


def register() -> Registration:
    """Have ``init_chat_model`` and ``init_embeddings`` make our classes under the name "ollama".

    For programs and frameworks that take a model as a string, such as deepagents with
    ``model="ollama:llama3.2"``. It changes the ``"ollama"`` entry in two private tables of the
    langchain package (LangChain has no public way), for the whole process, until `undo` of what is
    returned, or to the end of a ``with`` block. Models that were made before stay what they are.
    langchain-classic has functions of its own by these names, which it does not change.

    >>> import langchain_ollama_ext
    >>> langchain_ollama_ext.register()  # doctest: +SKIP

    Raises:
        ImportError: when langchain is not installed, or a version that has no such table; use
            `ChatOllama` and `OllamaEmbeddings` themselves then.
    """
    return Registration()


def _replacement(module: str, name: str, creator: str) -> Callable[[], Callable[[], None]]:
    """Return what enters our class and returns what takes it out again."""
    home = _module(module)
    table: dict[str, Any] | None = getattr(home, "_BUILTIN_PROVIDERS", None)
    if table is None or _PROVIDER not in table:
        raise ImportError(
            f"this version of langchain has no table of providers in {module}: use "
            f"langchain_ollama_ext.{name} itself.",
            name=module,
        )
    before = table[_PROVIDER]
    # The third part calls the class with the arguments, for us as for the peer.
    ours = ("langchain_ollama_ext", name, *before[2:])

    def do() -> Callable[[], None]:
        table[_PROVIDER] = ours
        _forget(home, creator)
        return undo

    def undo() -> None:
        # Whoever registered after us keeps what is theirs.
        if table[_PROVIDER] is ours:
            table[_PROVIDER] = before
            _forget(home, creator)

    return do


def _forget(home: ModuleType, creator: str) -> None:
    # LangChain remembers the class of a provider after its first use.
    clear = getattr(getattr(home, creator, None), "cache_clear", None)
    if clear is not None:
        clear()


def _module(name: str) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            "init_chat_model and init_embeddings are langchain's, which is not installed: "
            "pip install langchain",
            name="langchain",
        ) from error
