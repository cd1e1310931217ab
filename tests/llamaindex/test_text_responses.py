"""Responses of plain text are copied from one: nobody can tell them from constructed ones."""

import pickle
from collections.abc import Iterator

import pytest
from llama_index.core.base.llms.types import TextBlock

from llamaindex_ollama_ext import _text_responses
from llamaindex_ollama_ext._stream import ChatAnswer
from llamaindex_ollama_ext._text_responses import constructed, text_responses
from ollama_transport import ChatLine, Message, TextRun, ToolCall

RUNS = [
    TextRun("m", ["4", "5", "6", "7"], ["", "Hi", "", " there"], is_thinking=False),
    TextRun("m", ["1", "2", "3"], ["", "Hm", " so"], is_thinking=True),
    TextRun("m", ["8", "9"], ["!", ""], is_thinking=False),
]
TEXTS = ["", "a", " word", "\n", "ü€😀", '{"a": 1}']


@pytest.fixture
def fresh() -> Iterator[None]:
    """Have the way of making responses decided anew, before and after."""
    text_responses.cache_clear()
    yield
    text_responses.cache_clear()


def test_responses_are_copied_with_this_version_of_llama_index() -> None:
    """Where this fails, LlamaIndex has changed: responses are right, and slower."""
    assert text_responses() is not constructed


@pytest.mark.parametrize("text", TEXTS)
def test_a_copy_is_what_llama_index_makes(text: str) -> None:
    """Equal in itself, its dump, its pickle and its text."""
    made, right = text_responses()(text, "d", {"a": 1}), constructed(text, "d", {"a": 1})
    assert made == right
    assert made.model_dump() == right.model_dump()
    assert str(made) == str(right)
    assert made.message.content == right.message.content
    assert made.message.model_fields_set == right.message.model_fields_set
    assert pickle.loads(pickle.dumps(made)) == right


def test_copies_share_no_mutable_state() -> None:
    """A response that somebody kept and changed is not seen in another."""
    first, second = text_responses()("a", "a", {}), text_responses()("b", "b", {})
    first.additional_kwargs["x"] = first.message.additional_kwargs["x"] = 1
    first.message.blocks.append(TextBlock(text="more"))
    assert second == constructed("b", "b", {})
    assert text_responses()("c", "c", {}) == constructed("c", "c", {})


@pytest.mark.usefixtures("fresh")
def test_another_llama_index_is_served_by_its_own_constructors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A block with a field that follows from its text cannot be copied, and is not."""

    class Measured(TextBlock):
        size: int = 0

        def model_post_init(self, context: object, /) -> None:
            self.size = len(self.text)

    monkeypatch.setattr(_text_responses, "TextBlock", Measured)
    assert text_responses() is constructed


def test_responses_keep_tool_calls_and_thinking() -> None:
    """Reasoning and calls that came before are in the responses of later text."""
    answer = ChatAnswer()
    answer.push(ChatLine(Message("assistant", thinking="Hm")))
    answer.push(ChatLine(Message("assistant", tool_calls=(ToolCall("f", {}, id="1", index=0),))))
    last = answer.push(ChatLine(Message("assistant", "So")))
    assert [block.block_type for block in last.message.blocks] == ["thinking", "text", "tool_call"]


@pytest.mark.parametrize("runs", [RUNS, RUNS[::-1], RUNS[:1]], ids=["text", "thoughts", "one"])
def test_the_responses_to_a_run_are_those_to_its_lines(runs: list[TextRun]) -> None:
    """Lines that came together give the same responses as lines that came one by one."""
    at_once, one_by_one = ChatAnswer(), ChatAnswer()
    made = [response for run in runs for response in at_once.each(run)]
    assert made == [one_by_one.push(line) for run in runs for line in run.lines()]
    assert len(made) == sum(len(run.texts) for run in runs)
