"""Wire reference 11, cases 95 to 107: the compatible endpoints."""

import base64
import json
import struct

import httpx
import pytest

from ollama_ext.embedded import Answer, EmbeddedModel, EmbeddedOllama

HI = [{"role": "user", "content": "Hello"}]
CHAT = "/v1/chat/completions"
FEW = {"messages": HI, "max_tokens": 6}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius"]},
            },
            "required": ["city"],
        },
    },
}
PARIS = [{"role": "user", "content": "What is the weather in Paris?"}]


def refused(target, path, body, status):
    response = target.post(path, body)
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/json")
    error = response.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    return error


def test_case_95_stream(target):
    """The role stands once, the finish chunk is empty, and [DONE] ends it."""
    events = target.events(CHAT, {"model": "@plain", **FEW, "stream": True})
    assert events[-1] == "[DONE]"
    chunks = events[:-1]
    assert [("role" in c["choices"][0]["delta"]) for c in chunks] == [
        True,
        *[False] * (len(chunks) - 1),
    ]
    assert chunks[-1]["choices"][0]["delta"] == {}
    assert chunks[-1]["choices"][0]["finish_reason"] in ("stop", "length")
    assert len({(c["id"], c["created"]) for c in chunks}) == 1
    assert all("usage" not in c and c["object"] == "chat.completion.chunk" for c in chunks)


def test_case_96_usage(target):
    """With include_usage one more chunk has no choices and the usage."""
    body = {"model": "@plain", **FEW, "stream": True, "stream_options": {"include_usage": True}}
    events = target.events(CHAT, body)
    assert events[-2]["choices"] == []
    usage = events[-2]["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


def test_case_97_tools(target):
    """A call is one delta with its whole arguments as a text, and finishes with tool_calls."""
    body = {"model": "@gotmpl", "messages": PARIS, "tools": [TOOL], "stream": True}
    chunks = target.events(CHAT, body)[:-1]
    calls = [call for c in chunks for call in c["choices"][0]["delta"].get("tool_calls", ())]
    if not calls:
        target.only_ours("the model called no tool")
    assert list(calls[0]) == ["id", "index", "type", "function"]
    assert json.loads(calls[0]["function"]["arguments"])["city"] == "Paris"
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_case_97_native_route(server, http):
    """The native route's calls come before the finish chunk too."""
    body = {
        "model": "demo",
        "messages": PARIS,
        "tools": [TOOL],
        "stream": True,
        "reasoning_effort": "none",
    }
    data = http.post(CHAT, json=body).text.split("\n\n")
    chunks = [json.loads(item.removeprefix("data: ")) for item in data[:-2]]
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None, "tool_calls"]


def test_case_98_failure_in_mid_stream():
    """A failure in mid-stream is swallowed: an empty chunk without a model, and no [DONE]."""
    model = EmbeddedModel("dies", engine=lambda prompt: Answer("some", failure="boom"))
    with EmbeddedOllama([model]) as server:
        body = {"model": "dies", "messages": HI, "stream": True}
        text = httpx.post(server.url + CHAT, json=body, trust_env=False).text
    last = json.loads(text.rstrip("\n").split("\n\n")[-1].removeprefix("data: "))
    assert last["model"] == ""
    assert last["choices"] == [{"index": 0, "delta": {"content": ""}, "finish_reason": None}]
    assert "[DONE]" not in text


def test_case_99_unknown_model(target):
    """An unknown model is 404 in OpenAI's envelope."""
    error = refused(target, CHAT, {"model": "nope", "messages": HI}, 404)
    assert (error["message"], error["type"]) == ("model 'nope' not found", "not_found_error")


def test_case_100_no_messages(target):
    """No message is 400."""
    error = refused(target, CHAT, {"model": "@plain", "messages": []}, 400)
    assert error["message"] == "[] is too short - 'messages'"
    assert error["type"] == "invalid_request_error"


def test_empty_body(target):
    """An empty body is EOF here."""
    response = target.http.post(CHAT, content=b"")
    assert (response.status_code, response.json()["error"]["message"]) == (400, "EOF")


def test_case_101_reasoning_effort(target):
    """An unknown effort is refused; none and ultra are known."""
    target.needs("builtin", "thinking")
    body = {"model": "@builtin", **FEW}
    refused(target, CHAT, body | {"reasoning_effort": "silly"}, 400)
    assert target.post(CHAT, body | {"reasoning_effort": "none"}).status_code == 200
    assert target.post(CHAT, body | {"reasoning_effort": "ultra"}).status_code == 200


def test_reasoning_is_on_by_default(target):
    """A thinking model's reasoning comes as such, without being asked for."""
    target.needs("builtin", "thinking")
    body = {"model": "@builtin", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
    message = target.post(CHAT, body).json()["choices"][0]["message"]
    assert list(message) == ["role", "content", "reasoning"]


def test_case_102_max_completion_tokens(target):
    """max_completion_tokens is ignored."""
    body = {"model": "@native", "messages": HI, "max_completion_tokens": 1}
    answer = target.post(CHAT, body).json()
    assert answer["usage"]["completion_tokens"] > 1


def test_case_103_picture_by_url(target):
    """A picture behind a URL is refused."""
    part = {"type": "image_url", "image_url": {"url": "http://example.com/a.png"}}
    error = refused(
        target, CHAT, {"model": "@plain", "messages": [{"role": "user", "content": [part]}]}, 400
    )
    text = "image URLs are not currently supported, please use base64 encoded data instead"
    assert error["message"] == text


def test_content_null(target):
    """Content null without calls is refused."""
    body = {"model": "@plain", "messages": [{"role": "user", "content": None}]}
    assert refused(target, CHAT, body, 400)["message"] == "invalid message content type: <nil>"


def test_case_104_base64(target):
    """base64 vectors are the floats in little-endian float32."""
    body = {"model": "@embed", "input": ["a cat", ""]}
    plain = target.post("/v1/embeddings", body).json()
    coded = target.post("/v1/embeddings", body | {"encoding_format": "BASE64"}).json()
    for one, other in zip(plain["data"], coded["data"], strict=True):
        raw = base64.b64decode(other["embedding"])
        assert list(struct.unpack(f"<{len(raw) // 4}f", raw)) == pytest.approx(
            one["embedding"], abs=1e-6
        )
    assert [item["index"] for item in plain["data"]] == [0, 1]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"input": []}, "invalid input"),
        ({}, "invalid input"),
        ({"input": [1]}, "invalid input type"),
        (
            {"input": "a", "encoding_format": "hex"},
            "Invalid value for 'encoding_format' = hex. Supported values: ['float', 'base64'].",
        ),
    ],
)
def test_case_105_bad_embeddings(target, fields, text):
    """No input, tokens, and an unknown format are refused."""
    error = refused(target, "/v1/embeddings", {"model": "@embed", **fields}, 400)
    assert error["message"] == text


def test_case_106_prompts(target):
    """A list of prompts is refused."""
    refused(target, "/v1/completions", {"model": "@plain", "prompt": ["a"]}, 400)


def test_completion_without_a_prompt(target):
    """A missing prompt loads the model and says so."""
    answer = target.post("/v1/completions", {"model": "@plain"}).json()
    assert answer["choices"] == [{"text": "", "index": 0, "finish_reason": "load"}]


def test_models(target):
    """Models are listed with a tag, and one echoes the asked id."""
    listed = target.http.get("/v1/models").json()
    assert target.fit("@@plain") in [item["id"] for item in listed["data"]]
    one = target.http.get(target.fit("/v1/models/@plain")).json()
    assert list(one) == ["id", "object", "created", "owned_by"]
    assert one["id"] == target.fit("@plain")
    missing = target.http.get("/v1/models/nope").json()["error"]
    assert missing["message"] == "model 'nope:latest' not found"
