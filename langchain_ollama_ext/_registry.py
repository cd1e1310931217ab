"""Register with LangChain's provider names: ``"ollama:llama3.2"`` then makes our classes."""

from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any, Self

_CHAT = "langchain.chat_models.base"
_EMBEDDINGS = "langchain.embeddings.base"
_PROVIDER = "ollama"


class Registration:
    """A registration that can be undone.

    Use it as a context manager, or call `undo`, to restore the state before `register`.
    """

    def __init__(self) -> None:
        chats = _replacement(_CHAT, "ChatOllama", "_get_chat_model_creator")
        embeddings = _replacement(_EMBEDDINGS, "OllamaEmbeddings", "_get_embeddings_class_creator")
        # Both are prepared before either is changed, so that there is never half a registration.
        self._before = [chats(), embeddings()]

    def undo(self) -> None:
        """Restore the previous provider; a second call does nothing."""
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
    """Make ``init_chat_model`` and ``init_embeddings`` return our classes for the name "ollama".

    For programs and frameworks that take a model as a string, such as deepagents with
    ``model="ollama:llama3.2"``. It changes the ``"ollama"`` entry in two private tables of the
    langchain package (LangChain has no public API for it), for the whole process, until `undo` of
    the returned object, or the end of a ``with`` block. Existing models do not change. The
    functions of the same names in langchain-classic are not affected.

    ```python
    from langchain.chat_models import init_chat_model

    from langchain_ollama_ext import register

    with register():
        print(init_chat_model("ollama:llama3.2").invoke("Hello").content)
    ```

    Raises:
        ImportError: when langchain is not installed, or its version has no such table; use
            `ChatOllama` and `OllamaEmbeddings` directly then.
    """
    return Registration()


def _replacement(module: str, name: str, creator: str) -> Callable[[], Callable[[], None]]:
    """Return a function that enters our class and returns a function that undoes it."""
    home = _module(module)
    table: dict[str, Any] | None = getattr(home, "_BUILTIN_PROVIDERS", None)
    if table is None or _PROVIDER not in table:
        raise ImportError(
            f"this version of langchain has no table of providers in {module}: use "
            f"langchain_ollama_ext.{name} directly.",
            name=module,
        )
    before = table[_PROVIDER]
    # The rest of the entry calls the class with the arguments, and works for ours as well.
    ours = ("langchain_ollama_ext", name, *before[2:])

    def do() -> Callable[[], None]:
        table[_PROVIDER] = ours
        _forget(home, creator)
        return undo

    def undo() -> None:
        # A later registration by another package is kept.
        if table[_PROVIDER] is ours:
            table[_PROVIDER] = before
            _forget(home, creator)

    return do


def _forget(home: ModuleType, creator: str) -> None:
    # LangChain caches the class of a provider after its first use.
    clear = getattr(getattr(home, creator, None), "cache_clear", None)
    if clear is not None:
        clear()


def _module(name: str) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            "init_chat_model and init_embeddings belong to langchain, which is not installed: "
            "pip install langchain",
            name="langchain",
        ) from error
