"""Streams: what a token costs."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.cases import Case, Goal, Row, Scale, Variant
from benchmarks.floors import RawHttpx, afirst, first, langchain_memory, llama_index_memory
from benchmarks.makers import (
    case_of,
    langchain_asked,
    langchain_pair,
    llama_index_asked,
    llama_index_pair,
    openai_pair,
)
from benchmarks.works import at_once, lc_astream, lc_stream, li_astream, li_stream

Work = Callable[[Any], Case]


def _variants(pair: tuple[Any, Any], sync: Work, asynchronous: Work) -> list[Variant]:
    ours, peer = pair
    return [
        Variant("sync", sync(ours), case_of(peer, sync)),
        Variant("async", asynchronous(ours), case_of(peer, asynchronous)),
    ]


def _with_floors(variants: list[Variant], *floors: dict[str, Case]) -> list[Variant]:
    return [Variant(v.name, v.ours, v.peer, more) for v, more in zip(variants, floors, strict=True)]


def langchain(scale: Scale) -> Sequence[Variant]:
    """Stream through LangChain, all lines there at once."""
    n = scale.tokens
    pair = langchain_pair(scale.url, f"stream-{n}")
    sync, asynchronous = partial(lc_stream, tokens=n), partial(lc_astream, tokens=n)
    ready, made = langchain_memory(n), langchain_memory(n, constructed=True)
    return _with_floors(
        _variants(pair, sync, asynchronous),
        {"prebuilt": sync(ready), "constructed": sync(made)},
        {"prebuilt": asynchronous(ready), "constructed": asynchronous(made)},
    )


def llama_index(scale: Scale) -> Sequence[Variant]:
    """Stream through LlamaIndex, all lines there at once."""
    n = scale.tokens
    pair = llama_index_pair(scale.url, f"stream-{n}")
    sync, asynchronous = partial(li_stream, tokens=n), partial(li_astream, tokens=n)
    ready, made = llama_index_memory(n), llama_index_memory(n, constructed=True)
    return _with_floors(
        _variants(pair, sync, asynchronous),
        {"prebuilt": sync(ready), "constructed": sync(made)},
        {"prebuilt": asynchronous(ready), "constructed": asynchronous(made)},
    )


def waking(scale: Scale) -> Sequence[Variant]:
    """Stream through LangChain, each line waking its reader up."""
    n = scale.few
    model = f"stream-{n}-every2000"
    raw = RawHttpx(scale.url, model)
    return _with_floors(
        _variants(
            langchain_pair(scale.url, model),
            partial(lc_stream, tokens=n),
            partial(lc_astream, tokens=n),
        ),
        {"httpx": raw.stream(n)},
        {"httpx": raw.astream(n)},
    )


def openai(scale: Scale) -> Sequence[Variant]:
    """Stream through LangChain from a server of the OpenAI kind."""
    n = scale.tokens
    pair = openai_pair(scale.url, f"stream-{n}")
    return _variants(pair, partial(lc_stream, tokens=n), partial(lc_astream, tokens=n))


def concurrent(scale: Scale) -> Sequence[Variant]:
    """Read many streams at once, each slow enough that a peer keeps up with all of them."""
    n = 2 * scale.few
    model = f"stream-{n}-every{200 * scale.many}"
    lc = (lc_astream(m, n) if m else None for m in langchain_pair(scale.url, model))
    li = (li_astream(m, n) if m else None for m in llama_index_pair(scale.url, model))
    raw = {"httpx": at_once(RawHttpx(scale.url, model).astream(n), scale.many)}
    return [
        Variant(name, *(case and at_once(case, scale.many) for case in cases), raw)
        for name, cases in (("LangChain", lc), ("LlamaIndex", li))
    ]


def first_token(scale: Scale) -> Sequence[Variant]:
    """Wait for the first token of a stream."""
    model = "stream-8-every3000"
    raw = RawHttpx(scale.url, model)
    lc, li = langchain_asked(), llama_index_asked()
    works: list[tuple[str, tuple[Any, Any], Work, Case]] = [
        ("LangChain", lc_pair := langchain_pair(scale.url, model),
         lambda m: first(lambda: m.stream(lc)), raw.first()),
        ("LangChain async", lc_pair, lambda m: afirst(lambda: m.astream(lc)), raw.afirst()),
        ("LlamaIndex", li_pair := llama_index_pair(scale.url, model),
         lambda m: first(lambda: m.stream_chat(li)), raw.first()),
        ("LlamaIndex async", li_pair, lambda m: afirst(lambda: m.astream_chat(li)), raw.afirst()),
    ]  # fmt: skip
    return [
        Variant(name, work(ours), case_of(peer, work), {"httpx": floor})
        for name, (ours, peer), work, floor in works
    ]


ROWS = (
    Row("lc-stream", "LangChain stream, sync/async", "token",
        Goal((80e3,), "instructions", "≤ 80 k"), langchain),
    Row("li-stream", "LlamaIndex stream_chat, sync/async", "token",
        Goal((105e3,), "instructions", "≤ 105 k"), llama_index),
    Row("lc-stream-waking", "LangChain stream, one line a wake-up, sync/async", "token",
        Goal((120e3,), "instructions", "≤ 120 k"), waking),
    Row("v1-stream", "/v1 stream against ChatOpenAI, sync/async", "token",
        Goal((0.15,), text="≤ 0.15 x peer"), openai),
    Row("streams-at-once", "64 streams at once, LangChain/LlamaIndex", "token",
        Goal((0.35,), text="≤ 0.35 x peer"), concurrent, counted=False),
    Row("first-token", "time to first token beyond raw httpx, LangChain s/a, LlamaIndex s/a",
        "stream", Goal((1.0,), text="≤ peer"), first_token, measure="wall", beyond="httpx"),
)  # fmt: skip
