"""Wire reference 11, cases 15, 52, 63 to 70 and 74 to 91: the other native endpoints."""

import hashlib
import json
import math

import pytest

LONG = "Why is the sky blue? " * 1200
MANY = "the cat sat on the mat and looked at the sea " * 60
METRICS = ["total_duration", "load_duration", "prompt_eval_count"]


def test_case_52_generate_over_the_context(target):
    """With shift:false a prompt beyond num_ctx is refused in words."""
    body = {"model": "@gotmpl", "prompt": LONG, "shift": False, "options": {"num_ctx": 2048}}
    response = target.post("/api/generate", body)
    assert response.status_code == 400
    assert "the prompt is longer than the context length currently available" in response.text


def test_generate_over_the_context_with_counts(target):
    """With truncate:false and shift:false it is refused with both token counts."""
    body = {
        "model": "@gotmpl",
        "prompt": LONG,
        "truncate": False,
        "shift": False,
        "options": {"num_ctx": 2048},
    }
    response = target.post("/api/generate", body)
    assert response.status_code == 400
    inner = json.loads(response.json()["error"])["error"]
    assert inner["n_ctx"] == 2048
    assert inner["n_prompt_tokens"] > 2048


def test_generate_cuts_by_default(target):
    """By default a prompt that is too long is cut in silence, to about half the context."""
    body = {
        "model": "@gotmpl",
        "prompt": LONG,
        "stream": False,
        "options": {"num_ctx": 2048, "num_predict": 2},
    }
    answer = target.post("/api/generate", body).json()
    assert 512 < answer["prompt_eval_count"] <= 2048


@pytest.mark.parametrize("body", [{}, {"prompt": ""}, {"prompt": None}])
def test_case_63_generate_without_a_prompt(target, body):
    """Without a prompt the model is loaded."""
    response = target.post("/api/generate", {"model": "@plain", **body})
    answer = response.json()
    assert list(answer) == ["model", "created_at", "response", "done", "done_reason"]
    assert (answer["response"], answer["done_reason"]) == ("", "load")
    assert response.headers["content-type"] == "application/json; charset=utf-8"


REFUSED = [
    (64, "/api/chat", {"model": "@embed", "messages": []}, '"@embed" does not support chat'),
    (65, "/api/generate", {"model": "@embed", "prompt": "a"}, '"@embed" does not support generate'),
    (
        66,
        "/api/generate",
        {"model": "@gotmpl", "prompt": "x", "raw": True, "system": "y"},
        "raw mode does not support template, system, or context",
    ),
    (
        67,
        "/api/generate",
        {"model": "@plain", "prompt": "a", "suffix": "b"},
        "registry.ollama.ai/library/@@plain does not support insert",
    ),
    (
        70,
        "/api/generate",
        {"model": "@img", "prompt": "a cat"},
        "image generation models are not currently supported",
    ),
    (76, "/api/embed", {"model": "@embed", "input": [1, 2]}, "invalid input type"),
    (76, "/api/embed", {"model": "@embed", "input": 5}, "invalid input type"),
    (76, "/api/embed", {"model": "@embed", "input": {}}, "invalid input type"),
    (
        77,
        "/api/embed",
        {"model": "@embed", "input": MANY, "truncate": False},
        "the input length exceeds the context length",
    ),
    (
        78,
        "/api/embed",
        {"model": "@embed", "input": "a", "dimensions": 1.5},
        "json: cannot unmarshal number 1.5 into Go struct field EmbedRequest.dimensions "
        "of type int",
    ),
]


@pytest.mark.parametrize(
    ("path", "body", "text"), [pytest.param(*c[1:], id=f"case{c[0]}") for c in REFUSED]
)
def test_refused(target, path, body, text):
    """What a model cannot do, or a field cannot be, is 400 in Ollama's words."""
    response = target.post(path, body)
    assert (response.status_code, response.json()) == (400, {"error": target.fit(text)})


@pytest.mark.parametrize(
    ("raw", "context"),
    [pytest.param(False, True, id="case68"), pytest.param(True, False, id="case69")],
)
def test_generate_stream(target, raw, context):
    """The last line of a stream has the context, unless the prompt was raw."""
    body = {"model": "@gotmpl", "prompt": "Hello", "raw": raw, "options": {"num_predict": 4}}
    lines = target.lines("/api/generate", body)
    assert all(list(line) == ["model", "created_at", "response", "done"] for line in lines[:-1])
    last = lines[-1]
    assert last["done"] is True
    assert ("context" in last) is context
    keys = list(last)
    assert keys[:5] == ["model", "created_at", "response", "done", "done_reason"]
    assert context is False or keys[5] == "context"


def test_context_continues_a_conversation(server, http):
    """The context of one answer lets the demo remember in the next."""
    ask = {"model": "demo", "prompt": "My name is Bob.", "stream": False, "think": False}
    first = http.post("/api/generate", json=ask).json()
    ask |= {"prompt": "What is my name?", "context": first["context"]}
    assert "Bob" in http.post("/api/generate", json=ask).json()["response"]


def test_case_74_embed(target):
    """Texts become unit vectors, and the tokens are counted."""
    response = target.post("/api/embed", {"model": "@embed", "input": ["a b c", "", "a cat"]})
    answer = response.json()
    assert list(answer) == ["model", "embeddings", *METRICS]
    assert len(answer["embeddings"]) == 3
    for vector in answer["embeddings"]:
        assert math.isclose(math.hypot(*vector), 1, rel_tol=1e-3)
    assert answer["prompt_eval_count"] >= 5


@pytest.mark.parametrize("body", [{"input": ""}, {"input": []}, {}, {"input": None}])
def test_case_75_an_empty_input_gives_no_vectors(target, body):
    """No text gives no vector and no metrics."""
    response = target.post("/api/embed", {"model": "@embed", **body})
    assert response.text == target.fit('{"model":"@embed","embeddings":[]}')


@pytest.mark.parametrize("dimensions", [2, 99999, -1, 0])
def test_case_78_dimensions(target, dimensions):
    """Fewer dimensions cut and normalise again; any other number is ignored."""
    plain = target.post("/api/embed", {"model": "@embed", "input": "a cat"}).json()
    full = plain["embeddings"][0]
    body = {"model": "@embed", "input": "a cat", "dimensions": dimensions}
    (vector,) = target.post("/api/embed", body).json()["embeddings"]
    if dimensions != 2:
        assert vector == pytest.approx(full, abs=1e-5)
        return
    assert len(vector) == 2
    assert math.hypot(*vector) == pytest.approx(1, rel=1e-3)
    length = math.hypot(*full[:2])
    assert vector == pytest.approx([v / length for v in full[:2]] if length else [1, 0], abs=1e-3)


def test_case_79_legacy_embeddings(target):
    """The legacy endpoint has one vector, and an empty one for an empty prompt."""
    answer = target.post("/api/embeddings", {"model": "@embed", "prompt": "a cat"}).json()
    assert list(answer) == ["embedding"]
    assert len(answer["embedding"]) > 1
    assert target.post("/api/embeddings", {"model": "@embed"}).json() == {"embedding": []}


def test_case_80_legacy_embeddings_over_length(target):
    """There every error of the engine is 500."""
    response = target.post("/api/embeddings", {"model": "@embed", "prompt": MANY})
    assert response.status_code == 500
    assert list(response.json()) == ["error"]


def test_embedding_with_a_chat_model(target):
    """A chat model cannot embed: 501."""
    response = target.post("/api/embed", {"model": "@plain", "input": "a"})
    text = "This server does not support embeddings. Start it with `--embeddings`"
    assert (response.status_code, response.json()) == (501, {"error": text})


def test_case_82_copy_and_delete(target):
    """Copy and delete answer 200 with nothing."""
    copy = target.post("/api/copy", {"source": "@plain", "destination": "conformance/copied:v1"})
    assert (copy.status_code, copy.content) == (200, b"")
    assert "content-type" not in copy.headers
    listed = [m["name"] for m in target.http.get("/api/tags").json()["models"]]
    assert "conformance/copied:v1" in listed
    deleted = target.http.request("DELETE", "/api/delete", json={"model": "conformance/copied:v1"})
    assert (deleted.status_code, deleted.content) == (200, b"")


def test_case_83_blobs(target):
    """A blob is missing, then new, then here; a wrong digest is refused."""
    data = hashlib.sha256(target.url.encode()).digest()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    new = 200 if target.http.head(f"/api/blobs/{digest}").status_code == 200 else 201
    assert target.http.post(f"/api/blobs/{digest}", content=data).status_code == new
    assert target.http.head(f"/api/blobs/{digest}").status_code == 200
    again = target.http.post(f"/api/blobs/{digest}", content=data)
    assert (again.status_code, again.content) == (200, b"")
    assert target.http.head("/api/blobs/sha256:" + "0" * 64).status_code == 404
    assert target.http.head("/api/blobs/nonsense").status_code == 400
    wrong = "sha256:" + "1" * 64
    refused = target.http.post(f"/api/blobs/{wrong}", content=data)
    text = f'digest mismatch, expected "{wrong}", got "{digest}"'
    assert (refused.status_code, refused.json()) == (400, {"error": text})


def test_case_84_pull_of_an_unknown_model(target):
    """A pull that fails in a stream is 200, with an error as its last line."""
    lines = target.lines("/api/pull", {"model": "localhost:9/library/nope", "insecure": True})
    assert lines[0] == {"status": "pulling manifest"}
    assert list(lines[-1]) == ["error"]
    assert lines[-1]["error"].startswith("pull model manifest: ")


def test_case_85_pull_of_an_unknown_model_whole(target):
    """The whole form of it is 500."""
    body = {"model": "localhost:9/library/nope", "insecure": True, "stream": False}
    response = target.post("/api/pull", body)
    assert (response.status_code, list(response.json())) == (500, ["error"])
    assert response.headers["content-type"] == "application/json"


def test_push_of_an_unknown_model(target):
    """A push of nothing is 200 with an error line."""
    lines = target.lines("/api/push", {"model": "me/nope"})
    assert lines[:2] == [
        {"status": "retrieving manifest"},
        {"status": "couldn't retrieve manifest"},
    ]
    assert lines[2]["error"].endswith("me/nope/latest: no such file or directory")


def test_case_87_create_from_another_model(target):
    """A model made of another answers with success, and knows its system text."""
    body = {
        "model": "conformance-made",
        "from": "@plain",
        "system": "You are a bird.",
        "stream": False,
    }
    response = target.post("/api/create", body)
    assert (response.status_code, response.json()) == (200, {"status": "success"})
    assert response.headers["content-type"] == "application/json"
    shown = target.post("/api/show", {"model": "conformance-made"}).json()
    assert shown["system"] == "You are a bird."
    target.http.request("DELETE", "/api/delete", json={"model": "conformance-made"})


def test_case_89_show(target):
    """Show has a model_info object with the context length, and tensors."""
    shown = target.post("/api/show", {"model": "@plain"}).json()
    architecture = shown["model_info"]["general.architecture"]
    assert shown["model_info"][f"{architecture}.context_length"] > 0
    assert list(shown["tensors"][0]) == ["name", "type", "shape"]
    assert shown["capabilities"] == ["completion"]
    assert "general.name" not in shown["model_info"]


@pytest.mark.parametrize(("path", "extra"), [("/api/chat", {}), ("/v1/chat/completions", {})])
def test_case_91_cloud_models_are_disabled(target, path, extra):
    """A cloud name is refused in the native envelope, on /v1 too."""
    target.only_ours("its cloud may be enabled")
    body = {"model": "x:1b-cloud", "messages": [{"role": "user", "content": "a"}], **extra}
    response = target.post(path, body)
    text = "ollama cloud is disabled: remote model is unavailable"
    assert (response.status_code, response.json()) == (403, {"error": text})


def test_ps_shows_a_loaded_model(target):
    """A loaded model is listed with the context it really runs with."""
    load = {"model": "@native", "messages": [], "options": {"num_ctx": 1024}}
    target.post("/api/chat", load)
    running = {m["name"]: m for m in target.http.get("/api/ps").json()["models"]}
    shown = running[target.fit("@@native")]
    keys = ["name", "model", "size", "digest", "details"]
    assert list(shown) == [*keys, "expires_at", "size_vram", "context_length"]
    assert shown["context_length"] == 1024
