"""Thoughts whose opening tag the template wrote into the prompt: only their end comes."""

from typing import Any

import pytest
from both_chats import Chats
from running import Run
from wire_answers import pieces_of

EVERY: dict[str, Any] = {"reasoning": True, "model": "Qwen/Qwen3-4B-Thinking-2507"}


@pytest.fixture(params=["LangChain", "LlamaIndex"])
def chats(request: pytest.FixtureRequest, run: Run) -> Chats:
    return Chats(run, request.param, "openai", streams=True)


@pytest.mark.parametrize("model", ["qwq:32b", "DeepSeek-R1-Distill-Qwen-32B", "kimi-k2-thinking"])
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_the_end_alone_splits_the_stream_of_a_model_that_thinks(
    chats: Chats, model: str, size: int
) -> None:
    """The models' names are known for it."""
    pieces = [{"content": piece} for piece in pieces_of("I muse.\n</think>\n\nYes.", size)]
    found = chats.chat(*pieces, **{**EVERY, "model": model})
    assert (found.thinking, found.text) == ("I muse.", "Yes.")


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_tag_that_the_model_wrote_itself_is_no_thought(chats: Chats, size: int) -> None:
    """Some templates leave it to the model."""
    pieces = [{"content": piece} for piece in pieces_of("<think>I muse.</think>Yes.", size)]
    found = chats.chat(*pieces, **EVERY)
    assert (found.thinking, found.text) == ("I muse.", "Yes.")


def test_thoughts_of_a_server_that_separates_them_stay_apart(chats: Chats) -> None:
    """The text behind them is text at once."""
    found = chats.chat({"thinking": "I muse."}, {"content": "Ye"}, {"content": "s."}, **EVERY)
    assert (found.thinking, found.text) == ("I muse.", "Yes.")


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_no_text_is_lost_when_the_end_never_comes(chats: Chats, size: int) -> None:
    """An answer without thoughts is the text."""
    pieces = [{"content": piece} for piece in pieces_of("Yes, all of it.", size)]
    assert chats.chat(*pieces, **EVERY).text == "Yes, all of it."


def test_thoughts_that_were_cut_are_no_text(chats: Chats) -> None:
    """Their tag came, and their end did not."""
    found = chats.chat({"content": "<think>I"}, {"content": " muse"}, reason="length", **EVERY)
    assert (found.thinking, found.text) == ("I muse", "")


def test_another_model_s_text_is_text_at_once(chats: Chats) -> None:
    """Nothing is held back for it."""
    found = chats.chat({"content": "Yes"}, {"content": "."}, **{**EVERY, "model": "qwen3:8b"})
    assert (found.thinking, found.text) == ("", "Yes.")


def test_ollama_separates_thoughts_itself(run: Run) -> None:
    """Its text is text at once, whatever the model is called."""
    chats = Chats(run, "LangChain", "native", streams=True)
    found = chats.chat({"content": "Ye"}, {"content": "s."}, **EVERY)
    assert (found.thinking, found.text) == ("", "Yes.")
