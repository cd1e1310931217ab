"""What ollama-python calls the same things, for annotations and `except` clauses of its users."""

from ollama_transport.errors import ConfigError
from ollama_transport.settings.options import SamplingOptions
from ollama_transport.wire.answers import (
    ChatLine,
    Embeddings,
    FetchAnswer,
    GenerateLine,
    Progress,
    SearchAnswer,
    ShowAnswer,
)
from ollama_transport.wire.by_key import Listed

__all__ = [
    "ChatResponse",
    "EmbedResponse",
    "EmbeddingsResponse",
    "GenerateResponse",
    "ListResponse",
    "Options",
    "ProcessResponse",
    "ProgressResponse",
    "RequestError",
    "ShowResponse",
    "StatusResponse",
    "WebFetchResponse",
    "WebSearchResponse",
]

ChatResponse = ChatLine
EmbedResponse = Embeddings
EmbeddingsResponse = Embeddings
GenerateResponse = GenerateLine
ListResponse = Listed
Options = SamplingOptions
ProcessResponse = Listed
ProgressResponse = Progress
RequestError = ConfigError
ShowResponse = ShowAnswer
StatusResponse = Progress
WebFetchResponse = FetchAnswer
WebSearchResponse = SearchAnswer
