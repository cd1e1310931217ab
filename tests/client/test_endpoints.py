"""Every endpoint: what goes out, what comes back, sync and async."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from faked import Network, status
from recorded import recording
from running import Run

from ollama_transport import (
    ChatRequest,
    ConfigError,
    CreateRequest,
    Embeddings,
    EmbedRequest,
    GenerateRequest,
    Message,
    ModelNotFoundError,
    ProtocolError,
    RequestRejectedError,
    ServerError,
    StreamFailedError,
)
from ollama_transport.wire.native import calls as native

WEB = {"results": [{"title": "T", "url": "https://x", "content": "C"}]}
PAGE = {"title": "T", "content": "C", "links": ["https://y"]}


def body(network: Network, index: int = -1) -> Any:
    return json.loads(network.requests[index].content)


def asked(network: Network) -> list[tuple[str, str]]:
    return [(request.method, request.url.path) for request in network.requests]


def test_chat_whole(run: Run) -> None:
    """A whole chat answer has its text, reason and usage."""
    network = Network("chat/tiny-chat/hello-whole")
    line = run(run.client(transport=network).chat(ChatRequest("m", [Message("user", "Hi")])))
    assert line.text == "Hello! How can I help you today?"
    assert (line.done, line.done_reason) == (True, "stop")
    assert line.usage is not None
    assert asked(network) == [("POST", "/api/chat")]
    assert body(network) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }


def test_chat_streamed(run: Run) -> None:
    """A streamed chat gives the same text in pieces, and is asked for as a stream."""
    network = Network("chat/tiny-chat/hello-stream")
    lines = run.lines(run.client(transport=network).chat_stream(ChatRequest("m")))
    assert "".join(line.text for line in lines) == "Hello! How can I help you today?"
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    assert body(network)["stream"] is True


def test_generate_whole_and_streamed(run: Run) -> None:
    """A completion has its text and the context to go on from, whole and in pieces."""
    whole = run(run.client(transport=Network("generate/whole")).generate(GenerateRequest("m", "x")))
    assert whole.text == recording("generate/whole").objects[0]["response"]
    network = Network("generate/stream")
    lines = run.lines(run.client(transport=network).generate_stream(GenerateRequest("m", "x")))
    assert "".join(line.text for line in lines)
    assert lines[-1].context == recording("generate/stream").objects[-1]["context"]
    assert asked(network) == [("POST", "/api/generate")]
    assert body(network) == {"model": "m", "prompt": "x", "stream": True}


def test_thinking_is_apart_from_text(run: Run) -> None:
    """Reasoning comes in its own field, from both endpoints."""
    for name, method, request in (
        ("chat/tiny-think/sky-think-true-stream", "chat_stream", ChatRequest("m")),
        ("generate/think-stream", "generate_stream", GenerateRequest("m", "x")),
    ):
        lines = run.lines(getattr(run.client(transport=Network(name)), method)(request))
        assert "".join(line.thinking for line in lines)
        assert all(not (line.text and line.thinking) for line in lines)


def test_embed_gives_a_vector_for_each_text(run: Run) -> None:
    """The vectors come in the order of the texts, with the tokens they cost."""
    network = Network("embed/three")
    answer = run(run.client(transport=network).embed(EmbedRequest("m", ["a", "b", "c"])))
    assert answer.vectors == recording("embed/three").objects[0]["embeddings"]
    assert answer.usage.prompt_tokens == recording("embed/three").objects[0]["prompt_eval_count"]
    assert body(network) == {"model": "m", "input": ["a", "b", "c"]}


def test_embedding_no_text_sends_no_request(run: Run) -> None:
    """No text has no vectors, and no request is sent."""
    network = Network("embed/three")
    answer = run(run.client(transport=network).embed(EmbedRequest("m", [])))
    assert answer == Embeddings([], model="m")
    assert network.requests == []


def test_a_vector_too_few_is_an_error(run: Run) -> None:
    """Vectors that cannot be told apart are never returned."""
    client = run.client(transport=Network("embed/three"))
    error = run.thrown(client.embed, EmbedRequest("m", ["a", "b"]))
    assert isinstance(error, ProtocolError)
    assert "3 vectors for 2 texts" in str(error)


def test_the_legacy_embedding(run: Run) -> None:
    """The legacy endpoint gives one vector for one text."""
    network = Network("embeddings/legacy")
    answer = run(run.client(transport=network).embeddings("m", "x", keep_alive="5m"))
    assert answer.vectors == [recording("embeddings/legacy").objects[0]["embedding"]]
    assert asked(network) == [("POST", "/api/embeddings")]
    assert body(network) == {"model": "m", "prompt": "x", "keep_alive": "5m"}


def test_list_gives_the_models_typed_and_whole(run: Run) -> None:
    """Models have their size, details and date, and keep what the server sent."""
    models = run(run.client(transport=Network("tags")).list())
    sent = recording("tags").objects[0]["models"]
    assert [model.name for model in models] == [model["name"] for model in sent]
    assert models[0].modified_at.utcoffset() == timedelta(0)
    assert models[0].details.context_length == sent[0]["details"]["context_length"]
    assert [model.raw for model in models] == sent
    assert models[0].details.raw == sent[0]["details"]


def test_show_lists_capabilities(run: Run) -> None:
    """Capabilities, context and Modelfile of a model are at hand."""
    network = Network("show/tiny-chat")
    shown = run(run.client(transport=network).show("tiny-chat"))
    assert shown.can("tools")
    assert not shown.can("vision")
    assert shown.context_length == 2048
    assert shown.embedding_length == 128
    assert body(network) == {"model": "tiny-chat"}
    run(run.client(transport=network).show("tiny-chat", verbose=True))
    assert body(network) == {"model": "tiny-chat", "verbose": True}


def test_ps_lists_loaded_models(run: Run) -> None:
    """Loaded models have their size in memory and their end; none loaded is an empty list."""
    model = run(run.client(transport=Network("ps-loaded")).ps())[0]
    assert model.raw == recording("ps-loaded").objects[0]["models"][0]
    assert (model.size_vram, model.context_length) == (
        model.raw["size_vram"],
        model.raw["context_length"],
    )
    assert model.expires_at.tzinfo is not None
    assert list(run(run.client(transport=Network("ps-idle")).ps())) == []


def test_version(run: Run) -> None:
    """The version is text."""
    network = Network("version")
    assert run(run.client(transport=network).version()) == "0.33.0"
    assert asked(network) == [("GET", "/api/version")]
    assert network.requests[0].content == b""


def test_load_and_unload(run: Run) -> None:
    """A model is loaded by no message, and unloaded by keeping it for no time."""
    network = Network("chat/load", "chat/unload")
    client = run.client(transport=network)
    assert run(client.load("m", keep_alive="-1")).done_reason == "load"
    assert body(network) == {"model": "m", "messages": [], "keep_alive": -1, "stream": False}
    assert run(client.unload("m")).done_reason == "unload"
    assert body(network)["keep_alive"] == 0


@pytest.mark.parametrize("name", ["pull", "push"])
def test_transfers_whole_and_streamed(run: Run, name: str) -> None:
    """A transfer that works ends with success; its progress has bytes."""
    lines = [
        {"status": "pulling manifest"},
        {"status": "pulling 8ee", "digest": "sha256:8ee", "total": 10, "completed": 4},
        {"status": "success"},
    ]
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    network = Network(httpx.Response(200, content=data))
    found = run.lines(getattr(run.client(transport=network), f"{name}_stream")("m", insecure=True))
    assert [line.raw for line in found] == lines
    assert (found[1].total, found[1].completed, found[1].digest) == (10, 4, "sha256:8ee")
    assert [line.done for line in found] == [False, False, True]
    assert body(network) == {"model": "m", "insecure": True, "stream": True}
    whole = Network(httpx.Response(200, json=lines[-1]))
    assert run(getattr(run.client(transport=whole), name)("m")).done
    assert body(whole) == {"model": "m", "stream": False}


@pytest.mark.parametrize(
    ("name", "played"),
    [("pull_stream", "pull/unreachable-stream"), ("push_stream", "push/missing-stream")],
)
def test_a_transfer_that_fails_keeps_its_progress(run: Run, name: str, played: str) -> None:
    """An error line in a transfer is raised after the lines before it."""
    stream = getattr(run.client(transport=Network(played)), name)("m")
    lines, error = run.until_error(stream)
    assert isinstance(error, StreamFailedError)
    assert [line.raw for line in lines] == recording(played).objects[:-1]
    assert error.received == tuple(lines)


def test_a_pull_that_fails_whole_is_a_server_error(run: Run) -> None:
    """The same failure without a stream has its real status."""
    assert type(run.thrown(run.client(transport=Network("pull/unreachable")).pull, "m")) is (
        ServerError
    )


def test_create_whole_and_streamed(run: Run) -> None:
    """A model is made with all that the Modelfile can say."""
    network = Network("create/from-existing")
    request = CreateRequest(
        "m",
        from_="base",
        system="You are Mario.",
        parameters={"temperature": 0},
        messages=[Message("user", "Hi")],
        license=["MIT"],
        extra={"requires": "0.12"},
    )
    lines = run.lines(run.client(transport=network).create_stream(request))
    assert lines[-1].done
    assert body(network) == {
        "model": "m",
        "from": "base",
        "system": "You are Mario.",
        "parameters": {"temperature": 0},
        "messages": [{"role": "user", "content": "Hi"}],
        "license": ["MIT"],
        "requires": "0.12",
        "stream": True,
    }
    whole = Network(httpx.Response(200, json={"status": "success"}))
    assert run(run.client(transport=whole).create(request)).done


def test_create_without_a_source_is_refused_early(run: Run) -> None:
    """Neither a model nor files to make one of is an error before any request."""
    network = Network("create/nothing")
    with pytest.raises(ConfigError, match="give `from_` or `files`"):
        run(run.client(transport=network).create(CreateRequest("m")))
    assert network.requests == []


def test_copy_and_delete(run: Run) -> None:
    """An empty answer is success, and a missing model is the one that was named."""
    network = Network("copy/ok", "delete/ok")
    client = run.client(transport=network)
    assert run(client.copy("a", "b")).status == "success"
    assert run(client.delete("a")).status == "success"
    assert asked(network) == [("POST", "/api/copy"), ("DELETE", "/api/delete")]
    assert [body(network, i) for i in (0, 1)] == [
        {"source": "a", "destination": "b"},
        {"model": "a"},
    ]
    for name, arguments, played in (
        ("copy", ("nope", "b"), "copy/missing"),
        ("delete", ("nope",), "delete/missing"),
    ):
        error = run.thrown(getattr(run.client(transport=Network(played)), name), *arguments)
        assert isinstance(error, ModelNotFoundError)
        assert error.model == "nope"


@pytest.mark.parametrize("size", [0, 10, 3 * 1024 * 1024 + 5])
def test_a_file_is_uploaded_once(run: Run, tmp_path: Path, size: int) -> None:
    """A file is asked for first, and sent only when the server does not have it."""
    path = tmp_path / "weights.gguf"
    path.write_bytes(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    missing = Network("create/blob-head-missing", "create/blob-new")
    assert run(run.client(transport=missing).upload(path)) == digest
    assert asked(missing) == [(m, f"/api/blobs/{digest}") for m in ("HEAD", "POST")]
    assert missing.requests[1].content == path.read_bytes()
    assert "content-type" not in missing.requests[1].headers
    there = Network("create/blob-head")
    assert run(run.client(transport=there).upload(str(path))) == digest
    assert [method for method, _ in asked(there)] == ["HEAD"]


def test_a_file_is_sent_in_pieces(run: Run, tmp_path: Path) -> None:
    """A large file is never in memory as a whole."""
    path = tmp_path / "weights.gguf"
    path.write_bytes(b"x" * (3 * 1024 * 1024 + 5))
    sizes: list[int] = []

    class Measure(Network):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            sizes.extend(len(piece) for piece in request.stream)
            return self._play(httpx.Request(request.method, request.url))

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            sizes.extend([len(piece) async for piece in request.stream])
            return self._play(httpx.Request(request.method, request.url))

    network = Measure("create/blob-head-missing", "create/blob-new")
    run(run.client(transport=network).upload(path))
    assert [size for size in sizes if size] == [1024 * 1024] * 3 + [5]


def test_an_impossible_upload_is_refused(run: Run, tmp_path: Path) -> None:
    """A file that is not there, a server that refuses: both come out as what they are."""
    with pytest.raises(FileNotFoundError):
        run(run.client(transport=Network("version")).upload(tmp_path / "nothing"))
    path = tmp_path / "f"
    path.write_bytes(b"x")
    client = run.client(transport=Network(status(400, "invalid digest format")))
    assert isinstance(run.thrown(client.upload, path), RequestRejectedError)


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("http://127.0.0.1:11434", "/api/experimental/"),
        ("ollama.com", "/api/"),
    ],
)
def test_web_search_uses_the_server_where_it_can(run: Run, url: str, prefix: str) -> None:
    """A server of one's own signs the request; ollama.com takes the key itself (5.8)."""
    network = Network(httpx.Response(200, json=WEB), httpx.Response(200, json=PAGE))
    client = run.client(url, transport=network)
    found = run(client.web_search("q", max_results=2))
    assert [(hit.title, hit.url, hit.content) for hit in found.results] == [("T", "https://x", "C")]
    page = run(client.web_fetch("https://x"))
    assert (page.title, page.content, page.links) == ("T", "C", ["https://y"])
    assert network.paths == [f"{prefix}web_search", f"{prefix}web_fetch"]
    assert [body(network, i) for i in (0, 1)] == [
        {"query": "q", "max_results": 2},
        {"url": "https://x"},
    ]


def test_a_path_prefix_is_kept(run: Run) -> None:
    """Behind a proxy's prefix the paths are the same."""
    network = Network("version")
    run(run.client("https://h/ollama/", transport=network).version())
    assert str(network.requests[0].url) == "https://h/ollama/api/version"


@pytest.mark.parametrize("model", ["", "  "])
def test_no_model_is_refused_early(run: Run, model: str) -> None:
    """A model that is not named is an error that shows how to name one."""
    client = run.client(transport=Network("version"))
    for method, request in (
        (client.chat, ChatRequest(model)),
        (client.embed, EmbedRequest(model, ["a"])),
    ):
        with pytest.raises(ConfigError, match="set `model`"):
            run(method(request))


def test_streaming_from_an_endpoint_without_streams_is_refused(run: Run) -> None:
    """Streaming what has no stream is an error before any request."""
    client = run.client(transport=Network("version"))
    with pytest.raises(ConfigError, match=r"/api/version cannot be streamed"):
        run.lines(client.stream(native.version()))


def test_capabilities_are_at_hand(run: Run) -> None:
    """What a model can do is a list, empty where the server does not say."""
    assert "tools" in run(run.client(transport=Network("show/tiny-chat")).capabilities("m"))
    bare = Network(httpx.Response(200, json={"model_info": {}}))
    assert list(run(run.client(transport=bare).capabilities("m"))) == []


@pytest.mark.parametrize("streamed", [False, True])
def test_a_null_error_is_no_error(run: Run, streamed: bool) -> None:
    """Servers that write every field leave this one empty when all is well."""
    line = {"message": {"role": "assistant", "content": "Hi"}, "done": True, "error": None}
    client = run.client(transport=Network(httpx.Response(200, json=line)))
    request = ChatRequest("m", [Message("user", "Hi")])
    last = run.lines(client.chat_stream(request))[-1] if streamed else run(client.chat(request))
    assert last.text == "Hi"
