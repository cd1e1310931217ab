"""Content as parts, and reasoning under the names of other servers: text and reasoning apart."""

from typing import Any

import pytest
from both_chats import Chats


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


PARTS: dict[str, list[Any]] = {
    "mistral": [[{"type": "thinking", "thinking": [text("Hm")]}], [text("Hel")], [text("lo")]],
    "thinking": [[{"type": "thinking", "thinking": "Hm", "signature": "x"}, text("Hello")]],
    "reasoning": [[{"type": "reasoning", "text": "Hm"}], [text("Hello")]],
    "contents": [[{"type": "reasoning", "content": "Hm"}, {"type": "text", "content": "Hello"}]],
    "responses": [
        [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}],
        [{"type": "output_text", "text": "Hello", "annotations": []}],
    ],
    "values": [[{"type": "thinking", "thinking": "Hm"}, text({"value": "Hello"})]],  # type: ignore[arg-type] # as assistants answer
    "others beside": [
        [None, {"type": "redacted_thinking", "data": "x"}, {"type": "thinking", "thinking": "Hm"}],
        ["Hello", {"type": "reference", "reference_ids": [1]}, {}],
    ],
}
NAMES: dict[str, Any] = {
    "reasoning": "Hm",
    "reasoning_content": "Hm",
    "reasoning_text": "Hm",
    "thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": "x"}],
    "reasoning_details": [{"type": "reasoning.text", "text": "Hm"}],
}


@pytest.mark.parametrize("form", PARTS)
def test_parts_are_text_and_reasoning(chats: Chats, form: str) -> None:
    """In deltas as in a whole message."""
    found = chats.chat(*({"content": parts} for parts in PARTS[form]))
    assert (found.text, found.thinking) == ("Hello", "Hm")


@pytest.mark.parametrize("name", NAMES)
def test_reasoning_is_read_under_any_name(chats: Chats, name: str) -> None:
    """Those of gateways are read where the usual two are missing."""
    found = chats.chat({name: NAMES[name], "content": "Hello"})
    assert (found.text, found.thinking) == ("Hello", "Hm")


def test_reasoning_that_comes_twice_is_told_once(chats: Chats) -> None:
    """Gateways repeat it for older clients."""
    found = chats.chat({"reasoning": "Hm", "reasoning_content": "Hm", "content": "Hello"})
    assert (found.text, found.thinking) == ("Hello", "Hm")


@pytest.mark.parametrize(("value", "told"), [({"a": 1}, '{"a": 1}'), (42, "42")])
def test_json_that_a_gateway_parsed_is_text_again(chats: Chats, value: Any, told: str) -> None:
    """The model wrote text."""
    assert chats.chat({"content": value}).text == told


def test_a_refusal_among_the_parts_is_a_refusal(chats: Chats) -> None:
    """As beside them; Ollama's own wire has none."""
    found = chats.chat({"content": [{"type": "refusal", "refusal": "No."}]})
    assert found.refusal == ("No." if chats.wire == "openai" else "")
