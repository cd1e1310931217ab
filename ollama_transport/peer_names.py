"""Names of ollama-python for our types, so that its users keep annotations and `except` clauses."""

from typing import Any

from pydantic import ConfigDict

from ollama_transport.errors import ConfigError
from ollama_transport.schema.tool_class import Tool
from ollama_transport.settings.options import SamplingOptions
from ollama_transport.wire.values.answers import (
    ChatLine,
    Embeddings,
    GenerateLine,
    Progress,
    ShowAnswer,
)
from ollama_transport.wire.values.by_key import Listed
from ollama_transport.wire.values.web_answers import FetchAnswer, SearchAnswer

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
    "Tool",
    "WebFetchResponse",
    "WebSearchResponse",
]

ChatResponse = ChatLine
EmbedResponse = Embeddings
EmbeddingsResponse = Embeddings
GenerateResponse = GenerateLine
ListResponse = Listed
ProcessResponse = Listed
ProgressResponse = Progress
RequestError = ConfigError
ShowResponse = ShowAnswer
StatusResponse = Progress
WebFetchResponse = FetchAnswer
WebSearchResponse = SearchAnswer


class Options(SamplingOptions):
    """The ``options`` of a request as an object, read and written by attribute and by key.

    ```python
    import ollama_transport as ollama

    options = ollama.Options(temperature=0, num_predict=20)
    print(ollama.generate("llama3.2", "Hello", options=options).text)
    ```

    Raises:
        pydantic.ValidationError: for a value of the wrong type or out of range.
    """

    model_config = ConfigDict(extra="ignore", validate_assignment=True, defer_build=True)

    def __getitem__(self, key: str) -> Any:
        if self.get(key) is None:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self, key, value)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def get(self, key: str, default: Any = None) -> Any:
        """Return an option, None if it is not set, or the default if there is no such option."""
        return getattr(self, key) if key in type(self).model_fields else default
