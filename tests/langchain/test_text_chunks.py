"""Chunks of plain text are copied from one: nobody can tell them from those that core makes."""

import pickle
from collections.abc import Iterator

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from langchain_ollama_ext import _text_chunks
from langchain_ollama_ext._stream import ChunkMaker
from langchain_ollama_ext._text_chunks import constructed, text_chunks
from ollama_transport import ChatLine, Message, TextRun

RUNS = [
    TextRun("m", ["1", "2", "3"], ["", "Hm", " so"], is_thinking=True),
    TextRun("m", ["4", "5", "6", "7"], ["", "Hi", "", " there"], is_thinking=False),
    TextRun("m", ["8", "9"], ["", ""], is_thinking=False),
]
TEXTS = ["", "a", " word", "\n", "ü€😀", '{"a": 1}', "\ud83d"]


@pytest.fixture
def fresh() -> Iterator[None]:
    """Have the way of making chunks decided anew, before and after."""
    text_chunks.cache_clear()
    yield
    text_chunks.cache_clear()


def test_chunks_are_copied_with_this_version_of_core() -> None:
    """Where this fails, core has changed: chunks are right, and slower."""
    assert text_chunks() is not constructed


@pytest.mark.parametrize("text", TEXTS)
def test_a_copy_is_what_core_makes(text: str) -> None:
    """Equal in itself, its dump, its pickle, its blocks and its sums with others."""
    made, right = text_chunks()(text), constructed(text)
    assert made == right
    assert type(made.text) is type(right.text)
    assert made.model_dump() == right.model_dump()
    assert made.message.model_fields_set == right.message.model_fields_set
    assert made.message.content_blocks == right.message.content_blocks
    assert pickle.loads(pickle.dumps(made)) == right
    assert made.message.model_copy(update={"id": "x"}) == right.message.model_copy(
        update={"id": "x"}
    )
    assert made + right == right + made == right + right
    assert isinstance(made.message, AIMessageChunk)


def test_copies_share_no_mutable_state() -> None:
    """What is done to one chunk is not seen in another."""
    first, second = text_chunks()("a"), text_chunks()("b")
    first.message.additional_kwargs["x"] = 1
    first.message.response_metadata["x"] = 1
    first.message.id = "x"
    assert isinstance(first.message, AIMessageChunk)
    first.message.tool_calls.append({"name": "f", "args": {}, "id": "1", "type": "tool_call"})
    assert second == constructed("b")
    assert text_chunks()("c") == constructed("c")


@pytest.mark.usefixtures("fresh")
def test_another_core_is_served_by_its_own_constructors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk with a field that follows from its text cannot be copied, and is not."""

    class Measured(AIMessageChunk):
        size: int = 0

        def model_post_init(self, context: object, /) -> None:
            super().model_post_init(context)
            self.size = len(str(self.content))

    monkeypatch.setattr(_text_chunks, "AIMessageChunk", Measured)
    assert text_chunks() is constructed
    message = text_chunks()("four").message
    assert isinstance(message, Measured)
    assert message.size == 4


def test_a_stream_of_copies_adds_up() -> None:
    """The sum of a stream is the answer, as with chunks that core made."""
    maker = ChunkMaker()
    lines = [ChatLine(Message("assistant", text)) for text in ("One", " two", " three")]
    lines.append(ChatLine(Message("assistant"), model="m", done=True, done_reason="stop"))
    chunks = [chunk for line in lines for chunk in maker.push(line)]
    whole: ChatGenerationChunk = sum(chunks[1:], start=chunks[0])
    assert whole.text == "One two three"
    assert whole.message.response_metadata["done_reason"] == "stop"
    assert isinstance(whole.message, AIMessageChunk)
    assert whole.message.chunk_position == "last"


@pytest.mark.parametrize("for_events", [False, True], ids=["plain", "for events"])
@pytest.mark.parametrize("runs", [RUNS, RUNS[::-1], RUNS[1:2]], ids=["thoughts", "text", "one"])
def test_the_chunks_of_a_run_are_those_of_its_lines(runs: list[TextRun], for_events: bool) -> None:
    """Lines that came together give the same chunks as lines that came one by one."""
    at_once, one_by_one = ChunkMaker(for_events=for_events), ChunkMaker(for_events=for_events)
    made = [chunk for run in runs for chunk in at_once.push(run)]
    lines = [line for run in runs for line in run.lines()]
    assert made == [chunk for line in lines for chunk in one_by_one.push(line)]
    assert "".join(str(chunk.message.content) for chunk in made) == "Hi there"
