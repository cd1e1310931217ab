"""Choose which of the two wires a server speaks; this happens nowhere else."""

from typing import Protocol

from ollama_transport.settings.client_settings import Config
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.native import calls as native
from ollama_transport.wire.openai import calls as openai
from ollama_transport.wire.values.answers import ChatLine, Embeddings, GenerateLine, ModelList
from ollama_transport.wire.values.requests import ChatRequest, EmbedRequest, GenerateRequest
from ollama_transport.wire.values.vectors import EmbeddingArray


class Dialect(Protocol):
    """Turns requests into calls; their answers have one shape, whichever the wire."""

    def chat(self, request: ChatRequest) -> Call[ChatLine]:
        """Return the call for the next message of a chat."""

    def generate(self, request: GenerateRequest) -> Call[GenerateLine]:
        """Return the call for the completion of a prompt."""

    def embed(self, request: EmbedRequest) -> Call[Embeddings]:
        """Return the call for the vectors of texts."""

    def embed_array(self, request: EmbedRequest) -> Call[EmbeddingArray]:
        """Return the call for the vectors of texts as one array."""

    def models(self) -> Call[ModelList]:
        """Return the call that lists the server's models."""


def dialect_of(config: Config) -> Dialect:
    """Return the wire that a configuration asks for."""
    # The modules themselves are the dialects: pure functions need no object around them.
    return openai if config.wire == "openai" else native
