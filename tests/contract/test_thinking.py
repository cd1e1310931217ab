"""Thoughts that a server leaves in the text: split from it, the same through both adapters."""

from typing import Any

import pytest
from both_chats import Chats
from running import Run
from wire_answers import WIRES, pieces_of, replied

from ollama_transport import ConfigError


@pytest.fixture(params=["LangChain", "LlamaIndex"])
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def streams(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def chats(run: Run, adapter: str, wire: str, streams: bool) -> Chats:
    return Chats(run, adapter, wire, streams=streams)


SPLIT = {
    "plain": ("<think>Hm. Yes.</think>Paris", "Paris", "Hm. Yes."),
    "white space": (
        "\n <think>\n\nHm.\n Yes.\n\n</think>\n\nPar\n\nis\n",
        "Par\n\nis\n",
        "Hm.\n Yes.",
    ),
    "no thoughts": ("<think>\n\n</think>\n\nParis", "Paris", ""),
    "thoughts that were cut": ("<think>Hm. Ye", "", "Hm. Ye"),
    "nearly a tag": (
        "<think>a </thin b <think c</think>d </think e",
        "d </think e",
        "a </thin b <think c",
    ),
    "thoughts twice": ("<think>a</think>b <think>c</think> d", "b d", "ac"),
    "a tag that is spoken of": (
        "<think>a</think>The tag `<think>` is",
        "The tag `<think>` is",
        "a",
    ),
    "a tag inside the text": ("The tag <think> and </think>.", "The tag <think> and </think>.", ""),
    "no tag": ("<th", "<th", ""),
    "another tag": ("<thinking>a</thinking>b", "b", "a"),
    "a tag of gpt-oss": (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b",
        "b",
        "a",
    ),
    "a tag twice": ("<think>\n<think>a</think>b", "b", "a"),
    "thoughts between words": (
        "<think>a</think>Paris<think>b</think> or Rome",
        "Paris or Rome",
        "ab",
    ),
    "a tag in brackets": ("[THINK]a[/THINK]b", "b", "a"),
}


@pytest.mark.parametrize("name", SPLIT)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_thoughts_between_tags_are_thoughts(chats: Chats, name: str, size: int) -> None:
    """Wherever the pieces are cut, also inside a tag."""
    said, text, thoughts = SPLIT[name]
    pieces = [{"content": piece} for piece in pieces_of(said, size)]
    found = chats.chat(*pieces, split_thinking="tags")
    assert (found.text, found.thinking) == (text, thoughts)


def test_asking_for_reasoning_splits_the_usual_tags(chats: Chats) -> None:
    """Whoever asks for thoughts wants them apart."""
    found = chats.chat({"content": "<think>a</th"}, {"content": "ink>b"}, reasoning=True)
    assert (found.text, found.thinking) == ("b", "a")


@pytest.mark.parametrize("asked", [{}, {"split_thinking": False, "reasoning": True}])
def test_the_text_is_unchanged_by_default(chats: Chats, asked: dict[str, Any]) -> None:
    """Without the option, and without reasoning, tags are text."""
    found = chats.chat({"content": "<think>a</think>"}, {"content": "b"}, **asked)
    assert (found.text, found.thinking) == ("<think>a</think>b", "")


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_tags_can_be_chosen(chats: Chats, size: int) -> None:
    """A pair of tags takes the place of the usual ones."""
    pieces = [{"content": piece} for piece in pieces_of("((a))<think>b</think>", size)]
    found = chats.chat(*pieces, split_thinking=("((", "))"))
    assert (found.text, found.thinking) == ("<think>b</think>", "a")


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_template_may_have_opened_the_thoughts(chats: Chats, size: int) -> None:
    """An empty first tag says so; the answer then begins with thoughts."""
    pieces = [{"content": piece} for piece in pieces_of("Hm.\n</think>\n\nParis", size)]
    found = chats.chat(*pieces, split_thinking=("", "</think>"))
    assert (found.text, found.thinking) == ("Paris", "Hm.")


def test_a_closing_tag_alone_at_the_beginning_is_dropped(chats: Chats) -> None:
    """The server has read the thoughts, and left their end; in a stream too."""
    messages = [
        {"content": "", "thinking": "Hm."},
        {"content": "</th"},
        {"content": "ink>\n\nParis"},
    ]
    found = chats.chat(*messages, split_thinking="tags")
    assert (found.text, found.thinking) == ("Paris", "Hm.")


def test_a_whole_answer_that_came_as_a_stream_is_split_too(run: Run, adapter: str) -> None:
    """Ollama's wire is asked for a stream, whichever answer the caller wants."""
    chats = Chats(run, adapter, "native", streams=False)
    pieces = [{"content": piece} for piece in ("Hm.</th", "ink>\n\nPa", "ris")]
    found = chats.played(replied("native", pieces, streams=True), split_thinking="tags")
    assert (found.text, found.thinking) == ("Paris", "Hm.")


def test_a_whole_answer_may_have_the_closing_tag_alone(chats: Chats) -> None:
    """The end of the thoughts is seen there; in a stream their text has gone out by then."""
    found = chats.chat({"content": "Hm.</think>\n\nParis"}, split_thinking="tags")
    expected = ("Hm.</think>\n\nParis", "") if chats.streams else ("Paris", "Hm.")
    assert (found.text, found.thinking) == expected


@pytest.mark.parametrize("size", [2, 1000])
def test_completions_are_split_too(chats: Chats, size: int) -> None:
    """Prompts without a chat get the same."""
    pieces = pieces_of("<think>Hm. </think>\nParis", size)
    assert chats.complete(*pieces, split_thinking="tags") == ("Paris", "Hm.")


def test_thoughts_of_the_server_and_of_the_text_are_one(chats: Chats) -> None:
    """A server that has a parser, and missed a tag."""
    messages = [{"content": "", "thinking": "a"}, {"content": "<think>b</think>c"}]
    found = chats.chat(*messages, split_thinking="tags")
    assert (found.text, found.thinking) == ("c", "ab")


@pytest.mark.parametrize("value", ["think", True, ("a",), ("a", ""), (1, 2)])
def test_invalid_tags_are_refused(chats: Chats, value: Any) -> None:
    """When the model is made, and per call."""
    with pytest.raises(ConfigError, match="split_thinking"):
        chats.chat({"content": "x"}, split_thinking=value)
    with pytest.raises(ConfigError, match="split_thinking"):
        chats.chat({"content": "x"}, call={"split_thinking": value})


def test_one_call_can_ask_for_it(chats: Chats) -> None:
    """As every option can."""
    found = chats.chat({"content": "<think>a</think>b"}, call={"split_thinking": "tags"})
    assert (found.text, found.thinking) == ("b", "a")
