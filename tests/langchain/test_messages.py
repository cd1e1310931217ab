"""What messages become on the wire, whoever wrote them (table b of the peer study)."""

import base64
from pathlib import Path
from typing import Any

import pytest
from chat_ways import body, model_on, whole
from core_ways import call
from langchain_core.load import dumpd
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from running import Run

from langchain_ollama_ext._messages import read_messages
from ollama_transport import UnsupportedContentError

_BYTES = b"\x89PNG\r\n\x1a\n" + bytes(9)
_DATA = base64.b64encode(_BYTES).decode()
_URI = f"data:image/png;base64,{_DATA}"
_CALL = {"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}


def _sent(*messages: BaseMessage) -> list[dict[str, Any]]:
    """Return the messages of the request that an invoke with these makes."""
    model, network = model_on(whole())
    model.invoke(list(messages))
    sent: list[dict[str, Any]] = body(network)["messages"]
    return sent


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (SystemMessage("s"), {"role": "system", "content": "s"}),
        (HumanMessage("h"), {"role": "user", "content": "h"}),
        (HumanMessage(""), {"role": "user", "content": ""}),
        (AIMessage("a"), {"role": "assistant", "content": "a"}),
        (AIMessageChunk("a"), {"role": "assistant", "content": "a"}),
        (ChatMessage("x", role="developer"), {"role": "system", "content": "x"}),
        (ChatMessage("x", role="model"), {"role": "assistant", "content": "x"}),
        (ChatMessage("x", role="control"), {"role": "control", "content": "x"}),
        (FunctionMessage("7", name="f"), {"role": "tool", "content": "7", "tool_name": "f"}),
        (HumanMessage("h", name="bob"), {"role": "user", "content": "h", "name": "bob"}),
    ],
)
def test_roles(message: BaseMessage, expected: dict[str, Any]) -> None:
    """Each kind of message has its role, and empty content is sent as such."""
    assert _sent(message) == [expected]


def test_remove_message_is_refused_with_what_to_do() -> None:
    """A RemoveMessage is an instruction to a graph, and says so."""
    with pytest.raises(UnsupportedContentError, match="leave it out"):
        _sent(HumanMessage("x"), RemoveMessage(id="1"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (["A", "B"], "A\nB"),
        ([{"type": "text", "text": "A"}, {"type": "text", "text": "B"}], "A\nB"),
        ([{"type": "text", "text": "A\n"}, "B"], "A\nB"),
        ([{"type": "input_text", "text": "A"}], "A"),
        ([{"text": "A"}], "A"),
        ([{"type": "text-plain", "text": "A", "mime_type": "text/plain"}], "A"),
        ([{"type": "document", "source": {"type": "text", "data": "A"}, "title": "T"}], "T\nA"),
        ([{"type": "json", "json": {"a": "é"}}], '{"a": "é"}'),
        ([{"type": "non_standard", "value": {"type": "text", "text": "A"}}], "A"),
        ([{"type": "text", "text": "A"}, {"cachePoint": {"type": "default"}}], "A"),
        (
            [{"type": "search_result", "title": "T", "content": [{"type": "text", "text": "A"}]}],
            "T\nA",
        ),
    ],
)
def test_text_parts_join_without_a_leading_line_end(content: Any, expected: str) -> None:
    """Text of every provider arrives, its parts on lines of their own (c27)."""
    assert _sent(HumanMessage(content)) == [{"role": "user", "content": expected}]


def test_text_of_an_answer_joins_as_it_was_written() -> None:
    """Blocks of an answer are pieces of one text."""
    blocks: Any = [{"type": "text", "text": "Hel"}, {"type": "output_text", "text": "lo"}]
    assert _sent(AIMessage(blocks))[0]["content"] == "Hello"


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "base64": _DATA, "mime_type": "image/png"},
        {"type": "image", "url": _URI},
        {"type": "image", "source_type": "base64", "data": _DATA, "mime_type": "image/png"},
        {"type": "image_url", "image_url": _URI},
        {"type": "image_url", "image_url": {"url": _URI, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": _DATA}},
        {"type": "input_image", "image_url": _URI},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": _DATA},
        },
        {"type": "media", "mime_type": "image/png", "data": _BYTES},
        {"type": "media", "mime_type": "image/png", "data": _DATA},
        {"inline_data": {"mime_type": "image/png", "data": _DATA}},
        {"image": {"format": "png", "source": {"bytes": _BYTES}}},
        {"type": "file", "mime_type": "image/png", "base64": _DATA},
    ],
)
def test_images_of_every_provider_are_sent_as_base64(block: dict[str, Any]) -> None:
    """An image is an image, however a provider writes it (c12)."""
    sent = _sent(HumanMessage([{"type": "text", "text": "what?"}, block]))
    assert sent == [{"role": "user", "content": "what?", "images": [_DATA]}]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "audio", "base64": _DATA, "mime_type": "audio/wav"},
        {"type": "input_audio", "input_audio": {"data": _DATA, "format": "wav"}},
        {"type": "media", "mime_type": "audio/mp3", "data": _DATA},
    ],
)
def test_audio_travels_with_the_images(block: dict[str, Any]) -> None:
    """Audio goes where the server looks for it (wire reference 3.9)."""
    assert _sent(HumanMessage([block]))[0]["images"] == [_DATA]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"type": "file", "base64": _DATA, "mime_type": "application/pdf"}, "document loader"),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;x"}},
            "document loader",
        ),
        ({"type": "document", "source": {"type": "base64", "data": _DATA}}, "document loader"),
        (
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": "data:application/pdf;base64,AA==",
            },
            "'a.pdf'",
        ),
        ({"type": "video", "base64": _DATA, "mime_type": "video/mp4"}, "frames"),
        ({"type": "image", "file_id": "file-1"}, "cannot be read"),
        ({"type": "image", "url": "https://example.org/a.png"}, "fetch_image_urls"),
        ({"type": "image_url", "image_url": {"url": "http://example.org/a.png"}}, "download it"),
        ({"type": "banana", "banana": 1}, "'banana'"),
        ({"type": "text", "text": {"value": "x"}}, "must be a str"),
        ({"type": "image", "url": "data:image/png"}, "has no data"),
    ],
)
def test_unsupported_content_is_refused_by_name(block: dict[str, Any], said: str) -> None:
    """Files, videos, foreign references and addresses are refused with what to do."""
    with pytest.raises(UnsupportedContentError, match=said):
        _sent(HumanMessage([block]))


@pytest.mark.parametrize("kind", ["image_url", "image"])
def test_no_text_is_ever_opened_as_a_file(tmp_path: Path, kind: str) -> None:
    """A path in a message stays a text: it is refused, and its file is not read (c12)."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(_BYTES)
    block = {"type": kind, "image_url" if kind == "image_url" else "url": str(secret)}
    with pytest.raises(UnsupportedContentError, match="never opened as a path"):
        _sent(HumanMessage([block]))


def test_tool_results_keep_their_identity() -> None:
    """A result carries the call's id and the tool's name, found in the history (c9)."""
    sent = _sent(
        HumanMessage("go"),
        AIMessage("", tool_calls=[_CALL, {**_CALL, "id": "c2", "name": "g"}]),
        ToolMessage("7", tool_call_id="c1"),
        ToolMessage("8", tool_call_id="c2", name="g", artifact={"not": "sent"}),
    )
    assert sent[1]["tool_calls"] == [
        {"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}},
        {"id": "c2", "function": {"name": "g", "arguments": {"a": 1}}},
    ]
    assert sent[2:] == [
        {"role": "tool", "content": "7", "tool_name": "f", "tool_call_id": "c1"},
        {"role": "tool", "content": "8", "tool_name": "g", "tool_call_id": "c2"},
    ]


@pytest.mark.parametrize(("text", "sent"), [("no net", "Error: no net"), ("Error 5", "Error 5")])
def test_a_failed_tool_is_marked_in_its_result(text: str, sent: str) -> None:
    """An error status is told in the text, since the wire has no field for it."""
    message = ToolMessage(text, tool_call_id="c1", status="error")
    assert _sent(message)[0]["content"] == sent


def test_a_tool_result_may_hold_an_image() -> None:
    """Images in tool results arrive with them."""
    picture = {"type": "image", "base64": _DATA, "mime_type": "image/png"}
    blocks: Any = [{"type": "text", "text": "t"}, picture]
    sent = _sent(ToolMessage(blocks, tool_call_id="c"))[0]
    assert (sent["content"], sent["images"]) == ("t", [_DATA])


def test_calls_that_were_no_json_come_back_as_text() -> None:
    """An invalid call is shown to the model, since the server takes only objects (c11)."""
    bad = {"name": "f", "args": '{"a": ', "id": "c", "error": "cut", "type": "invalid_tool_call"}
    sent = _sent(AIMessage("x", invalid_tool_calls=[bad]))[0]
    assert sent == {"role": "assistant", "content": 'x\nInvalid call of the tool f (cut): {"a": '}


def test_anthropic_history() -> None:
    """Thinking, tool use and a result inside a human message become messages of their own."""
    use = {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}
    thought = {"type": "thinking", "thinking": "hm", "signature": "x"}
    result = {
        "type": "tool_result",
        "tool_use_id": "c1",
        "content": [{"type": "text", "text": "7"}],
    }
    sent = _sent(
        AIMessage([thought, {"type": "text", "text": "so"}, use], tool_calls=[_CALL]),
        HumanMessage([result, {"type": "text", "text": "and?"}]),
    )
    assert sent == [
        {
            "role": "assistant",
            "content": "so",
            "thinking": "hm",
            "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}],
        },
        {"role": "tool", "content": "7", "tool_name": "f", "tool_call_id": "c1"},
        {"role": "user", "content": "and?"},
    ]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
        {"type": "tool_call", "id": "c1", "name": "f", "args": {"a": 1}},
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
    ],
)
def test_calls_that_only_blocks_hold_are_not_lost(block: dict[str, Any]) -> None:
    """A history whose calls stand in its content alone keeps them (c12)."""
    calls = _sent(AIMessage([block]))[0]["tool_calls"]
    assert calls == [{"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}]


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("x", additional_kwargs={"reasoning_content": "hm"}),
        AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "x"}]),
        AIMessage([{"type": "thinking", "thinking": "hm"}, "x"]),
        AIMessage(
            [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}, "x"]
        ),
        AIMessage("x", additional_kwargs={"reasoning": {"summary": [{"text": "hm"}]}}),
        AIMessage("x", additional_kwargs={"reasoning": {"text": "hm"}}),
        AIMessage([{"type": "reasoning_content", "reasoning_content": {"text": "hm"}}, "x"]),
        AIMessage(
            [{"type": "reasoning", "reasoning": "hm", "index": 0}, {"type": "text", "text": "x"}],
            response_metadata={"output_version": "v1"},
            additional_kwargs={"reasoning_content": "hm"},
        ),
    ],
)
def test_reasoning_travels_back_once(message: AIMessage) -> None:
    """What was thought, by whichever provider, is sent as thinking, and once (c8)."""
    assert _sent(message) == [{"role": "assistant", "content": "x", "thinking": "hm"}]


def test_a_provider_s_own_actions_become_text() -> None:
    """A web search of another provider is no call of ours; the model still learns of it."""
    block = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    assert "web_search" in _sent(AIMessage([block, {"type": "text", "text": "x"}]))[0]["content"]


def test_messages_are_not_changed() -> None:
    """Mapping a history leaves the caller's messages as they were."""
    history: list[BaseMessage] = [
        HumanMessage([{"type": "image", "base64": _DATA}, {"type": "text", "text": "x"}]),
        AIMessage([{"type": "tool_use", "id": "c", "name": "f", "input": {}}], name="bot"),
        ToolMessage("x", tool_call_id="c", status="error"),
    ]
    before = dumpd(history)
    read_messages(history)
    assert dumpd(history) == before


def test_no_messages_are_an_error(run: Run) -> None:
    """An empty conversation is refused, since the server would only load the model."""
    model, network = model_on(whole())
    with pytest.raises(ValueError, match="messages is empty"):
        call(run, model, "invoke", [])
    assert network.requests == []
