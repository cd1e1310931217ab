"""Ollama for LlamaIndex: `Ollama` and `OllamaEmbedding`.

Importing it registers both with LlamaIndex, so that ``load_llm`` and ``load_embed_model`` find
them in saved configurations.
"""

try:
    import llama_index.core  # noqa: F401 - so that its absence gets the message below
except ModuleNotFoundError as error:
    if error.name not in ("llama_index", "llama_index.core"):
        raise
    raise ImportError(
        "llamaindex_ollama_ext needs llama-index-core, which is not installed: "
        'pip install "ollama-ext[llamaindex]"',
        name=error.name,
    ) from error

from llama_index.core.embeddings.loading import RECOGNIZED_EMBEDDINGS
from llama_index.core.llms.loading import RECOGNIZED_LLMS

from llamaindex_ollama_ext._errors import (
    StructuredCallMissingError,
    StructuredOutputError,
    StructuredRefusalError,
)
from llamaindex_ollama_ext.embedding import OllamaEmbedding
from llamaindex_ollama_ext.llm import Ollama
from ollama_transport import Timeouts, __version__

DEFAULT_REQUEST_TIMEOUT = Timeouts().read_s
"""The default of ``request_timeout``, in seconds: programs made by create-llama import it."""

# The second names were used by early versions of this package.
for _name in (Ollama.class_name(), "OllamaExt"):
    RECOGNIZED_LLMS[_name] = Ollama
for _name in (OllamaEmbedding.class_name(), "OllamaExtEmbedding"):
    RECOGNIZED_EMBEDDINGS[_name] = OllamaEmbedding

__all__ = [
    "DEFAULT_REQUEST_TIMEOUT",
    "Ollama",
    "OllamaEmbedding",
    "StructuredCallMissingError",
    "StructuredOutputError",
    "StructuredRefusalError",
    "__version__",
]
