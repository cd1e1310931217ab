"""Objects that grow while they are streamed: what is shown when, whatever the pieces."""

import json
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from llama_index.core.program.utils import FlexibleModel
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, RootModel

from llamaindex_ollama_ext._partial import ObjectReader
from ollama_transport.conversation import find_json


class Dish(BaseModel):
    name: str
    price: float
    tags: list[str] = []


class Menu(BaseModel):
    title: str
    dishes: list[Dish] = Field(validation_alias="items")
    best: Dish | None = None
    by_day: dict[str, Dish] = {}
    pairs: tuple[Dish, ...] = ()
    note: Annotated[str | None, Field(validation_alias=AliasChoices("note", "remark"))] = None


class Tree(BaseModel):
    name: str
    branches: "list[Tree]" = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Zoo(BaseModel):
    animals: list[Cat | Dog]
    opened: date | None = None


class Odd(BaseModel):
    pair: tuple[int, Dish] = (0, Dish(name="x", price=0))
    anything: Any = None
    boxes: "list[Dishes]" = []
    weights: dict[str, float] = {}


class Dishes(RootModel[list[Dish]]):
    pass


MENU = {
    "title": 'Say "é"\\ 😀\n\t/',
    "items": [{"name": f"n{i}", "price": i * 1.5, "tags": ["a", ""]} for i in range(6)],
    "best": {"name": "x", "price": -2e-3},
    "by_day": {"mon": {"name": "y", "price": 1}},
    "pairs": [{"name": "p", "price": 0}],
    "remark": None,
}
TREE = {"name": "a", "branches": [{"name": "b", "branches": [{"name": "c"}]}, {"name": "d"}]}
ZOO = {
    "animals": [{"kind": "cat", "lives": 9}, {"kind": "dog", "tricks": ["sit"]}],
    "opened": "2024-02-29",
}
ODD = {
    "pair": [1, {"name": "a", "price": 1}],
    "anything": {"a": [{"b": [{}]}]},
    "boxes": [[{"name": "a", "price": 1}]],
    "weights": {"a": 1.5e3, "b": -0.0},
}
DISHES = [{"name": "a", "price": 1}, {"name": "b", "price": 2}]


def snapshots(model: type[BaseModel], text: str, size: int) -> list[Any]:
    """Return what is shown after each piece that changes something."""
    reader = ObjectReader(model)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return [reader.snapshot() for piece in pieces if reader.push(piece)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 10_000])
@pytest.mark.parametrize(
    ("model", "value"),
    [(Menu, MENU), (Tree, TREE), (Zoo, ZOO), (Dishes, DISHES), (Odd, ODD)],
    ids=["menu", "tree", "zoo", "list", "odd"],
)
@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "plain"])
def test_the_end_is_the_whole_object(
    model: type[BaseModel], value: Any, size: int, ascii_only: bool
) -> None:
    """However the text is cut, also inside an escape, the last object is the whole one."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=2)
    assert snapshots(model, text, size)[-1] == model.model_validate(value)


@pytest.mark.parametrize("size", [1, 4, 7])
def test_lists_grow_item_by_item(size: int) -> None:
    """D8: each item is there as soon as something of it is, and none ever goes away."""
    lengths = [len(shown.dishes or []) for shown in snapshots(Menu, json.dumps(MENU), size)]
    assert lengths == sorted(lengths)
    assert set(lengths) == set(range(7))


def test_complete_objects_have_their_own_class() -> None:
    """Complete items are validated ones; the one being written shows what is there of it."""
    text = '{"title": "T", "items": [{"name": "a", "price": 1}, {"name": "b"'
    shown = snapshots(Menu, text, len(text))[-1]
    assert isinstance(shown, FlexibleModel)
    first, second = shown.dishes
    assert first == Dish(name="a", price=1)
    assert (second.name, second.price) == ("b", None)
    assert isinstance(second, FlexibleModel)


def test_missing_fields_are_none_in_partial_objects() -> None:
    """Every field can be read from the beginning, by its own name."""
    shown = snapshots(Menu, '{"title": "T', 20)[-1]
    assert (shown.title, shown.dishes, shown.best, shown.note) == ("T", None, None, None)


def test_texts_grow_letter_by_letter() -> None:
    """A long text is shown while it is written, as the peer shows it."""
    titles = [shown.title for shown in snapshots(Menu, '{"title": "abc"', 1)]
    assert titles == ["", "a", "ab", "abc"]


def test_numbers_and_words_come_whole() -> None:
    """12 is never shown as 1."""
    prices = [d.price for s in snapshots(Dishes, '[{"price": 125, "name":', 1) for d in s.root]
    assert set(prices) == {125}


def test_earlier_objects_stay_as_they_were() -> None:
    """An object that was handed out does not change when the text goes on."""
    text = json.dumps(MENU)
    shown = snapshots(Menu, text, 3)
    kept = [object_.model_dump_json() for object_ in shown]
    again = snapshots(Menu, text, 3)
    assert [object_.model_dump_json() for object_ in again] == kept
    assert len(shown[10].dishes or []) < 6


@pytest.mark.parametrize(
    "before",
    [
        "",
        "  \n",
        "```json\n",
        "Here you are: ",
        "<think>{not this}</think>\n",
        "\n<think>a</think>```",
    ],
)
def test_text_before_the_object_is_skipped(before: str) -> None:
    """A fence, words or thinking in front do not keep objects from being shown."""
    shown = snapshots(Tree, before + json.dumps(TREE) + "\n```", 2)
    assert len(shown) > 5
    assert shown[-1] == Tree.model_validate(TREE)


def test_thinking_is_never_shown() -> None:
    """While the model thinks aloud nothing is shown, braces or not."""
    assert snapshots(Tree, '<think>{"name": "x"}', 3) == []


@pytest.mark.parametrize(
    "text",
    [
        '{"name" oops}',
        '{"name": "a"]',
        "{'name': 1}",
        '{"name": nope, ',
        '{"name": "\\x"}',
        '{"name": "\\ud8zz"}',
        '{1: "a", 2: "b"}',
        "{[}",
        "{}}}{{",
        '{"branches": [1: 2]}',
        '{"name": ?}',
        '{"a" {"b": 1}}',
        '{"a":: 1, "b" 2}',
    ],
)
def test_invalid_json_does_not_crash(text: str) -> None:
    """Broken text shows nothing more; who reads the whole of it tells what is wrong."""
    for size in (1, 100):
        for shown in snapshots(Tree, text, size):
            assert isinstance(shown, FlexibleModel)


class Named(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    size: int = Field(alias="Size")
    parts: list[Dish] = Field(alias="Parts")


@pytest.mark.parametrize("key", ["parts", "Parts"])
def test_a_field_is_known_by_alias_and_by_name(key: str) -> None:
    """Whichever of the two the model writes, it is read under the field's name."""
    shown = snapshots(Named, f'{{"{key}": [{{"name": "a", "price": 1}}, ', 100)[-1]
    assert shown.parts == [Dish(name="a", price=1)]
    assert shown.size is None


def test_values_that_do_not_fit_are_shown_unchanged() -> None:
    """An item that breaks its class's rules is shown; the end decides."""
    shown = snapshots(Menu, '{"items": [{"name": 5, "more": [1]}]', 100)[-1]
    assert (shown.dishes[0].name, shown.dishes[0].more) == (5, [1])


def test_unknown_keys_are_kept() -> None:
    """A key that the class does not have can be read as well."""
    assert snapshots(Tree, '{"name": "a", "extra": {"b": [1, 2.5, true]}, ', 100)[-1].extra == {
        "b": [1, 2.5, True]
    }


def test_a_deep_answer_is_read() -> None:
    """A thousand levels are no recursion of ours."""
    text = '{"name": "a", "branches": [' * 1000
    assert ObjectReader(Tree).push(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("  ", []),
        ("{}", ["{}"]),
        ("```\n{}\n```", ["{}"]),
        ("a </think> {}", ["{}"]),
        ('[1] and {"a": 2}', ["[1]"]),
        ("no json", []),
    ],
)
def test_candidates_of_a_whole_answer(text: str, found: list[str]) -> None:
    """What may be the JSON in an answer is found, the likeliest first."""
    assert [one.text for one in find_json(text)][: len(found)] == found
    assert bool(list(find_json(text))) == bool(found)
