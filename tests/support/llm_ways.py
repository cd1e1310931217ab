"""What the tests of OllamaLLM share: a listening handler, and models over scripted answers."""

from typing import Any

from faked import Network
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import GenerationChunk, LLMResult

from langchain_ollama_ext import OllamaLLM
from ollama_ext.embedded import EmbeddedOllama


def played(*answers: Any, **fields: Any) -> tuple[OllamaLLM, Network]:
    """Return a model whose server plays these answers, and the network that plays them."""
    network = Network(*answers)
    given: dict[str, Any] = {"model": "tiny-chat", "base_url": "http://127.0.0.1:1"} | fields
    return OllamaLLM(**given, client_kwargs={"transport": network}), network


def bodies(server: EmbeddedOllama) -> list[dict[str, Any]]:
    """Return what a server was asked, oldest first."""
    return [dict(request.json) for request in server.requests]  # type: ignore[call-overload] # JSON objects all


def answer(text: str = "ok") -> dict[str, Any]:
    """Return a whole answer of ``/api/generate``."""
    return {"model": "m", "response": text, "done": True, "done_reason": "stop"}


class Listener(BaseCallbackHandler):
    """Keep what a handler is told."""

    def __init__(self) -> None:
        self.starts: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.chunks: list[GenerationChunk] = []
        self.ends: list[LLMResult] = []
        self.errors: list[BaseException] = []

    def on_llm_start(self, serialized: dict[str, Any], prompts: list[str], **kwargs: Any) -> None:
        self.starts.append({"serialized": serialized, **kwargs})

    def on_llm_new_token(self, token: str, *, chunk: Any = None, **kwargs: Any) -> None:
        self.tokens.append(token)
        self.chunks.append(chunk)

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        self.ends.append(response)

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.errors.append(error)
