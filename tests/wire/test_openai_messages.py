"""How a history is written for an OpenAI-compatible server."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from recorded import Recording

from ollama_transport import (
    ChatRequest,
    Message,
    ToolCall,
    UnsupportedContentError,
)
from ollama_transport.wire.calls.body import encode_body
from ollama_transport.wire.openai import calls as openai

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
JPEG = b"\xff\xd8\xff\xe0" + bytes(12)
WEBP = b"RIFF\x24\x00\x00\x00WEBP" + bytes(8)
GIF = b"GIF89a" + bytes(10)
WAV = b"RIFF\x24\x00\x00\x00WAVE" + bytes(8)
MP3 = b"ID3\x04" + bytes(12)


def written(*messages: Message) -> list[Any]:
    """Return messages as the server reads them."""
    body = openai.chat(ChatRequest("m", messages)).whole_body()
    assert body is not None
    return list(json.loads(encode_body(body))["messages"])


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "critic"])
def test_roles_and_texts_go_as_they_are(role: str) -> None:
    """Content is always text, the empty one included: null is refused by servers."""
    assert written(Message(role, "")) == [{"role": role, "content": ""}]


@pytest.mark.parametrize(
    ("data", "mime"),
    [(PNG, "image/png"), (JPEG, "image/jpeg"), (WEBP, "image/webp"), (GIF, "image/gif")],
)
@pytest.mark.parametrize("how", ["bytes", "base64", "lines", "uri"])
def test_images_are_parts_with_a_data_uri(data: bytes, mime: str, how: str) -> None:
    """Text and images share a message; an image's type is seen in its first bytes."""
    text = base64.b64encode(data).decode()
    forms = {"bytes": data, "base64": text, "lines": text[:8] + "\n" + text[8:]}
    image = forms.get(how, f"data:image/x-wrong;base64,{text}")
    assert written(Message("user", "What is it?", images=[image, image]))[0]["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:{mime};base64,{text}"}},
        {"type": "image_url", "image_url": {"url": f"data:{mime};base64,{text}"}},
    ]


def test_an_image_alone_has_no_text_beside_it() -> None:
    """An empty text is no part."""
    assert [part["type"] for part in written(Message("user", images=[PNG]))[0]["content"]] == [
        "image_url"
    ]


@pytest.mark.parametrize(("data", "kind"), [(WAV, "wav"), (MP3, "mp3"), (b"\xff\xfb\x90", "mp3")])
def test_sounds_are_parts_with_their_format(data: bytes, kind: str) -> None:
    """Sound travels among the images, and leaves as sound."""
    [part] = written(Message("user", images=[data]))[0]["content"]
    encoded = base64.b64encode(data).decode()
    assert part == {"type": "input_audio", "input_audio": {"data": encoded, "format": kind}}


def test_an_unknown_type_needs_a_data_uri() -> None:
    """What is no known type is an error, unless the caller says what it is."""
    data = base64.b64encode(b"BM" + bytes(16)).decode()
    with pytest.raises(UnsupportedContentError, match="data URI that names its type"):
        written(Message("user", images=[data]))
    [part] = written(Message("user", images=[f"data:image/bmp;base64,{data}"]))[0]["content"]
    assert part["image_url"]["url"] == f"data:image/bmp;base64,{data}"


def test_a_history_with_tools_is_what_the_recorded_server_was_sent(
    recording: Callable[[str], Recording],
) -> None:
    """A call and its result go as in the exchange that a real server understood."""
    recorded = recording("openai/tool-result").body
    call = ToolCall("get_current_weather", {"city": "Paris", "unit": "celsius"}, id="call_1")
    history = (
        Message("user", "What is the weather in Paris?"),
        Message("assistant", tool_calls=(call,)),
        Message("tool", "22 degrees celsius", tool_call_id="call_1"),
    )
    assert written(*history) == recorded["messages"]


def test_calls_without_ids_get_some_that_their_results_name() -> None:
    """A history of an older Ollama has no ids, and these servers insist on them."""
    history = written(
        Message("assistant", tool_calls=(ToolCall("a"), ToolCall("b"), ToolCall("a", id="mine"))),
        Message("tool", "of b", tool_name="b"),
        Message("tool", "of mine", tool_call_id="mine"),
        Message("tool", "of a"),
        Message("assistant", tool_calls=(ToolCall("a"),)),
        Message("tool", "of a again", tool_name="a"),
    )
    first, second, third = (call["id"] for call in history[0]["tool_calls"])
    [later] = (call["id"] for call in history[4]["tool_calls"])
    assert third == "mine"
    assert len({first, second, third, later}) == 4
    answered = [m["tool_call_id"] for m in history if m["role"] == "tool"]
    assert answered == [second, "mine", first, later]


def test_arguments_that_are_not_json_go_back_unchanged() -> None:
    """Text that a model wrote in place of an object is kept in the history."""
    [message] = written(Message("assistant", tool_calls=(ToolCall("a", '{"x": ', id="1"),)))
    assert message["tool_calls"][0]["function"] == {"name": "a", "arguments": '{"x": '}


def test_reasoning_goes_back_under_both_names() -> None:
    """Ollama reads the one name and llama.cpp the other; extra keys of a message are kept."""
    [message] = written(Message("assistant", "4", thinking="2+2", extra={"prefix": True}))
    assert message == {
        "role": "assistant",
        "content": "4",
        "reasoning": "2+2",
        "reasoning_content": "2+2",
        "prefix": True,
    }
