"""What LangChain shows of an object while it is written: what is valid of it, and nothing else."""

import json
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    field_validator,
    model_validator,
)
from pydantic_core import from_json

from langchain_ollama_ext._growing import target_of
from ollama_transport.conversation import NotYetError, PartialReader


class Color(Enum):
    RED = "red"
    GREEN = "green"


class Dish(BaseModel):
    name: str
    vegan: bool
    tags: list[str]
    color: Color | None = None


class Menu(BaseModel):
    title: str
    dishes: list[Dish] = Field(validation_alias="items")
    best: Optional[Dish] = None  # noqa: UP045 # both spellings must work
    days: list[date] = []
    by_day: dict[str, Dish] = {}


class Tree(BaseModel):
    name: str = ""
    branches: "list[Tree]" = []


class Bounded(BaseModel):
    few: Annotated[list[str], Field(min_length=2)] = ["a", "b"]
    nested: list[list[Dish]] = []
    mixed: list[Dish | Literal["none"]] = []


class Ruled(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)

    dishes: list[Dish]
    names: list[str] = []

    @model_validator(mode="after")
    def _some(self) -> "Ruled":
        if not self.dishes:
            raise ValueError("none")
        return self

    @field_validator("names", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return [name.lower() for name in value]


class Named(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True)

    size: str = Field(alias="Size")
    first: str = Field("", validation_alias=AliasChoices("one", AliasPath("list", 0)))


class Dishes(RootModel[list[Dish]]):
    pass


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    dishes: list[Dish] = []


SOUP = {"name": "soup\n\u00e9", "vegan": True, "tags": ["warm", ""], "color": "red"}
PIE = {"name": "pie", "vegan": False, "tags": [], "extra": {"a": ["b"]}}
VALUES: dict[str, tuple[type[BaseModel], Any]] = {
    "menu": (
        Menu,
        {
            "title": "T",
            "items": [SOUP, PIE, SOUP],
            "best": SOUP,
            "days": ["2026-01-01", "2026-01-02"],
            "by_day": {"mon": PIE},
        },
    ),
    "tree": (Tree, {"name": "a", "branches": [{"branches": [{"name": "c"}]}, {}, {"name": "d"}]}),
    "bounded": (Bounded, {"few": ["x", "y", "z"], "nested": [[SOUP], []], "mixed": [SOUP, "none"]}),
    "ruled": (Ruled, {"names": [" Ab", "C"], "dishes": [PIE, SOUP]}),
    "named": (Named, {"more": "x", "Size": "l", "list": ["a", "b"]}),
    "root": (Dishes, [SOUP, PIE]),
    "no place for others": (Strict, {"name": "a", "dishes": [SOUP], "other": "b"}),
    "nothing": (Tree, {}),
}


def shown(reader: PartialReader) -> Any:
    try:
        return reader.snapshot()
    except NotYetError:
        return None


def expected(cls: type[BaseModel], text: str) -> Any:
    """Return what can be made of a text that breaks off, read from its beginning."""
    try:
        return cls.model_validate(from_json(text, allow_partial="trailing-strings"))
    except (ValueError, AttributeError, TypeError):
        return None


@pytest.mark.parametrize("name", VALUES)
def test_partial_objects_show_the_valid_fields_so_far(name: str) -> None:
    """After each letter it is the object that the text so far gives when it is read anew."""
    cls, value = VALUES[name]
    reader = PartialReader(target_of(cls))
    text = json.dumps(value)
    last = None
    for end in range(1, len(text) + 1):
        if reader.push(text[end - 1]) and (made := shown(reader)) is not None:
            last = made
            assert made == expected(cls, text[:end]), text[:end]
            assert made.model_fields_set == expected(cls, text[:end]).model_fields_set
    if name != "no place for others":
        assert last == expected(cls, text)


def test_earlier_partial_objects_do_not_change() -> None:
    """An object that was handed out does not change when the text goes on."""
    text = json.dumps(VALUES["menu"][1])
    reader = PartialReader(target_of(Menu))
    kept = [made for piece in text if reader.push(piece) and (made := shown(reader)) is not None]
    again = PartialReader(target_of(Menu))
    copies = [
        made.model_dump_json()
        for piece in text
        if again.push(piece) and (made := shown(again)) is not None
    ]
    assert [one.model_dump_json() for one in kept] == copies


def test_each_complete_object_is_validated_once() -> None:
    """A long list costs its length, not its square."""
    seen: list[str] = []

    class Counted(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def _count(cls, value: str) -> str:
            seen.append(value)
            return value

    class Many(BaseModel):
        items: list[Counted]

    reader = PartialReader(target_of(Many))
    for piece in json.dumps({"items": [{"name": f"n{i}"} for i in range(200)]}):
        if reader.push(piece):
            shown(reader)
    # Once complete, and once for each letter that it was shown with.
    assert len(seen) < 200 * 8


def test_an_object_that_does_not_fit_ends_the_show() -> None:
    """What comes after it cannot make the whole valid; the end says what is wrong."""
    reader = PartialReader(target_of(Strict))
    text = '{"name": "a", "dishes": [{"name": 1}, '
    assert reader.push('{"name": "a"')
    assert shown(reader) == Strict(name="a")
    reader.push(text[len('{"name": "a"') :])
    assert not reader.push('{"name": "b", "vegan": true, "tags": []}]}')
