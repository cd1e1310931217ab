"""An Ollama double to develop and test against: same wire, rule-based models, scripted answers.

>>> from ollama_ext.embedded import EmbeddedOllama
>>> with EmbeddedOllama() as server:
...     base_url = server.url

The models ``demo`` and ``demo-embed`` follow rules; no neural network is involved. With the extra
``local``, a `GgufModel` is a real one, run by llama.cpp.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ollama_ext.embedded.engine import Answer, Engine, Message, Prompt, ToolCall
    from ollama_ext.embedded.gates import Gate
    from ollama_ext.embedded.models.declared import EmbeddedModel, GgufModel, demo_models
    from ollama_ext.embedded.scripting.recorder import Request
    from ollama_ext.embedded.scripting.replies import Reply
    from ollama_ext.embedded.server.server import EmbeddedOllama, serve

__all__ = [
    "Answer",
    "EmbeddedModel",
    "EmbeddedOllama",
    "Engine",
    "Gate",
    "GgufModel",
    "Message",
    "Prompt",
    "Reply",
    "Request",
    "ToolCall",
    "demo_models",
    "serve",
]

_HOMES = {
    "engine": ("Answer", "Engine", "Message", "Prompt", "ToolCall"),
    "gates": ("Gate",),
    "models.declared": ("EmbeddedModel", "GgufModel", "demo_models"),
    "scripting.recorder": ("Request",),
    "scripting.replies": ("Reply",),
    "server.server": ("EmbeddedOllama", "serve"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


# Hidden from type checkers, which would assume that every name exists.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        # Lazy, because pytest loads the plugin beside this file in every run of every project that
        # has the package, and must not pay for a web server there.
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ollama_transport.lazy import lazy_name

        try:
            return lazy_name(f"{__name__}.{_HOME_OF[name]}", name)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] not in ("starlette", "uvicorn"):
                raise
            raise ImportError(
                f"the embedded server needs {error.name}, which is not installed: "
                'pip install "ollama-ext[embedded]"',
                name=error.name,
            ) from error


def __dir__() -> list[str]:
    return sorted(__all__)
