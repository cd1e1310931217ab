"""A completion that holds only thoughts warns: its text is all that a caller of OllamaLLM sees."""

import json
import warnings
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from both_chats import Chats
from running import Run

from langchain_ollama_ext import OllamaLLM
from ollama_transport import OnlyThoughtsWarning

WIRES = pytest.mark.parametrize("wire", ["native", "openai"])
ADAPTERS = pytest.mark.parametrize("adapter", ["LangChain", "LlamaIndex"])
FORMS = pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])


def told(chats: Chats, pieces: Sequence[str], **more: Any) -> tuple[str, list[str]]:
    """Return the text of a completion, and what was warned of."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        text, _ = chats.complete(*pieces, **more)
    return text, [str(one.message) for one in seen if one.category is OnlyThoughtsWarning]


@WIRES
@ADAPTERS
@FORMS
@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["<thi", "nk>Hm.", "</think>\n\n"], ""),
        (["<think>", "Hm."], ""),
        (["<think>Hm.</think>", "Rome"], "Rome"),
        (["Rome", ""], "Rome"),
    ],
    ids=["nothing after", "never ends", "then text", "no thoughts"],
)
def test_nothing_left_after_the_tags_of_thoughts_warns_once(
    run: Run, wire: str, adapter: str, streams: bool, pieces: list[str], text: str
) -> None:
    """The server's answer is not empty, but the text that is left of it is."""
    chats = Chats(run, adapter, wire, streams=streams)
    found, warned = told(chats, pieces, split_thinking="tags")
    assert found == text
    assert len(warned) == (0 if text else 1)
    assert all("only thoughts" in words for words in warned)


def line(**more: Any) -> dict[str, Any]:
    return {"model": "m", "created_at": "2026-01-01T00:00:00Z", "response": "", **more}


async def _all(items: Any) -> list[Any]:
    return [item async for item in items]


@FORMS
@pytest.mark.parametrize("reason", ["stop", "length"])
@pytest.mark.parametrize("text", ["", "Rome"])
def test_thoughts_of_their_own_field_warn_alike(
    run: Run, streams: bool, reason: str, text: str
) -> None:
    """Whatever ended the answer: more tokens help only where it was cut."""
    ends = {"done": True, "done_reason": reason, "eval_count": 9}
    lines = [line(thinking="Hm.", done=False), line(response=text, done=False), line(**ends)]
    answer = "".join(f"{json.dumps(one)}\n" for one in lines)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=answer))
    llm = OllamaLLM(model="m", base_url="http://h", client_kwargs={"transport": transport})
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        if streams:
            parts = run(_all(llm.astream("hi"))) if run.is_async else [*llm.stream("hi")]
            found = "".join(parts)
        else:
            found = run(llm.ainvoke("hi")) if run.is_async else llm.invoke("hi")
    run(llm.aclose() if run.is_async else llm.close())
    warned = [str(one.message) for one in seen if one.category is OnlyThoughtsWarning]
    assert found == text
    assert len(warned) == (0 if text else 1)
    assert all(("num_predict" in words) == (reason == "length") for words in warned)
