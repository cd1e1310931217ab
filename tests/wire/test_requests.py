"""Requests that cannot work are refused when they are made, with what to write instead."""

from pathlib import Path
from typing import Any

import pytest

from ollama_transport import (
    ChatRequest,
    ConfigError,
    CreateRequest,
    EmbedRequest,
    GenerateRequest,
    Message,
    ToolCall,
    UnsupportedContentError,
)
from ollama_transport.wire.native import calls as native

USER = Message("user", "Hello")
TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"messages": "Hello"}, "give a list of Message"),
        ({"messages": USER}, "give a list of Message"),
        ({"messages": [{"role": "user", "content": "Hello"}]}, "give a list of Message"),
        ({"messages": (message for message in [USER])}, "give a list of Message"),
        ({"messages": None}, "give a list of Message"),
        ({"tools": TOOL}, "'type': 'function'"),
        ({"tools": [print]}, "'type': 'function'"),
        ({"tool_choice": "any"}, "NamedTool"),
        ({"tool_choice": "f", "tools": [TOOL]}, "NamedTool"),
        ({"tool_choice": TOOL, "tools": [TOOL]}, "NamedTool"),
        ({"options": [("seed", 1)]}, "give a dict"),
        ({"extra": "x"}, "give a dict"),
        ({"keep_alive": float("inf")}, "-1 for ever"),
        ({"keep_alive": float("nan")}, "seconds"),
        ({"top_logprobs": True}, "0 to 20"),
    ],
)
def test_a_chat_request_with_wrong_types_is_refused(fields: dict[str, Any], told: str) -> None:
    """A wrong type is an error of ours that says what to give, before anything is sent."""
    with pytest.raises(ConfigError, match=told):
        ChatRequest("m", **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"input": "a"},
        {"input": None},
        {"input": (text for text in ["a"])},
        {"input": ["a"], "dimensions": 0},
        {"input": ["a"], "dimensions": -1},
    ],
)
def test_an_embed_request_with_wrong_types_is_refused(fields: dict[str, Any]) -> None:
    """What the server would pass over, or answer with too many vectors, is an error."""
    with pytest.raises(ConfigError):
        EmbedRequest("m", **fields)


def test_none_means_no_options() -> None:
    """None counts as nothing given, as in the peers."""
    request = GenerateRequest("m", "Hi", options=None, extra=None)  # type: ignore[arg-type]  # on purpose
    assert native.generate(request).whole_body() == {"model": "m", "prompt": "Hi", "stream": False}


@pytest.mark.parametrize("model", ["", " ", 3, b"m"])
def test_a_model_has_a_name(model: Any) -> None:
    """What is no name is refused by every call that needs one."""
    for make in (native.show, native.pull, native.delete):
        with pytest.raises(ConfigError, match="names no model"):
            make(model)
    with pytest.raises(ConfigError, match="names no model"):
        native.chat(ChatRequest(model))


@pytest.mark.parametrize(
    "message",
    [
        Message("user", [{"type": "text", "text": "x"}]),  # type: ignore[arg-type]  # on purpose
        Message("user", "x", images=[Path("/etc/hostname")]),  # type: ignore[list-item]  # on purpose
        Message("user", "x", images=b"\x89PNG"),  # type: ignore[arg-type]  # on purpose
        Message("assistant", tool_calls=(ToolCall("f", [1]),)),  # type: ignore[arg-type]  # on purpose
    ],
)
def test_a_part_that_cannot_be_sent_is_named(message: Message) -> None:
    """Content that is no text, images that are no bytes and arguments that are no object."""
    with pytest.raises(UnsupportedContentError):
        native.chat(ChatRequest("m", [message]))


def test_every_field_of_a_new_model_is_sent() -> None:
    """What `/api/create` reads beyond the common fields goes as it is (wire reference 5.5)."""
    more: dict[str, Any] = {
        "requires": "0.14.0",
        "info": {"context_length": 8192},
        "remote_host": "https://ollama.com",
        "draft_files": {"d.gguf": "sha256:00"},
        "draft_quantize": "q8_0",
    }
    body = native.create(CreateRequest("m", "base", **more)).stream_body()
    assert body == {"model": "m", "from": "base", "stream": True, **more}
