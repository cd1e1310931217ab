"""Prefixes of embedding models: the right ones are found by any name that Ollama uses."""

import logging

import pytest

from ollama_transport.errors import ConfigError
from ollama_transport.settings.prefixes import Prefixes, prefixes_for, resolve_prefixes

NOMIC = ("search_query: ", "search_document: ")
PASSAGES = ("Represent this sentence for searching relevant passages: ", "")
PASSAGES_ZH = ("为这个句子生成表示以用于检索相关文章：", "")
E5 = ("query: ", "passage: ")
E5_INSTRUCT = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ",
    "",
)
ARCTIC_2 = ("query: ", "")
QWEN3 = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
    "",
)
GEMMA = ("task: search result | query: ", "title: none | text: ")
NONE = ("", "")

KNOWN = [
    ("nomic-embed-text", NOMIC),
    ("nomic-embed-text:v1.5", NOMIC),
    ("nomic-embed-text:137m-v1.5-fp16", NOMIC),
    ("nomic-embed-text-v2-moe:latest", NOMIC),
    ("hf.co/nomic-ai/nomic-embed-text-v1.5-GGUF:Q8_0", NOMIC),
    ("Nomic-Embed-Text", NOMIC),
    ("mxbai-embed-large:335m", PASSAGES),
    ("hf.co/mixedbread-ai/mxbai-embed-large-v1", PASSAGES),
    ("jeffh/intfloat-e5-base-v2:f16", E5),
    ("hf.co/intfloat/e5-small", E5),
    ("zylonai/multilingual-e5-large", E5),
    ("jeffh/intfloat-multilingual-e5-large:f16", E5),
    ("jeffh/intfloat-multilingual-e5-large-instruct:q8_0", E5_INSTRUCT),
    ("bge-large", PASSAGES),
    ("bge-large:335m-en-v1.5-fp16", PASSAGES),
    ("hf.co/CompendiumLabs/bge-small-en-v1.5-gguf", PASSAGES),
    ("quentinz/bge-large-zh-v1.5:latest", PASSAGES_ZH),
    ("someone/bge-base:zh-v1.5", PASSAGES_ZH),
    ("someone/bge-large:335m-zh-v1.5", PASSAGES_ZH),
    ("bge-m3:567m", NONE),
    ("snowflake-arctic-embed:22m", PASSAGES),
    ("snowflake-arctic-embed:335m-l-fp16", PASSAGES),
    ("hf.co/Snowflake/snowflake-arctic-embed-m-v1.5", PASSAGES),
    ("snowflake-arctic-embed2:568m", ARCTIC_2),
    ("hf.co/Casual-Autopsy/snowflake-arctic-embed-l-v2.0-gguf:Q4_K_M", ARCTIC_2),
    ("qwen3-embedding:0.6b", QWEN3),
    ("hf.co/Qwen/Qwen3-Embedding-8B-GGUF:Q4_K_M", QWEN3),
    ("embeddinggemma:300m", GEMMA),
    ("all-minilm:l6-v2", NONE),
    ("paraphrase-multilingual:278m-mpnet-base-v2-fp16", NONE),
    ("granite-embedding:30m", NONE),
]


@pytest.mark.parametrize(("model", "expected"), KNOWN)
def test_known_models(model: str, expected: tuple[str, str]) -> None:
    """A model's published prefixes are found, letter for letter, by every name it goes by."""
    found = prefixes_for(model)
    assert found is not None
    assert (found.query, found.document) == expected


@pytest.mark.parametrize(("model", "_expected"), KNOWN)
def test_every_line_names_its_source(model: str, _expected: tuple[str, str]) -> None:
    """Each line says where its texts are published."""
    found = prefixes_for(model)
    assert found is not None
    assert found.source.startswith("https://huggingface.co/")
    assert found.source.count("/") == 4


@pytest.mark.parametrize(
    "model",
    [
        "",
        "llama3.2",
        "tiny-embed",
        "bge-reranker-v2-m3",
        "bge-base",
        "myname5-base",
        "nomic-embed-text2",
        "nomic-ai/llama3.2",
        "all-minilm/llama3.2",
    ],
)
def test_unknown_models(model: str) -> None:
    """Neither another model's name nor a namespace is taken for a known model."""
    assert prefixes_for(model) is None


def test_prefixes_cannot_be_changed() -> None:
    """The table is shared by every embedder, so nobody can write into it."""
    found = prefixes_for("nomic-embed-text")
    assert isinstance(found, Prefixes)
    with pytest.raises(AttributeError):
        found.query = "x"  # type: ignore[misc]  # the assignment is what is tested


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("", "")),
        ({"prefixes": None}, ("", "")),
        ({"prefixes": "auto"}, NOMIC),
        ({"prefixes": "auto", "query_prefix": "Q: "}, ("Q: ", NOMIC[1])),
        ({"prefixes": "auto", "document_prefix": ""}, (NOMIC[0], "")),
        ({"query_prefix": "Q: "}, ("Q: ", "")),
        ({"query_prefix": "Q: ", "document_prefix": "D: "}, ("Q: ", "D: ")),
    ],
)
def test_given_prefixes_win(given: dict[str, str], expected: tuple[str, str]) -> None:
    """What the user gives wins, an empty text too; "auto" fills in the rest, None nothing."""
    assert resolve_prefixes("nomic-embed-text", **given) == expected  # type: ignore[arg-type]  # a table


def test_auto_on_an_unknown_model_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    """Under "auto" an unknown model gets no prefixes, and one line in the log says so."""
    with caplog.at_level(logging.INFO, logger="ollama_transport"):
        for _ in range(3):
            assert resolve_prefixes("told-once-model", prefixes="auto") == ("", "")
    told = [record for record in caplog.records if "told-once-model" in record.getMessage()]
    assert [record.levelname for record in told] == ["INFO"]


def test_both_prefixes_given_means_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A user who gives both prefixes is not bothered about an unknown model."""
    with caplog.at_level(logging.INFO, logger="ollama_transport"):
        resolve_prefixes("quiet-model", query_prefix="q", document_prefix="d", prefixes="auto")
        resolve_prefixes("quiet-model")
        resolve_prefixes("bge-m3", prefixes="auto")
    assert caplog.records == []


def test_another_value_of_prefixes_is_refused() -> None:
    """A misspelt "auto" is an error that shows the accepted values."""
    with pytest.raises(ConfigError, match='"auto"'):
        resolve_prefixes("bge-m3", prefixes="automatic")  # type: ignore[arg-type]  # what is tested
