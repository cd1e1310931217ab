"""Streams of structured answers: each chunk is an object that has grown."""

from collections import deque
from collections.abc import Sequence
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
    dishes = max(2, scale.few * 6 // 10)
    chunks = len(menu_pieces(dishes))

    def llama_index(llm: Any) -> Case:
        from llama_index.core.prompts import PromptTemplate

        prompt = PromptTemplate("Make a menu.")
        return Case(lambda: _last(llm.stream_structured_predict(Menu, prompt)), chunks)

    def langchain(model: Any) -> Case:
        structured = model.with_structured_output(Menu, method="json_schema")
        return Case(lambda: _last(structured.stream(langchain_asked())), chunks)

    li, li_peer = llama_index_pair(scale.url, f"menu-{dishes}")
    lc, lc_peer = langchain_pair(scale.url, f"menu-{dishes}")
    return [
        Variant("LlamaIndex", llama_index(li), case_of(li_peer, llama_index)),
        Variant("LangChain", langchain(lc), case_of(lc_peer, langchain)),
    ]


def _last(objects: Any) -> dict[str, Any]:
    (last,) = deque(objects, maxlen=1)
    return dict(last.model_dump())


ROWS = (
    Row("structured", "structured streams, LlamaIndex/LangChain", "chunk",
        Goal((25e-6,), "seconds", "≤ 25 µs"), streams),
)  # fmt: skip
