"""Embeddings: what a text costs."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.cases import Case, Goal, Row, Scale, Variant
from benchmarks.floors import RawHttpx
from benchmarks.makers import (
    case_of,
    langchain_embeddings_pair,
    llama_index_embedding_pair,
    peer_class,
)

MODEL = "embed-768"


def _checked(vectors: Any) -> tuple[int, int]:
    return len(vectors), len(vectors[-1])


def _texts(count: int) -> list[str]:
    return [f"text number {at} about something" for at in range(count)]


def _lc_documents(model: Any, texts: list[str]) -> Case:
    return Case(lambda: _checked(model.embed_documents(texts)), len(texts))


def _li_documents(model: Any, texts: list[str]) -> Case:
    return Case(lambda: _checked(model.get_text_embedding_batch(texts)), len(texts))


def _floor(url: str, texts: list[str]) -> dict[str, Case]:
    loads: Callable[[bytes], Any] = peer_class("orjson", "loads") or json.loads
    name = "httpx+json" if loads is json.loads else "httpx+orjson"
    return {name: RawHttpx(url, MODEL, "/api/embed").embed(texts, loads)}


def langchain(scale: Scale) -> Sequence[Variant]:
    """Embed many documents through LangChain, and a quarter of them."""
    found = []
    for count in (scale.texts, scale.texts // 4):
        texts = _texts(count)
        ours, peer = langchain_embeddings_pair(scale.url, MODEL)
        work = partial(_lc_documents, texts=texts)
        found.append(
            Variant(f"{count} texts", work(ours), case_of(peer, work), _floor(scale.url, texts))
        )
    return found


def llama_index(scale: Scale) -> Sequence[Variant]:
    """Embed many documents through LlamaIndex, in batches of 10 and of 256."""
    found = []
    texts = _texts(scale.texts)
    for batch in (10, 256):
        ours, peer = llama_index_embedding_pair(scale.url, MODEL, batch)
        work = partial(_li_documents, texts=texts)
        found.append(
            Variant(f"batch {batch}", work(ours), case_of(peer, work), _floor(scale.url, texts))
        )
    return found


def arrays(scale: Scale) -> Sequence[Variant]:
    """Embed into arrays of 32-bit numbers, which no peer offers, on both wires."""
    loads: Callable[[bytes], Any] = peer_class("orjson", "loads") or json.loads
    texts = _texts(scale.texts)
    floors = (
        RawHttpx(scale.url, MODEL, "/api/embed").embed(texts, loads),
        RawHttpx(scale.url, MODEL, "/v1/embeddings").embed_base64(texts, loads),
    )
    found = []
    for path, floor in zip(("", "/v1"), floors, strict=True):
        model, _ = langchain_embeddings_pair(scale.url + path, MODEL)
        work = partial(lambda model: _checked(model.embed_documents_array(texts)), model)
        case = Case(work, len(texts))
        found.append(Variant(path or "/api", case, None, {"httpx+lists/base64": floor}))
    return found


ROWS = (
    Row("lc-embed", "embeddings 1,024 / 256 texts x 768, LangChain", "text",
        Goal((0.45,), text="≤ 0.45 x peer"), langchain),
    Row("li-embed", "embeddings 1,024 x 768, LlamaIndex, batch 10 / 256", "text",
        Goal((0.5,), text="≤ 0.5 x peer"), llama_index),
    Row("embed-arrays", "embeddings as arrays, 1,024 x 768, native / on /v1", "text",
        Goal((30e-6,), "seconds", "≤ 30 µs"), arrays),
)  # fmt: skip
