"""Streams of structured answers: each chunk is an object that has grown."""

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel

from benchmarks.cases import Case, Goal, Row, Scale, Variant
from benchmarks.makers import case_of, langchain_asked, langchain_pair, llama_index_pair
from benchmarks.replies import menu_pieces


class Dish(BaseModel):
    """A dish of a menu."""

    name: str
    price: float
    vegan: bool
    tags: list[str]


class Menu(BaseModel):
    """What a restaurant has."""

    restaurant: str
    dishes: list[Dish]


def streams(scale: Scale) -> Sequence[Variant]:
    """Stream a menu as objects."""
    dishes = _dishes(scale)
    li, li_peer = llama_index_pair(scale.url, f"menu-{dishes}")
    lc, lc_peer = langchain_pair(scale.url, f"menu-{dishes}")
    return [
        Variant(
            "LlamaIndex", _llama_index(dishes, li), case_of(li_peer, partial(_llama_index, dishes))
        ),
        Variant("LangChain", _langchain(dishes, lc), case_of(lc_peer, partial(_langchain, dishes))),
    ]


def longer_streams(scale: Scale) -> Sequence[Variant]:
    """Stream a menu four times as long: a chunk should not cost more for that."""
    few, many = _dishes(scale), _dishes(scale) * 4
    li, li_few = (llama_index_pair(scale.url, f"menu-{one}")[0] for one in (many, few))
    lc, lc_few = (langchain_pair(scale.url, f"menu-{one}")[0] for one in (many, few))
    return [
        Variant("LlamaIndex", _llama_index(many, li), None, {"short": _llama_index(few, li_few)}),
        Variant("LangChain", _langchain(many, lc), None, {"short": _langchain(few, lc_few)}),
    ]


def _dishes(scale: Scale) -> int:
    return max(2, scale.few * 6 // 10)


def _llama_index(dishes: int, llm: Any) -> Case:
    from llama_index.core.prompts import PromptTemplate

    prompt = PromptTemplate("Make a menu.")
    chunks = len(menu_pieces(dishes))
    return Case(lambda: _last(llm.stream_structured_predict(Menu, prompt)), chunks)


def _langchain(dishes: int, model: Any) -> Case:
    structured = model.with_structured_output(Menu, method="json_schema")
    chunks = len(menu_pieces(dishes))
    return Case(lambda: _last(structured.stream(langchain_asked())), chunks)


def _last(objects: Any) -> list[Any]:
    """Return what menus of all lengths have in common."""
    (last,) = deque(objects, maxlen=1)
    return [last.restaurant, last.dishes[:2]]


ROWS = (
    Row("structured", "structured streams, LlamaIndex/LangChain", "chunk",
        Goal((25e-6,), "seconds", "≤ 25 µs"), streams),
    Row("structured-long", "structured streams four times as long, LlamaIndex/LangChain", "chunk",
        Goal((1.1,), "short", "≤ 1.1 x short"), longer_streams),
)  # fmt: skip
