"""Calls that are asked whole."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from benchmarks.cases import Case, Goal, Row, Scale, Variant
from benchmarks.floors import RawHttpx, langchain_memory, llama_index_memory
from benchmarks.makers import case_of, langchain_pair, llama_index_pair
from benchmarks.works import at_once, lc_acall, lc_call, li_acall, li_call

SHORT = 8
LONG = 2000
HISTORY = 200


def langchain(scale: Scale) -> Sequence[Variant]:
    """Ask for a short answer through LangChain."""
    ours, peer = langchain_pair(scale.url, f"stream-{SHORT}")
    sync, asynchronous = partial(lc_call, times=scale.calls), partial(lc_acall, times=scale.calls)
    memory, raw = langchain_memory(SHORT), RawHttpx(scale.url, f"stream-{SHORT}")
    return [
        Variant("sync", sync(ours), case_of(peer, sync),
                {"memory": sync(memory), "httpx": raw.call(scale.calls)}),
        Variant("async", asynchronous(ours), case_of(peer, asynchronous),
                {"memory": asynchronous(memory), "httpx": raw.acall(scale.calls)}),
    ]  # fmt: skip


def llama_index(scale: Scale) -> Sequence[Variant]:
    """Ask for a short answer through LlamaIndex."""
    ours, peer = llama_index_pair(scale.url, f"stream-{SHORT}")
    sync, asynchronous = partial(li_call, times=scale.calls), partial(li_acall, times=scale.calls)
    memory, raw = llama_index_memory(SHORT), RawHttpx(scale.url, f"stream-{SHORT}")
    return [
        Variant("sync", sync(ours), case_of(peer, sync),
                {"memory": sync(memory), "httpx": raw.call(scale.calls)}),
        Variant("async", asynchronous(ours), case_of(peer, asynchronous),
                {"memory": asynchronous(memory), "httpx": raw.acall(scale.calls)}),
    ]  # fmt: skip


def long_llama_index(scale: Scale) -> Sequence[Variant]:
    """Ask for a long answer, whole on the wire as well, through LlamaIndex."""
    ours, peer = llama_index_pair(scale.url, f"stream-{LONG}", ours={"wire_streaming": False})
    memory = llama_index_memory(LONG)
    times = max(1, scale.calls // 4)
    sync = partial(li_call, units=LONG, times=times)
    asynchronous = partial(li_acall, units=LONG, times=times)
    return [
        Variant("sync", sync(ours), case_of(peer, sync), {"memory": sync(memory)}),
        Variant("async", asynchronous(ours), case_of(peer, asynchronous),
                {"memory": asynchronous(memory)}),
    ]  # fmt: skip


def long_langchain(scale: Scale) -> Sequence[Variant]:
    """Ask for a long answer through LangChain, streamed underneath or not, as invoke does it."""
    ours, peer = langchain_pair(scale.url, f"stream-{LONG}")
    call = partial(lc_call, units=LONG)
    memory = {"memory": call(langchain_memory(LONG))}
    return [Variant("sync", call(ours), case_of(peer, call), memory)]


def streamed_llama_index(scale: Scale) -> Sequence[Variant]:
    """Ask for a long answer through LlamaIndex, which comes as a stream: our default.

    The peer has no such way: what a token costs there is in the row above.
    """
    ours, _ = llama_index_pair(scale.url, f"stream-{LONG}")
    sync, asynchronous = partial(li_call, units=LONG), partial(li_acall, units=LONG)
    memory = llama_index_memory(LONG)
    return [
        Variant("sync", sync(ours), None, {"memory": sync(memory)}),
        Variant("async", asynchronous(ours), None, {"memory": asynchronous(memory)}),
    ]


def history(scale: Scale) -> Sequence[Variant]:
    """Send a long conversation."""
    from langchain_core.messages import AIMessage, HumanMessage
    from llama_index.core.base.llms.types import ChatMessage

    texts = [f"message {at} of a conversation about prices" for at in range(HISTORY)]
    lc_asked = [(AIMessage if at % 2 else HumanMessage)(text) for at, text in enumerate(texts)]
    li_asked = [
        ChatMessage(role="assistant" if at % 2 else "user", content=text)
        for at, text in enumerate(texts)
    ]
    times = max(1, scale.calls // 4)
    lc = partial(lc_call, asked=lc_asked, units=HISTORY, times=times)
    li = partial(li_call, asked=li_asked, units=HISTORY, times=times)
    lc_ours, lc_peer = langchain_pair(scale.url, f"stream-{SHORT}")
    li_ours, li_peer = llama_index_pair(scale.url, f"stream-{SHORT}")
    return [
        Variant("LangChain", lc(lc_ours), case_of(lc_peer, lc),
                {"memory": lc(langchain_memory(SHORT))}),
        Variant("LlamaIndex", li(li_ours), case_of(li_peer, li),
                {"memory": li(llama_index_memory(SHORT))}),
    ]  # fmt: skip


def concurrent(scale: Scale) -> Sequence[Variant]:
    """Ask many times at once."""

    def together(case: Any) -> Any:
        return lambda model: at_once(case(model), scale.many)

    model = f"stream-{SHORT}"
    raw = at_once(RawHttpx(scale.url, model).acall(1), scale.many)
    return [
        _pair_of("LangChain", langchain_pair(scale.url, model), together(lc_acall), raw),
        _pair_of("LlamaIndex", llama_index_pair(scale.url, model), together(li_acall), raw),
    ]


def more_at_once(scale: Scale) -> Sequence[Variant]:
    """Ask four times as many at once: a call should not cost more for that."""
    few, many = scale.many, scale.many * 4

    def variant(name: str, pair: tuple[Any, Any], case: Any) -> Variant:
        ours, peer = pair
        fewer = {"64": at_once(case(ours), few)}
        others = case_of(peer, lambda model: at_once(case(model), many))
        return Variant(name, at_once(case(ours), many), others, fewer)

    model = f"stream-{SHORT}"
    return [
        variant("LangChain", langchain_pair(scale.url, model), lc_acall),
        variant("LlamaIndex", llama_index_pair(scale.url, model), li_acall),
    ]


def _pair_of(name: str, pair: tuple[Any, Any], work: Any, raw: Case) -> Variant:
    ours, peer = pair
    return Variant(name, work(ours), case_of(peer, work), {"httpx": raw})


ROWS = (
    Row("lc-call", "LangChain short call, sync/async", "call",
        Goal((2600e3,), "instructions", "≤ 2,600 k"), langchain),
    Row("li-call", "LlamaIndex short call, sync/async", "call",
        Goal((2200e3,), "instructions", "≤ 2,200 k"), llama_index),
    Row("li-long", "LlamaIndex chat of 2,000 tokens, asked whole, sync/async", "token",
        Goal((1300,), "instructions", "≤ 1.3 k"), long_llama_index),
    Row("li-long-streamed", "LlamaIndex chat of 2,000 tokens, streamed underneath (our default)",
        "token",
        Goal((12e3,), "instructions", "≤ 12 k"), streamed_llama_index),
    Row("lc-long", "LangChain invoke of 2,000 tokens", "token",
        Goal((12e3,), "instructions", "≤ 12 k"), long_langchain),
    Row("history", "history of 200, LangChain/LlamaIndex", "message",
        Goal((0.5, 0.7), text="≤ 0.5 x / 0.7 x peer"), history),
    Row("calls-at-once", "64 short calls at once, LangChain/LlamaIndex", "call",
        Goal((0.30, 0.45), text="≤ 0.30 x / 0.45 x peer"), concurrent),
    Row("more-at-once", "256 short calls at once, beside 64, LangChain/LlamaIndex", "call",
        # By valgrind a round takes longer than idle connections are kept.
        Goal((1.1,), "64", "≤ 1.1 x 64"), more_at_once, counted=False),
)  # fmt: skip
