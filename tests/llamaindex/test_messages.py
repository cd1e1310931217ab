"""Messages of LlamaIndex, from any integration's history, as they are sent; D5, D9, D14."""

import base64
import copy
import json
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.schema import ImageDocument
from versions import needs

from llamaindex_ollama_ext._blocks import media_blocks
from llamaindex_ollama_ext._media import load_media
from llamaindex_ollama_ext._messages import to_messages
from ollama_transport import Message, UnsupportedContentError
from ollama_transport.conversation import FetchLimits
from ollama_transport.wire.native.messages import write_message

PNG = b"\x89PNG\r\n\x1a\n and so on"
PNG_64 = base64.b64encode(PNG).decode()
WAV = b"RIFF\x00\x00\x00\x00WAVEfmt "

LIMITS = FetchLimits(max_bytes=1_000_000, timeout_s=5)


def sent(*messages: ChatMessage) -> list[Message]:
    return to_messages(messages, load_media(media_blocks(messages), LIMITS))


def on_the_wire(*messages: ChatMessage) -> list[dict[str, Any]]:
    """Return messages as JSON would have them, images decoded."""
    wire = [write_message(message) for message in sent(*messages)]
    for message in wire:
        if "images" in message:
            message["images"] = [
                base64.b64decode(b"".join(image.pieces())) for image in message["images"]
            ]
    return wire


@pytest.mark.parametrize(
    ("role", "wire"),
    [
        (MessageRole.SYSTEM, "system"),
        (MessageRole.DEVELOPER, "system"),
        (MessageRole.USER, "user"),
        (MessageRole.ASSISTANT, "assistant"),
        (MessageRole.CHATBOT, "assistant"),
        (MessageRole.MODEL, "assistant"),
        (MessageRole.TOOL, "tool"),
        (MessageRole.FUNCTION, "tool"),
    ],
)
def test_roles(role: MessageRole, wire: str) -> None:
    """D14: every role of LlamaIndex becomes one that model templates know."""
    assert on_the_wire(ChatMessage("x", role=role)) == [{"role": wire, "content": "x"}]


def test_every_role_is_mapped() -> None:
    """A role that LlamaIndex adds shows here, not at a user's."""
    assert len(sent(*(ChatMessage("x", role=role) for role in MessageRole))) == len(MessageRole)


@pytest.mark.parametrize(
    ("blocks", "wire"),
    [
        ([], {"content": ""}),
        ([TextBlock(text="a"), TextBlock(text="b")], {"content": "a\nb"}),
        ([TextBlock(text="")], {"content": ""}),
        (
            [ThinkingBlock(content="x"), ThinkingBlock(content="y"), TextBlock(text="z")],
            {"thinking": "x\ny", "content": "z"},
        ),
        ([ThinkingBlock(), TextBlock(text="z")], {"content": "z"}),
        ([ImageBlock(image=PNG)], {"content": "", "images": [PNG]}),
        ([ImageBlock(image=PNG_64.encode())], {"content": "", "images": [PNG]}),
        (
            [ImageBlock(url=f"data:image/png;base64,{PNG_64}")],
            {"content": "", "images": [PNG]},
        ),
        (
            [TextBlock(text="see"), ImageBlock(image=PNG), AudioBlock(audio=WAV)],
            {"content": "see", "images": [PNG, WAV]},
        ),
        (
            [CitableBlock(title="T", source="S", content="cited")],
            {"content": "T (S):\ncited"},
        ),
        (
            [
                CitableBlock(
                    title="T", source="S", content=[TextBlock(text="a"), ImageBlock(image=PNG)]
                )
            ],
            {"content": "T (S):\na", "images": [PNG]},
        ),
        (
            [
                TextBlock(text="as they say"),
                CitationBlock(
                    cited_content="cited", source="S", title="T", additional_location_info={}
                ),
            ],
            {"content": "as they say\nFrom T (S):\ncited"},
        ),
    ],
)
def test_blocks(blocks: list[Any], wire: dict[str, Any]) -> None:
    """D14: text, reasoning, images, sounds and citations all arrive, the texts apart."""
    assert on_the_wire(ChatMessage(role="user", blocks=blocks)) == [{"role": "user", **wire}]


def test_an_image_from_a_path(tmp_path: Path) -> None:
    """D14: a path of the caller's is read."""
    file = tmp_path / "image.png"
    file.write_bytes(PNG)
    assert on_the_wire(ChatMessage(blocks=[ImageBlock(path=file)]))[0]["images"] == [PNG]


@needs("llama-index-core", "0.14.8", "an ImageBlock takes no stream")
@pytest.mark.parametrize("place", [0, 3])
def test_an_image_stream_can_be_sent_twice(place: int) -> None:
    """D14: a stream is read from its beginning and left where it stood."""
    stream = BytesIO(PNG)
    stream.seek(place)
    message = ChatMessage(blocks=[ImageBlock(image=stream)])
    assert [on_the_wire(message)[0]["images"] for _ in range(2)] == [[PNG], [PNG]]
    assert stream.tell() == place


def test_image_documents_of_older_histories() -> None:
    """additional_kwargs["images"] still arrives."""
    message = ChatMessage("x", additional_kwargs={"images": [ImageDocument(image=PNG_64)]})
    assert on_the_wire(message)[0]["images"] == [PNG]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (DocumentBlock(data=b"%PDF", title="report.pdf"), r"DocumentBlock 'report.pdf'.*TextBlock"),
        (VideoBlock(video=b"x"), r"VideoBlock.*frames"),
        (
            CitableBlock(title="T", source="S", content=[DocumentBlock(data=b"%PDF")]),
            "DocumentBlock",
        ),
        (ImageBlock(url="file:///etc/passwd"), "as `path`"),
        (ImageBlock(url="ftp://x/y.png"), "http"),
        (ImageBlock(), "without data"),
    ],
)
def test_unsupported_content_is_named(block: Any, words: str) -> None:
    """D14: a block that Ollama has nothing for is an error that says what to do."""
    with pytest.raises(UnsupportedContentError, match=words):
        sent(ChatMessage(role="user", blocks=[block]))


def test_a_cache_point_is_named() -> None:
    """D14: a cache point changes nothing at Ollama, and a warning says so."""
    point = CachePoint(cache_control=CacheControl(type="ephemeral"))
    with pytest.warns(UserWarning, match="CachePoint"):
        (message,) = on_the_wire(ChatMessage(blocks=[TextBlock(text="x"), point]))
    assert message == {"role": "user", "content": "x"}


def test_no_text_is_opened_as_a_file(tmp_path: Path) -> None:
    """Whatever a message says, no file is read because of it."""
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    block = ImageBlock.model_construct(image=str(secret).encode())
    with pytest.raises(UnsupportedContentError, match="never opened as a path"):
        on_the_wire(ChatMessage.model_construct(role=MessageRole.USER, blocks=[block]))


@pytest.mark.parametrize(
    ("kwargs", "arguments"),
    [
        ({"city": "Paris"}, {"city": "Paris"}),
        ('{"city": "Paris"}', {"city": "Paris"}),
        ("", {}),
        ({}, {}),
    ],
)
def test_arguments_of_calls_are_objects(kwargs: Any, arguments: dict[str, Any]) -> None:
    """D14: calls of other integrations have JSON text there, which the server would refuse."""
    block = ToolCallBlock(tool_name="f", tool_kwargs=kwargs, tool_call_id="1")
    (message,) = on_the_wire(ChatMessage(role="assistant", blocks=[block]))
    assert message["tool_calls"] == [{"id": "1", "function": {"name": "f", "arguments": arguments}}]


def test_unreadable_arguments_go_out_as_text_with_the_reason() -> None:
    """D14: broken arguments of an old call are shown to the model instead of being refused."""
    block = ToolCallBlock(tool_name="f", tool_kwargs='{"city": "Par')
    (message,) = on_the_wire(ChatMessage(role="assistant", blocks=[block]))
    assert "tool_calls" not in message
    assert "Invalid call of the tool f" in message["content"]


OPENAI_CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CALL_BLOCK = ToolCallBlock(tool_name="f", tool_kwargs={"a": 1}, tool_call_id="1")


@pytest.mark.parametrize(
    ("blocks", "legacy", "names"),
    [
        ([], [OPENAI_CALL], ["f"]),
        ([CALL_BLOCK], [OPENAI_CALL], ["f"]),
        ([CALL_BLOCK], [{**OPENAI_CALL, "id": None}], ["f"]),
        ([CALL_BLOCK], [{"function": {"name": "g", "arguments": {}}}], ["f", "g"]),
        ([CALL_BLOCK], [{**OPENAI_CALL, "id": "2"}, OPENAI_CALL], ["f", "f"]),
        (
            [],
            [SimpleNamespace(id="1", function=SimpleNamespace(name="f", arguments="{}"))],
            ["f"],
        ),
        ([CALL_BLOCK], None, ["f"]),
    ],
)
def test_calls_of_older_histories(blocks: Any, legacy: Any, names: list[str]) -> None:
    """D14: calls under additional_kwargs count once, in whatever shape they stand there."""
    message = ChatMessage(role="assistant", blocks=blocks, additional_kwargs={"tool_calls": legacy})
    (wire,) = on_the_wire(message)
    assert [call["function"]["name"] for call in wire["tool_calls"]] == names


def test_an_invalid_call_is_named() -> None:
    """D14: an unknown shape under additional_kwargs is an error, not a broken request."""
    with pytest.raises(UnsupportedContentError, match="not a tool call"):
        sent(ChatMessage("x", role="assistant", additional_kwargs={"tool_calls": ["f"]}))


def call(name: str, identity: str | None) -> ToolCallBlock:
    return ToolCallBlock(tool_name=name, tool_call_id=identity)


def result(text: str, **kwargs: str) -> ChatMessage:
    return ChatMessage(text, role="tool", additional_kwargs=kwargs)


@pytest.mark.parametrize(
    ("calls", "results", "labelled"),
    [
        pytest.param(
            [call("fast", "1"), call("slow", "2"), call("fast", "3")],
            [
                result("c", tool_call_id="3"),
                result("a", tool_call_id="1"),
                result("b", tool_call_id="2"),
            ],
            [("a", "fast", "1"), ("b", "slow", "2"), ("c", "fast", "3")],
            id="agents add them as they come",
        ),
        pytest.param(
            [call("f", None), call("g", None)],
            [result("b", tool_call_id="g"), result("a", tool_call_id="f")],
            [("a", "f", "f"), ("b", "g", "g")],
            id="the peer links by the tool's name",
        ),
        pytest.param(
            [call("f", None), call("g", None), call("f", None)],
            [
                result("a", tool_call_id="f"),
                result("c", tool_call_id="f"),
                result("b", tool_call_id="g"),
            ],
            [("a", "f", "f"), ("b", "g", "g"), ("c", "f", "f")],
            id="the peer's results of one tool called twice",
        ),
        pytest.param(
            [call("f", "1"), call("g", "2")],
            [result("a"), result("b")],
            [("a", "f", None), ("b", "g", None)],
            id="nothing but their order",
        ),
        pytest.param(
            [call("f", "1"), call("g", "2")],
            [result("b", tool_call_id="2"), result("?", tool_call_id="9")],
            [("b", "g", "2"), ("?", None, "9")],
            id="one of unknown origin",
        ),
        pytest.param(
            [call("f", "1")],
            [result("a", tool_call_id="1", name="mine")],
            [("a", "mine", "1")],
            id="named by the caller",
        ),
    ],
)
def test_results_are_named_and_in_call_order(
    calls: list[Any], results: list[ChatMessage], labelled: list[tuple[str, Any, Any]]
) -> None:
    """D5: the model can tell which result belongs to which of its calls."""
    messages = [ChatMessage(role="assistant", blocks=calls), *results]
    found = [(m.content, m.tool_name, m.tool_call_id) for m in sent(*messages)[1:]]
    assert found == labelled


def test_results_of_two_rounds_stay_apart() -> None:
    """D5: each round of calls has its own results; ids that come again mean the latest call."""
    messages = [
        ChatMessage(role="assistant", blocks=[call("f", "1"), call("g", "2")]),
        result("g1", tool_call_id="2"),
        result("f1", tool_call_id="1"),
        ChatMessage(role="assistant", blocks=[call("h", "1")]),
        result("h1", tool_call_id="1"),
    ]
    found = [(m.content, m.tool_name) for m in sent(*messages) if m.role == "tool"]
    assert found == [("f1", "f"), ("g1", "g"), ("h1", "h")]


def test_the_history_is_not_touched() -> None:
    """D9: messages are the same after they were sent, deep down."""
    messages = [
        ChatMessage(role="assistant", blocks=[CALL_BLOCK, ThinkingBlock(content="x")]),
        result("a", tool_call_id="1"),
        ChatMessage(role="user", blocks=[ImageBlock(image=PNG), TextBlock(text="?")]),
    ]
    before = copy.deepcopy(messages)
    sent(*messages)
    assert messages == before
    assert json.dumps([m.model_dump(mode="json") for m in messages])
