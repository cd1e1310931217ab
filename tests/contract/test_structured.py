"""Structured answers: how their text is read and how they grow, the same through both adapters."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from both_ways import Facts, _awaited_list, _listed
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel
from running import Run
from wire_answers import WIRES, pieces_of, replied

from langchain_ollama_ext import ChatOllama
from langchain_ollama_ext._structured_parser import StructuredRefusalError as LangChainRefusal
from llamaindex_ollama_ext import Ollama
from llamaindex_ollama_ext import StructuredRefusalError as LlamaIndexRefusal


class Dish(BaseModel):
    name: str
    tags: list[str] = []


class Menu(BaseModel):
    title: str
    dishes: list[Dish] = []


MENU = Menu(title="One\ntwo", dishes=[Dish(name="soup", tags=["warm"]), Dish(name="pie")])
JSON = MENU.model_dump_json()
Asks = Callable[..., list[Any]]


@pytest.fixture(params=["LangChain", "LlamaIndex"])
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def streams(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def langchain(run: Run, settings: dict[str, Any], streams: bool) -> list[Any]:
    model = ChatOllama(model="m", **settings)
    structured = model.with_structured_output(Menu)
    try:
        if not streams:
            return [run(structured.ainvoke("x")) if run.is_async else structured.invoke("x")]
        return run(_listed(structured.astream("x"))) if run.is_async else [*structured.stream("x")]
    finally:
        run(model.aclose() if run.is_async else model.close())


def llamaindex(run: Run, settings: dict[str, Any], streams: bool) -> list[Any]:
    llm = Ollama(model="m", **settings)
    prompt = PromptTemplate("x")
    try:
        if not streams:
            asked = llm.astructured_predict if run.is_async else llm.structured_predict
            return [run(asked(Menu, prompt))]
        if run.is_async:
            return run(_awaited_list(llm.astream_structured_predict(Menu, prompt)))
        return [*llm.stream_structured_predict(Menu, prompt)]
    finally:
        run(llm.aclose() if run.is_async else llm.close())


@pytest.fixture
def asks(run: Run, adapter: str, wire: str, streams: bool) -> Asks:
    """Return what a user gets for an answer that says these messages, all objects of it."""
    ask = {"LangChain": langchain, "LlamaIndex": llamaindex}[adapter]

    def asked(*messages: dict[str, Any], reason: str = "stop") -> list[Any]:
        network = Facts(replied(wire, messages, streams=streams, reason=reason))
        return ask(run, {"client_kwargs": {"transport": network}, **WIRES[wire]}, streams)

    return asked


_WRAPPED = {
    "bare": JSON,
    "a line end in a text": JSON.replace("\\n", "\n"),
    "a line end and a tab": json.dumps(MENU.model_dump(), indent="\t").replace("\\n", "\n"),
    "words before": f"Here is the JSON: {JSON}",
    "words before and behind": f"Sure! {JSON} I hope this helps.",
    "words with brackets": f"By [1], {{so}} it is: {JSON}",
    "a fence": f"```json\n{JSON}\n```",
    "a fence that never ends": f"```json\n{JSON}",
    "a fence and a line end in a text": "```json\n" + JSON.replace("\\n", "\n") + "\n```",
    "a fence without backticks": f"json\n{JSON}",
    "a fence of other letters": f"~~~json\n{JSON}\n~~~",
    "words and a fence": f"Here you are:\n```\n{JSON}\n```\nEnjoy {{it}}!",
    "thoughts": f"<think>A {{menu}}? Yes.</think>\n{JSON}",
    "thoughts opened by the template": f"A {{menu}}? [Yes].</think>{JSON}",
}


@pytest.mark.parametrize("wrapping", _WRAPPED)
def test_text_around_json_is_skipped(asks: Asks, wrapping: str) -> None:
    """A server that ignores the format still gives an object, whole and streamed."""
    assert asks(*({"content": p} for p in pieces_of(_WRAPPED[wrapping], 5)))[-1] == MENU


@pytest.mark.parametrize("text", [JSON, f"```json\n{JSON}\n```", f"I think so.\n\n{JSON}"])
def test_json_among_the_thoughts_is_taken_where_the_text_is_empty(asks: Asks, text: str) -> None:
    """Some servers put a whole constrained answer into reasoning_content."""
    assert asks(*({"content": "", "thinking": p} for p in pieces_of(text, 5)))[-1] == MENU


@pytest.mark.parametrize(
    "text", [JSON[:-3], f"Maybe {JSON} or so?", '{"name": "no menu"}', f"Draft: {JSON}"]
)
def test_a_draft_in_the_reasoning_is_not_the_answer(asks: Asks, text: str) -> None:
    """The advice is what helps: an answer that ended by itself needs no longer limit."""
    with pytest.raises(ValueError, match="only reasoned") as caught:
        asks({"content": "", "thinking": text})
    assert "num_predict" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::ollama_transport.OnlyThoughtsWarning")  # beside the error
def test_an_answer_of_thoughts_alone_names_the_limit(asks: Asks) -> None:
    """An answer that was cut among its thoughts needs a longer limit."""
    with pytest.raises(ValueError, match="num_predict"):
        asks({"content": "", "thinking": "Hm. "}, reason="length")


def test_a_part_of_a_cut_answer_is_not_the_answer(asks: Asks) -> None:
    """The first inner object is complete; it is not what was asked for."""
    text = '{"title": "a", "dishes": [{"name": "b", "tags": []}, {"na'
    with pytest.raises(ValueError, match="num_predict"):
        asks({"content": text}, reason="length")
    with pytest.raises(ValueError, match=r"JSON|Menu"):
        asks({"content": text.replace("name", "title")})


def test_a_refusal_is_an_error_of_its_own(asks: Asks, adapter: str) -> None:
    """The words are there; asking again would bring the same."""
    with pytest.raises(ValueError, match="refused to answer: I will not do that") as caught:
        asks(*({"content": "", "refusal": piece} for piece in ("I will not", " do that.")))
    kind = {"LangChain": LangChainRefusal, "LlamaIndex": LlamaIndexRefusal}[adapter]
    assert isinstance(caught.value, kind)
    assert caught.value.refusal == "I will not do that."


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_objects_grow_with_each_piece(asks: Asks, streams: bool, size: int) -> None:
    """No two in a row are the same, lists grow item by item, the last one is whole."""
    made = asks(*({"content": p} for p in pieces_of(JSON, size)))
    assert made[-1] == MENU
    lengths = [len(one.dishes or []) for one in made]
    assert lengths == sorted(lengths)
    if streams and size < 8:
        assert set(lengths) == {0, 1, 2}
        assert all(a != b for a, b in pairwise(made[:-1]))
