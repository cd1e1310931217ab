"""The double against what a real Ollama said: the same keys in the same order, the same texts."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama

RECORDINGS = Path(__file__).parents[1] / "recordings"
TEMPLATE = "{{ .Messages }}{{ .Tools }}"
MODELS = (
    EmbeddedModel(
        "tiny-chat",
        ("completion", "tools"),
        context_length=2048,
        parameters={"num_ctx": 2048},
        template=TEMPLATE,
        tool_call_placement="own",
    ),
    EmbeddedModel(
        "tiny-native", ("completion", "tools"), context_length=2048, parameters={"num_ctx": 2048}
    ),
    EmbeddedModel(
        "tiny-think",
        ("completion", "tools", "thinking"),
        context_length=2048,
        parameters={"num_ctx": 2048},
        tool_call_placement="own",
    ),
    EmbeddedModel(
        "tiny-plain", context_length=2048, parameters={"num_ctx": 2048}, tool_call_placement="own"
    ),
    EmbeddedModel("tiny-embed", ("embedding",), context_length=512, dimensions=128),
)
# Token counts depend on the tokenizer, paths on the machine, networks on the registry.
DIFFERENT = {
    "errors/overflow-generate",
    "errors/overflow-refused-native",
    "errors/overflow-refused-rendered",
    "errors/overflow-truncated",
}
WHOLE = [
    *sorted((RECORDINGS / "errors").glob("*.json")),
    *sorted((RECORDINGS / "embed").glob("*.json")),
    *sorted((RECORDINGS / "embeddings").glob("*.json")),
    *sorted((RECORDINGS / "generate").glob("*.json")),
    *sorted((RECORDINGS / "chat").glob("*.json")),
    *sorted((RECORDINGS / "chat").glob("tiny-[ct]*/*.json")),
    *sorted((RECORDINGS / "chat").glob("tiny-native/*.json")),
    *sorted((RECORDINGS / "openai").glob("*.json")),
    *sorted((RECORDINGS / "show").glob("*.json")),
    *sorted((RECORDINGS / "copy").glob("*.json")),
    *sorted((RECORDINGS / "delete").glob("*.json")),
    *sorted((RECORDINGS / "push").glob("*.json")),
    *sorted((RECORDINGS / "create").glob("*.json")),
    *sorted((RECORDINGS / "pull").glob("*.json")),
    *sorted(RECORDINGS.glob("*.json")),
]


def name_of(path: Path) -> str:
    return str(path.relative_to(RECORDINGS).with_suffix(""))


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def body_of(recording: dict[str, Any]) -> bytes:
    chunks = recording["response"]["chunks"]
    parts = (c["text"].encode() if "text" in c else base64.b64decode(c["base64"]) for c in chunks)
    return b"".join(parts)


def send(http: httpx.Client, recording: dict[str, Any]) -> httpx.Response:
    request = recording["request"]
    body = request["body"]
    # Whole, since httpx would take a path of two slashes for one of one.
    url = f"{str(http.base_url).rstrip('/')}{request['path']}"
    if body is None:
        return http.request(request["method"], url)
    if isinstance(body, dict) and list(body) == ["raw"]:
        return http.request(request["method"], url, content=body["raw"])
    return http.request(request["method"], url, json=body)


@pytest.fixture
def double() -> Iterator[httpx.Client]:
    """A double that has the recordings' models."""
    with (
        EmbeddedOllama(MODELS, demo=False) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http,
    ):
        yield http


def keys(value: Any, *, skip: tuple[str, ...] = ()) -> Any:
    """The shape of a value: keys in order, at every depth, without the values."""
    if isinstance(value, dict):
        return [
            (name, None if name in skip else keys(item, skip=skip)) for name, item in value.items()
        ]
    if isinstance(value, list):
        return [keys(value[0], skip=skip)] if value else []
    return None


FREE = ("model_info", "tensors", "context", "arguments", "logprobs", "tool_calls", "embeddings")


def shapes(content: bytes, content_type: str) -> list[Any]:
    """The different shapes of an answer's lines, each once, in the order of their first."""
    if content_type == "text/event-stream":
        parts = [p.removeprefix(b"data: ") for p in content.split(b"\n\n") if p]
        parts = [p for p in parts if p != b"[DONE]"]
    else:
        parts = [p for p in content.split(b"\n") if p]
    found: list[Any] = []
    for part in parts:
        shape = keys(json.loads(part), skip=FREE)
        if shape not in found:
            found.append(shape)
    return found


# The demo calls tools, thinks and stops in other places than the tiny models did.
OTHER_COURSE = {
    "chat/mario-modelfile-whole": "its model was made before",
    "openai/models": "lists other models",
    "tags": "lists other models",
    "ps-loaded": "needs loaded models",
    "openai/reasoning-stream": "its reasoning ended without a line of content",
    "create/blob-again": "its blob was made before",
    "create/blob-head": "its blob was made before",
    "create/tiny-chat": "its GGUF is not here",
    "create/tiny-embed": "its GGUF is not here",
    "create/tiny-native": "its GGUF is not here",
    "create/tiny-plain": "its GGUF is not here",
    "create/tiny-think": "its GGUF is not here",
    "delete/ok": "its model was made before",
    "generate/think-stream": "its first two lines were empty",
    "chat/tiny-chat/closed-early": "its client left",
}


@pytest.mark.parametrize("path", [p for p in WHOLE if name_of(p) not in DIFFERENT], ids=name_of)
def test_status_and_shape(double, path):
    """A recorded request gets the recorded status, content type and keys in their order."""
    name = name_of(path)
    if OTHER_COURSE.get(name):
        pytest.skip(OTHER_COURSE[name])
    recording = load(path)
    recorded = recording["response"]
    headers = {k.lower(): v for k, v in recorded["headers"].items()}
    response = send(double, recording)
    assert response.status_code == recorded["status"], response.text
    body = body_of(recording)
    if not body or headers.get("content-type", "").startswith("text/plain"):
        assert response.content == body
        return
    assert response.headers["content-type"] == headers["content-type"]
    ours = shapes(response.content, headers["content-type"])
    theirs = shapes(body, headers["content-type"])
    # Which kinds of lines come depends on what is said; none may look other than a recorded one.
    assert [shape for shape in ours if shape not in theirs] == []
    assert ours[-1] == theirs[-1]


@pytest.mark.parametrize(
    "path",
    [
        p
        for p in WHOLE
        if load(p)["response"]["status"] >= 400
        and name_of(p) not in DIFFERENT
        and not name_of(p).startswith(("pull/", "create/blob-head"))
    ],
    ids=name_of,
)
def test_error_texts(double, path):
    """A recorded refusal has the recorded words, byte for byte."""
    recording = load(path)
    assert send(double, recording).content == body_of(recording)


@pytest.mark.parametrize("name", sorted(DIFFERENT - {"errors/overflow-truncated"}))
def test_overflow_texts(double, name):
    """A refused overflow has the recorded nested JSON, the token counts aside."""
    recording = load(RECORDINGS / f"{name}.json")
    response = send(double, recording)
    assert response.status_code == 400
    ours = json.loads(response.json()["error"])["error"]
    theirs = json.loads(json.loads(body_of(recording))["error"])["error"]
    assert list(ours) == list(theirs)
    assert (ours["code"], ours["type"], ours["n_ctx"]) == (theirs["code"], theirs["type"], 2048)
    counted = theirs["message"].replace(
        str(theirs["n_prompt_tokens"]), str(ours["n_prompt_tokens"])
    )
    assert ours["message"] == counted
