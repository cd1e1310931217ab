"""Bodies: exactly the JSON that was meant, with images spliced in, or an early error."""

import json
import uuid
from base64 import b64encode
from typing import Any

import pytest
from faked import Network
from running import Run

from ollama_transport import ChatRequest, ConfigError, Message, UnsupportedContentError
from ollama_transport.schema.remembered import flattened_tool
from ollama_transport.wire.calls.body import Base64, encode_body, image_data

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
PLAIN = b64encode(PNG).decode()
FOLDED = "\r\n".join(PLAIN[i : i + 76] for i in range(0, len(PLAIN), 76))


@pytest.mark.parametrize(
    "image",
    [PNG, PLAIN, f"data:image/png;base64,{PLAIN}", FOLDED, FOLDED.replace("\r\n", "\n")],
    ids=["bytes", "base64", "data-uri", "folded", "folded-lf"],
)
def test_an_image_has_many_forms_and_is_sent_in_one(run: Run, image: bytes | str) -> None:
    """Bytes, base64 (with or without line ends) and data URIs go out as the same plain base64."""
    network = Network("chat/tiny-chat/hello-whole")
    message = Message("user", "What is it?", images=[image, b"x"])
    run(run.client(transport=network).chat(ChatRequest("m", [message])))
    [sent] = json.loads(network.requests[0].content)["messages"]
    assert sent == {"role": "user", "content": "What is it?", "images": [PLAIN, "eA=="]}


@pytest.mark.parametrize(
    "text",
    [
        "/pictures/cat.png",
        "https://example.org/cat.png",
        "cat.png",
        PLAIN[:-1],
        PLAIN.rstrip("=")[:-1] + "-_==",
        "ab=c",
        "====",
        "é" * 4,
        "data:image/svg+xml,<svg/>",
        "AAA A===",
    ],
)
def test_invalid_base64_is_refused(text: str) -> None:
    """Paths and addresses are never opened, and damaged base64 is told before it is sent."""
    with pytest.raises(UnsupportedContentError, match="not base64"):
        image_data(text)


BODIES: list[dict[str, Any]] = [
    {},
    {"a": [1, 2.5, True, None, "é🐈", {"b": []}]},
    {"nel": "a\u0085b\u2028c\u2029d\x7f\x00"},
    {"quote": '"\\/\b\f\n\r\t</script>'},
    {"big": 2**70, "small": -0.0, "deep": [[[[[]]]]]},
    {"tuple": (1, 2)},
]


@pytest.mark.parametrize("body", BODIES)
def test_a_body_is_the_json_that_was_meant(body: dict[str, Any]) -> None:
    """What is sent reads back as what json.dumps writes."""
    assert json.loads(encode_body(body)) == json.loads(json.dumps(body))


@pytest.mark.parametrize("text", ["\ud83d", "a\udc00b", "\ud83d\ud83d\ude00"])
def test_lone_surrogates_are_replaced(text: str) -> None:
    """Half a character becomes U+FFFD, as the server would read it; a pair becomes whole (1.9)."""
    sent = json.loads(encode_body({"a": text}))["a"]
    assert sent == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert "\ufffd" in sent


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), object(), {1, 2}, b"bytes", {(1, 2): "key"}],
    ids=["nan", "inf", "object", "set", "bytes", "key"],
)
def test_values_outside_json_are_refused(value: Any) -> None:
    """NaN, objects and other foreign values are a ConfigError before anything is sent."""
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        encode_body({"options": {"x": value}})


def test_a_body_that_holds_itself_is_refused() -> None:
    """A circle is a ConfigError as well."""
    circle: dict[str, Any] = {}
    circle["a"] = circle
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        encode_body(circle)


def test_a_large_image_goes_around_the_encoder_and_arrives_whole() -> None:
    """A body with megabytes of image is the one that json.dumps would have made."""
    image = bytes(range(256)) * 4 * 5 * 1024
    text = b64encode(image).decode()
    spliced = {"messages": [{"images": [image_data(image), Base64("eA==")], "content": "x"}]}
    plain = {"messages": [{"images": [text, "eA=="], "content": "x"}]}
    written = json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode()
    assert encode_body(spliced) == written


def test_the_encoder_does_not_see_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """What json.dumps writes stays small, however large the image is."""
    lengths: list[int] = []
    dumps = json.dumps

    def measured(*args: Any, **kwargs: Any) -> str:
        text = dumps(*args, **kwargs)
        lengths.append(len(text))
        return text

    monkeypatch.setattr(json, "dumps", measured)
    encode_body({"image": image_data(b"x" * 1_000_000)})
    assert lengths
    assert max(lengths) < 200


def test_no_text_is_taken_for_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks of one body say nothing in another: text is never replaced."""
    marks: list[str] = []
    make = uuid.uuid4

    def noted() -> uuid.UUID:
        found = make()
        marks.append(found.hex)
        return found

    monkeypatch.setattr(uuid, "uuid4", noted)
    encode_body({"image": Base64("eA==")})
    body = {"text": marks[0], "image": Base64("eA=="), "same": Base64("eA==")}
    assert json.loads(encode_body(body)) == {"text": marks[0], "image": "eA==", "same": "eA=="}
    assert len(set(marks)) == 2


@pytest.mark.parametrize("place", ["first", "middle", "last", "alone"])
def test_tools_that_were_sent_before_are_written_the_same(place: str) -> None:
    """Their JSON is made once, and stands where the encoder would have put it."""
    parameters = {"type": "object", "properties": {"café": {"type": "string"}}}
    given = [
        {"type": "function", "function": {"name": name, "parameters": parameters}}
        for name in ("one", "two")
    ]
    tools = [flattened_tool(tool) for tool in given]
    others = {"model": "m", "images": [image_data(b"picture")]}
    bodies = {
        "first": {"tools": tools, **others},
        "middle": {"model": "m", "tools": tools, "stream": True},
        "last": {**others, "tools": tools},
        "alone": {"tools": tools},
    }
    body = bodies[place]
    plain = encode_body({**body, "tools": [dict(tool) for tool in tools]})
    assert [encode_body(body), encode_body(body)] == [plain, plain]
    assert encode_body({**body, "tools": []}).count(b'"tools":[]') == 1
