"""The prefixes that embedding models expect before queries and documents.

A model trained with prefixes retrieves worse without them, and the server adds none: it embeds the
text exactly as sent (wire reference 5.1).
"""

import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ollama_transport.errors import ConfigError

_LOGGER = logging.getLogger(__name__)

_PASSAGES = "Represent this sentence for searching relevant passages: "
_PASSAGES_ZH = "为这个句子生成表示以用于检索相关文章："
_WEB_SEARCH = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
)
_HUB = "https://huggingface.co/"


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The prefixes that the authors of a model publish for queries and documents.

    Each is put in front of the text unchanged, including a trailing space; "" means no prefix.
    ``source`` is the URL of the page that publishes them.
    """

    query: str
    document: str
    source: str


def _published(card: str, *, query: str = "", document: str = "") -> Prefixes:
    return Prefixes(query=query, document=document, source=_HUB + card)


def _nomic(card: str) -> Prefixes:
    return _published(card, query="search_query: ", document="search_document: ")


def _e5(card: str) -> Prefixes:
    return _published(card, query="query: ", document="passage: ")


# Patterns for the last part of a model's name in lower case, with its tag appended by "-". The
# longest match wins, so that a member of a family can differ from the family.
_TABLE: tuple[tuple[str, Prefixes], ...] = (
    ("nomic-embed-text", _nomic("nomic-ai/nomic-embed-text-v1.5")),
    ("nomic-embed-text-v1", _nomic("nomic-ai/nomic-embed-text-v1")),
    ("nomic-embed-text-v2", _nomic("nomic-ai/nomic-embed-text-v2-moe")),
    ("mxbai-embed-large", _published("mixedbread-ai/mxbai-embed-large-v1", query=_PASSAGES)),
    ("e5-(?:small|base|large)", _e5("intfloat/e5-base")),
    ("e5-(?:small|base|large)-v2", _e5("intfloat/e5-base-v2")),
    ("multilingual-e5-(?:small|base|large)", _e5("intfloat/multilingual-e5-base")),
    (
        "multilingual-e5-large-instruct",
        # The only one with a space after "Query:"; the task is the example of its model card.
        _published("intfloat/multilingual-e5-large-instruct", query=_WEB_SEARCH + " "),
    ),
    (
        "bge-(?:small|base|large)-(?:[a-z0-9.-]{1,40}-)?en",
        _published("BAAI/bge-base-en-v1.5", query=_PASSAGES),
    ),
    (
        "bge-(?:small|base|large)-(?:[a-z0-9.-]{1,40}-)?zh",
        _published("BAAI/bge-base-zh-v1.5", query=_PASSAGES_ZH),
    ),
    # Ollama's "bge-large" is the English model, as its tag "335m-en-v1.5-fp16" shows.
    ("bge-large", _published("BAAI/bge-large-en-v1.5", query=_PASSAGES)),
    ("bge-m3", _published("BAAI/bge-m3")),
    ("snowflake-arctic-embed", _published("Snowflake/snowflake-arctic-embed-m", query=_PASSAGES)),
    (
        "snowflake-arctic-embed(?:2|-[ml]-v2)",
        _published("Snowflake/snowflake-arctic-embed-l-v2.0", query="query: "),
    ),
    ("qwen3-embedding", _published("Qwen/Qwen3-Embedding-0.6B", query=_WEB_SEARCH)),
    (
        "embeddinggemma",
        _published(
            "google/embeddinggemma-300m",
            query="task: search result | query: ",
            document="title: none | text: ",
        ),
    ),
    ("all-minilm", _published("sentence-transformers/all-MiniLM-L6-v2")),
    (
        "paraphrase-multilingual",
        _published("sentence-transformers/paraphrase-multilingual-mpnet-base-v2"),
    ),
    ("granite-embedding", _published("ibm-granite/granite-embedding-278m-multilingual")),
)

# Whole words only: "e5-base" may be a part of another model's name.
_PATTERNS = tuple(
    (re.compile(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])"), prefixes)
    for pattern, prefixes in _TABLE
)


def prefixes_for(model: str) -> Prefixes | None:
    """Return the published prefixes of an embedding model, or None for an unknown model.

    The name is Ollama's; case, registry, namespace, tag and quantisation are ignored
    ("hf.co/nomic-ai/nomic-embed-text-v1.5-GGUF:Q8_0"). A model known to need no prefix has
    Prefixes with two empty texts.
    """
    name = model.lower().rpartition("/")[2].replace(":", "-").replace("_", "-")
    found = ((pattern.search(name), prefixes) for pattern, prefixes in _PATTERNS)
    matches = [(len(match.group()), prefixes) for match, prefixes in found if match is not None]
    return max(matches, key=lambda match: match[0])[1] if matches else None


def resolve_prefixes(
    model: str,
    *,
    query_prefix: str | None = None,
    document_prefix: str | None = None,
    prefixes: Literal["auto"] | None = None,
) -> tuple[str, str]:
    """Return the prefix for queries and the prefix for documents.

    A given prefix wins, including "" (no prefix). In place of None, ``prefixes="auto"`` uses the
    published one, and ``prefixes=None`` uses no prefix. A model without published prefixes gets no
    prefix under "auto", which is logged once per model at level INFO.

    Raises:
        ConfigError: for another value of ``prefixes``.
    """
    if prefixes not in (None, "auto"):
        raise ConfigError(
            f'invalid prefixes={prefixes!r}: give "auto" for the published ones or None for no '
            "prefixes; set your own with query_prefix and document_prefix."
        )
    wanted = prefixes == "auto" and (query_prefix is None or document_prefix is None)
    published = prefixes_for(model) if wanted else None
    if wanted and published is None:
        _tell_unknown(model)
    return (
        _chosen(query_prefix, published.query if published is not None else ""),
        _chosen(document_prefix, published.document if published is not None else ""),
    )


def _chosen(given: str | None, published: str) -> str:
    return published if given is None else given


@lru_cache(maxsize=256)  # once per model, however many embedders use it
def _tell_unknown(model: str) -> None:
    _LOGGER.info(
        "No published prefixes are known for the embedding model %r: texts are sent unchanged. "
        "Set query_prefix and document_prefix if it was trained with prefixes.",
        model,
    )
