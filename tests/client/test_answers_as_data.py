"""What programs for ollama-python do with answers, options, tools and errors."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from faked import Network, status
from pydantic import TypeAdapter, ValidationError
from running import Run

import ollama_transport as ollama
from ollama_transport import Image, Message, ToolCall

USER = {"role": "user", "content": "Hi"}
CALL = {
    "id": "call_1",
    "function": {"name": "weather", "arguments": {"city": "Rome"}, "index": 0},
}
MESSAGE = {"role": "assistant", "content": "", "tool_calls": [CALL]}
CHAT = {
    "model": "m",
    "created_at": "2026-01-01T00:00:00Z",
    "message": MESSAGE,
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 5,
    "eval_count": 7,
    "total_duration": 100,
}
NESTED = {"city": {"type": "string"}}
PNG = b"\x89PNG\r\n\x1a\n"


def _chat(run: Run, raw: dict[str, Any] = CHAT) -> Any:
    client = run.client(transport=Network(httpx.Response(200, json=raw)))
    return run(client.chat("m", [USER]))


def test_an_answer_is_dumped_under_the_servers_names(run: Run) -> None:
    """`model_dump` gives plain data, with None or nothing for what was not said."""
    answer = _chat(run)
    assert answer.model_dump(exclude_none=True) == CHAT
    assert answer.model_dump()["eval_duration"] is None
    assert answer.model_dump(include={"model", "done"}) == {"model": "m", "done": True}
    assert "message" not in answer.model_dump(exclude={"message"})
    assert json.loads(answer.model_dump_json(exclude_none=True)) == CHAT
    assert answer.message.model_dump(exclude_unset=True) == MESSAGE
    assert answer.message.tool_calls[0].model_dump() == CALL


def test_an_answer_becomes_a_dict(run: Run) -> None:
    """`dict(answer)` has the parts as they are, so that the message is still a message."""
    answer = _chat(run)
    pairs = dict(answer)
    assert pairs["message"] is answer.message
    assert pairs["eval_count"] == 7
    assert {name for name, value in answer.message if value} == {"role", "tool_calls"}


def test_a_dumped_message_is_sent_again_as_it_was(run: Run) -> None:
    """A history may hold the message, or its dump: the same request goes out."""
    message = _chat(run).message
    bodies = []
    for said in (message, message.model_dump(), json.loads(message.model_dump_json())):
        network = Network(httpx.Response(200, json=CHAT))
        run(run.client(transport=network).chat("m", [USER, said]))
        bodies.append(json.loads(network.requests[0].content)["messages"])
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0][1]["tool_calls"][0]["function"] == CALL["function"]


def test_an_answer_is_copied_with_other_parts_and_read_back(run: Run) -> None:
    """`model_copy` and `model_validate`, as for the parts of a fake in a program's own tests."""
    answer = _chat(run)
    message = answer.message.model_copy(update={"content": "changed"}, deep=True)
    assert (message.content, answer.message.content) == ("changed", "")
    again = ollama.ChatResponse.model_validate(answer.model_dump())
    assert again.message == answer.message
    assert ollama.ChatResponse.model_validate(again) is again
    made = ollama.GenerateResponse.model_validate_json('{"response": "x", "done": true}')
    assert (made.response, made.model_copy(update={"response": "y"}).text) == ("x", "y")
    vectors = ollama.EmbedResponse.model_validate({"embeddings": [[1.0]]})
    assert vectors.model_dump(exclude_none=True) == {"embeddings": [[1.0]]}
    assert Message.model_validate(MESSAGE).tool_calls[0].name == "weather"


def test_an_answer_is_changed_in_place(run: Run) -> None:
    """A program may cut what it shows: by key and by attribute, under the server's names."""
    answer = _chat(run)
    answer["message"]["content"] = "by key"
    assert answer.message.content == "by key"
    answer.message.content = "by attribute"
    assert answer["message"]["content"] == "by attribute"
    made = ollama.GenerateResponse.model_validate({"response": "x", "done": True})
    made["response"] = "y"
    assert made.text == "y"
    with pytest.raises(KeyError, match="nonsense"):
        answer["nonsense"] = 1


def test_an_empty_list_is_not_a_part(run: Run) -> None:
    """`message.get("tool_calls")` is None without calls, and a default is given instead."""
    quiet = {**CHAT, "message": {"role": "assistant", "content": "Hi"}}
    message = _chat(run, quiet).message
    assert message.get("tool_calls") is None
    assert message.get("tool_calls", []) == []
    assert message.get("content") == "Hi"
    assert message.model_dump(exclude_none=True) == quiet["message"]


def test_pictures_are_dumped_as_base64() -> None:
    """Bytes of a picture are text in JSON."""
    assert Message("user", "look", images=[PNG]).model_dump()["images"] == ["iVBORw0KGgo="]


def test_a_list_of_models_is_dumped(run: Run) -> None:
    """`list().model_dump()` and `dict(list())` have `models`."""
    listed = run(run.client(transport=Network("tags")).list())
    dumped = listed.model_dump()
    assert [model["model"] for model in dumped["models"]] == [m.model for m in listed]
    assert dict(listed)["models"] == listed.models


def test_options_are_read_and_written_by_key() -> None:
    """`Options` is an object and a mapping; a wrong value is refused where it is set."""
    options = ollama.Options(temperature=0.5)
    options["seed"] = 1
    options.num_ctx = 4096
    assert (options["seed"], options.get("num_ctx"), "top_k" in options) == (1, 4096, False)
    assert options.get("top_k") is None
    assert options.get("nonsense", 3) == 3
    with pytest.raises(KeyError):
        options["top_k"]
    with pytest.raises(ValueError, match="num_ctx"):
        options.num_ctx = 0
    assert options.model_dump(exclude_none=True) == {"temperature": 0.5, "seed": 1, "num_ctx": 4096}


def test_a_tool_is_built_of_its_parts_and_sent_whole(run: Run) -> None:
    """`Tool.Function.Parameters.Property` as there; keys that the classes do not name stay."""
    parameters = ollama.Tool.Function.Parameters
    tool = ollama.Tool(
        type="function",
        function=ollama.Tool.Function(
            name="weather",
            description="Tell the weather.",
            parameters=parameters(
                properties={"place": parameters.Property(type="object", properties=NESTED)},
                required=["place"],
            ),
        ),
    )
    assert tool["function"]["name"] == tool.function.name == "weather"
    assert tool.get("nonsense") is None
    assert "function" in tool
    network = Network(httpx.Response(200, json=CHAT))
    run(run.client(transport=network).chat("m", [USER], tools=[tool]))
    (sent,) = json.loads(network.requests[0].content)["tools"]
    assert sent["function"]["parameters"] == {
        "type": "object",
        "properties": {"place": {"type": "object", "properties": NESTED}},
        "required": ["place"],
    }


def test_calls_of_a_message_may_be_dicts(run: Run) -> None:
    """`Message(role=…, tool_calls=[{"function": …}])` is sent as with `ToolCall`."""
    bodies = []
    for call in (CALL, ToolCall("weather", {"city": "Rome"}, "call_1", 0)):
        network = Network(httpx.Response(200, json=CHAT))
        message = Message("assistant", tool_calls=(call,))  # type: ignore[arg-type] # as there
        run(run.client(transport=network).chat("m", [USER, message]))
        bodies.append(network.requests[0].content)
    assert bodies[0] == bodies[1]


def test_errors_made_by_hand_read_as_there() -> None:
    """A program's own `ResponseError` shows its status, and takes the whole body of an answer."""
    error = ollama.ResponseError('{"error": "boom"}', 500)
    assert (error.error, error.status_code, str(error)) == ("boom", 500, "boom (status code: 500)")
    assert str(ollama.ResponseError("{bad")) == "{bad"
    assert ollama.RequestError("must provide a model").error == "must provide a model"


def test_a_blob_is_sent_where_head_is_not_answered(run: Run, tmp_path: Path) -> None:
    """A proxy that knows no HEAD does not keep a file from the server."""
    path = tmp_path / "blob"
    path.write_bytes(b"weights")
    network = Network(status(405, "method not allowed"), httpx.Response(201))
    digest = run(run.client(transport=network).create_blob(path))
    assert [request.method for request in network.requests] == ["HEAD", "POST"]
    assert network.paths[1] == f"/api/blobs/{digest}"


def test_a_picture_alone_is_an_answer(run: Run) -> None:
    """A model of pictures answers `generate` without a word."""
    answer = {"model": "m", "image": "iVBORw0KGgo=", "done": True}
    network = Network(httpx.Response(200, json=answer))
    made = run(run.client(transport=network).generate("m", "a robot", width=64, height=64))
    assert made.image == made["image"] == "iVBORw0KGgo="
    assert len(network.requests) == 1


def test_a_key_of_the_environment_searches_at_ollama_com(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With OLLAMA_API_KEY ollama.com is asked, and nothing else that authenticates goes there."""
    monkeypatch.setenv("OLLAMA_API_KEY", "key-of-ollama-com")
    network = Network(
        httpx.Response(200, json={"results": []}),
        httpx.Response(200, json={"title": "T", "content": "C"}),
    )
    client = run.client(transport=network, headers={"Authorization": "Bearer private"})
    assert run(client.web_search("tea", 2)).results == []
    assert run(client.web_fetch("https://x"))["title"] == "T"
    assert [str(request.url) for request in network.requests] == [
        "https://ollama.com/api/web_search",
        "https://ollama.com/api/web_fetch",
    ]
    assert {r.headers["authorization"] for r in network.requests} == {"Bearer key-of-ollama-com"}
    assert json.loads(network.requests[0].content) == {"query": "tea", "max_results": 2}


def test_text_is_never_opened_as_a_picture(run: Run, tmp_path: Path) -> None:
    """A path is read where it is named as one; the refusal of text says how."""
    path = tmp_path / "photo.png"
    path.write_bytes(PNG)
    network = Network(httpx.Response(200, json=CHAT))
    client = run.client(transport=network)
    run(client.chat("m", [Message("user", "look", images=[Image(path=path)])]))  # type: ignore[list-item] # as there
    assert json.loads(network.requests[0].content)["messages"][0]["images"] == ["iVBORw0KGgo="]
    error = run.thrown(client.chat, "m", [{**USER, "images": [str(path)]}])
    assert "Path" in str(error)


_TAG = {"name": "m:latest", "model": "m:latest", "size": 4_000_000, "digest": "sha256:1"}


@pytest.mark.parametrize("way", ["list", "ps"])
def test_lists_of_models_are_dumped_as_json(run: Run, way: str) -> None:
    """`model_dump(mode="json")` and `model_dump_json` make times text, for web answers."""
    when = "2026-01-01T00:00:00Z"
    raw = {"models": [{**_TAG, "modified_at" if way == "list" else "expires_at": when}]}
    client = run.client(transport=Network(httpx.Response(200, json=raw)))
    found = run(getattr(client, way)())
    dumped = found.model_dump(mode="json", exclude_none=True)
    assert when in dumped["models"][0].values()
    assert json.loads(found.model_dump_json(exclude_none=True)) == dumped
    assert json.loads(found.model_dump_json(indent=2))["models"][0]["digest"] == "sha256:1"


@pytest.mark.parametrize("way", ["list", "ps"])
@pytest.mark.parametrize("left_out", ["name", "model"])
def test_a_listed_model_has_both_names(run: Run, way: str, left_out: str) -> None:
    """Servers that say one of the two names are read, and `raw` is what they sent."""
    raw = {key: value for key, value in _TAG.items() if key != left_out}
    client = run.client(transport=Network(httpx.Response(200, json={"models": [raw]})))
    (found,) = run(getattr(client, way)())
    assert (found.name, found.model) == ("m:latest", "m:latest")
    assert found.raw == raw


def test_sizes_are_numbers_that_can_be_read(run: Run) -> None:
    """As in ollama-python, `size.human_readable()` says them for people."""
    client = run.client(transport=Network(httpx.Response(200, json={"models": [_TAG]})))
    (found,) = run(client.list())
    assert found.size == 4_000_000
    assert found.size.human_readable() == "3.8MiB"


def test_null_is_a_part_that_is_not_there(run: Run) -> None:
    """A server that writes null for what it does not know is listed, as by ollama-python."""
    nulls = dict.fromkeys(("size", "digest", "details", "modified_at"))
    raw = _TAG | nulls | {"own": None}
    client = run.client(transport=Network(httpx.Response(200, json={"models": [raw]})))
    (found,) = run(client.list())
    assert (found.name, found.size, found.digest, found.details) == ("m:latest", 0, "", None)
    assert (found.raw, found["own"]) == (raw, None)


def test_further_arguments_of_httpx_are_taken(run: Run) -> None:
    """ollama-python passes whatever it is given to httpx."""
    transport = Network(httpx.Response(200, json=CHAT))
    client = run.client(transport=transport, max_redirects=1, default_encoding="utf-8")
    assert run(client.chat("m", [USER])).done


def test_limits_of_httpx_are_for_its_connections(run: Run) -> None:
    """`limits=httpx.Limits(…)`, as ollama-python takes it, and our own mean different things."""
    client = run.client(
        limits=httpx.Limits(max_connections=2), transport=Network(httpx.Response(200, json=CHAT))
    )
    assert run(client.chat("m", [USER])).done
    with pytest.raises(ollama.ConfigError, match=r"invalid limits 3: give Limits"):
        ollama.Client(limits=3)  # type: ignore[arg-type] # wrong on purpose


@pytest.mark.parametrize(
    ("cls", "raw"),
    [
        (ollama.ChatResponse, CHAT),
        (ollama.GenerateResponse, {"model": "m", "response": "Hi", "done": True}),
        (ollama.EmbedResponse, {"model": "m", "embeddings": [[1.0, 2.0]]}),
        (ollama.Message, MESSAGE),
    ],
)
def test_answers_are_fields_of_pydantic_models(cls: Any, raw: dict[str, Any]) -> None:
    """A program keeps them in models of its own, and FastAPI reads and writes them."""
    adapter = TypeAdapter(list[cls])
    (read,) = adapter.validate_python([raw])
    assert isinstance(read, cls)
    assert adapter.validate_python([read]) == [read]
    assert adapter.dump_python([read]) == [read.model_dump()]
    assert json.loads(adapter.dump_json([read])) == [json.loads(read.model_dump_json())]
    assert adapter.json_schema()["items"] == {"type": "object", "title": cls.__name__}
    with pytest.raises(ValidationError):
        adapter.validate_python([3])


def test_what_a_model_is_becomes_a_dict(run: Run) -> None:
    """`dict(show(…))` has the names of ollama-python."""
    raw = {"model_info": {"general.architecture": "llama"}, "capabilities": ["completion"]}
    shown = run(run.client(transport=Network(httpx.Response(200, json=raw))).show("m"))
    found = dict(shown)
    assert found["modelinfo"] == raw["model_info"]
    assert found["capabilities"] == ["completion"]
