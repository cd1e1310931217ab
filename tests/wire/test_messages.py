"""Messages of native answers: whatever stands in them is kept, in whatever company."""

from typing import Any

import pytest

from ollama_transport.wire.values.messages import Message, read_message

CALL = {"function": {"name": "f", "arguments": {}}}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"role": "assistant", "content": "x"}, Message("assistant", "x")),
        ({"role": "tool", "content": "x"}, Message("tool", "x")),
        ({"role": "", "content": "x"}, Message("assistant", "x")),
        ({"role": None, "content": None}, Message("assistant")),
        ({"content": "x"}, Message("assistant", "x")),
        ({"content": "x", "thinking": "y"}, Message("assistant", "x", thinking="y")),
        ({"role": "assistant", "thinking": "y"}, Message("assistant", thinking="y")),
        ({"content": "x", "mood": "good"}, Message("assistant", "x", extra={"mood": "good"})),
        (
            {"role": "assistant", "content": "x", "thinking": "y"},
            Message("assistant", "x", thinking="y"),
        ),
        ({}, Message("assistant")),
        (None, Message("assistant")),
    ],
)
def test_every_part_of_a_message_is_read(raw: Any, message: Message) -> None:
    """Two parts or seven, known or not: none is lost."""
    assert read_message(raw) == message


def test_calls_beside_a_text_are_read() -> None:
    """A message of two parts may be a text and a call."""
    (call,) = read_message({"content": "x", "tool_calls": [CALL]}).tool_calls
    assert call.name == "f"
