"""Programs for ollama-python run as they are: keyword forms, answers by attribute and by key."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from faked import Network, status
from pydantic import BaseModel
from running import Run

import ollama_transport as ollama
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Reply, demo_models
from ollama_transport import (
    AsyncClient,
    ChatRequest,
    Client,
    ConfigError,
    EmbedRequest,
    Image,
    Message,
    ModelNotFoundError,
    OllamaError,
    Options,
    UnsupportedContentError,
)

PNG = b"\x89PNG\r\n\x1a\n"
PNG_TEXT = base64.b64encode(PNG).decode()
HELLO = "Hello! How can I help you today?"
USER = {"role": "user", "content": "Hi"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedOllama]:
    models = [EmbeddedModel("llama3.2"), *demo_models()]
    with EmbeddedOllama(models) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        # The package's own client reads the environment at its first use, of which there is one.
        from ollama_transport.client import default

        monkeypatch.setattr(default._client, "_config", None)
        monkeypatch.setattr(default._client, "_pool", None)
        yield server
        default._client.close()


def body(network: Network, index: int = -1) -> Any:
    return json.loads(network.requests[index].content)


# The lines that a newcomer types.


def test_a_loop_over_a_streamed_chat(server: EmbeddedOllama) -> None:
    """`for part in ollama.chat(…, stream=True)` reads its parts by key and by attribute."""
    server.script("POST", "/api/chat", Reply.lines([_part("Hel"), _part("lo", done=True)]))
    text = ""
    for part in ollama.chat(model="llama3.2", messages=[USER], stream=True):
        text += part["message"]["content"]
        assert part.message.content == part["message"]["content"]
    assert text == "Hello"


def test_embeddings_by_key(server: EmbeddedOllama) -> None:
    """`ollama.embeddings(…)["embedding"]` is one vector."""
    vector = ollama.embeddings(model="demo-embed", prompt="a text")["embedding"]
    assert vector
    assert all(isinstance(number, float) for number in vector)


async def test_an_async_loop_over_a_streamed_chat(server: EmbeddedOllama) -> None:
    """`async for part in await AsyncClient().chat(…, stream=True)`."""
    server.script("POST", "/api/chat", Reply.lines([_part("Hel"), _part("lo", done=True)]))
    client = AsyncClient()
    stream = await client.chat(model="llama3.2", messages=[USER], stream=True)
    assert "".join([part["message"]["content"] async for part in stream]) == "Hello"
    await client.close()


def test_a_missing_model_is_a_response_error_of_404(server: EmbeddedOllama) -> None:
    """`except ollama.ResponseError as e: if e.status_code == 404: ollama.pull(…)`."""
    with pytest.raises(ollama.ResponseError) as caught:
        ollama.chat("missing", messages=[USER])
    assert caught.value.status_code == 404
    assert "missing" in caught.value.error
    server.script("POST", "/api/pull", Reply.json({"status": "success"}))
    assert ollama.pull("missing")["status"] == "success"


# What the keyword forms send, and what is read from the answers.


def test_a_chat_of_keywords_sends_what_its_request_would(run: Run) -> None:
    """Messages are dicts or ours; options are a mapping or `Options`."""
    network = Network("chat/tiny-chat/hello-whole")
    client = run.client(transport=network)
    answer = run(
        client.chat(
            "m",
            [{"role": "system", "content": "Be brief."}, Message("user", "Hi")],
            options=Options(temperature=0),
            keep_alive="5m",
            think=False,
        )
    )
    assert body(network) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "options": {"temperature": 0},
        "keep_alive": "5m",
        "think": False,
        "stream": True,
    }
    assert answer["message"]["content"] == answer.message.content == HELLO
    assert answer.get("done_reason") == "stop"
    assert answer["eval_count"] == answer.eval_count == answer.usage.completion_tokens
    assert answer["total_duration"] > 0
    assert "message" in answer
    assert "nonsense" not in answer
    with pytest.raises(KeyError):
        answer["nonsense"]


def test_functions_are_tools(run: Run) -> None:
    """A function's signature and docstring are its tool; a call is read as ollama-python's."""

    def weather(city: str, days: int = 1) -> str:
        """Tell the weather.

        Args:
            city: Where.
            days: How many days
                ahead.
        """
        return f"{city}{days}"

    network = Network(
        httpx.Response(
            200,
            json=_part(
                "",
                done=True,
                calls=[{"function": {"name": "weather", "arguments": {"city": "Rome"}}}],
            ),
        ),
        "chat/tiny-chat/hello-whole",
    )
    client = run.client(transport=network)
    answer = run(client.chat(model="m", messages=[USER], tools=[weather]))
    function = body(network)["tools"][0]["function"]
    assert (function["name"], function["description"]) == ("weather", "Tell the weather.")
    assert function["parameters"]["required"] == ["city"]
    shown = {
        n: (p["type"], p["description"]) for n, p in function["parameters"]["properties"].items()
    }
    assert shown["city"] == ("string", "Where.")
    assert shown["days"][0] == "integer"
    assert shown["days"][1].startswith("How many days ahead.")
    call = answer.message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("weather", {"city": "Rome"})
    assert call["function"]["arguments"]["city"] == "Rome"
    assert "tool_calls" in answer["message"]
    # And back: the answer's own message, and the tool's result, as a dict.
    result = {"role": "tool", "content": "22", "tool_name": call.function.name}
    run(client.chat(model="m", messages=[USER, answer["message"], result], tools=[weather]))
    sent = body(network)["messages"]
    assert sent[1]["tool_calls"][0]["function"]["name"] == "weather"
    assert sent[2] == {"role": "tool", "content": "22", "tool_name": "weather"}


def test_a_function_that_no_schema_can_express_is_refused(run: Run) -> None:
    """The error names the function and what to do, and nothing is sent."""

    def odd(connection: Client) -> None: ...

    network = Network("chat/tiny-chat/hello-whole")
    with pytest.raises(ConfigError, match=r"function odd .*as a dict"):
        run(run.client(transport=network).chat("m", [USER], tools=[odd]))
    with pytest.raises(ConfigError, match="has no name"):
        run(run.client(transport=network).chat("m", [USER], tools=[lambda city: city]))
    assert network.requests == []


def test_a_class_is_a_format(run: Run) -> None:
    """`format=` takes a pydantic class as well as its schema."""

    class Country(BaseModel):
        name: str

    network = Network("chat/tiny-chat/hello-whole")
    client = run.client(transport=network)
    run(client.chat("m", [USER], format=Country))
    by_class = body(network)["format"]
    run(client.chat("m", [USER], format=Country.model_json_schema()))
    assert by_class == body(network)["format"]
    assert by_class["properties"]["name"]["type"] == "string"


@pytest.mark.parametrize("how", ["path", "image", "value", "bytes", "base64"])
def test_a_picture_is_read_from_the_file_that_its_caller_names(
    run: Run, tmp_path: Path, how: str
) -> None:
    """A `Path` or an `Image` names a file; bytes and base64 are the data."""
    file = tmp_path / "photo.png"
    file.write_bytes(PNG)
    picture = {
        "path": file,
        "image": Image(path=str(file)),
        "value": Image(value=file),
        "bytes": PNG,
        "base64": Image(value=PNG_TEXT),
    }[how]
    network = Network("chat/tiny-chat/hello-whole", "generate/whole")
    client = run.client(transport=network)
    run(client.chat("m", [{**USER, "images": [picture]}]))
    assert body(network)["messages"][0]["images"] == [PNG_TEXT]
    run(client.generate("m", "What is it?", images=[picture]))
    assert body(network)["images"] == [PNG_TEXT]


def test_text_is_never_taken_for_a_path(run: Run, tmp_path: Path) -> None:
    """What a user of a program typed cannot name a file that is read and sent."""
    file = tmp_path / "photo.png"
    file.write_bytes(PNG)
    network = Network("chat/tiny-chat/hello-whole")
    for picture in (str(file), Image(value=str(file))):
        with pytest.raises(UnsupportedContentError, match="Path"):
            run(run.client(transport=network).chat("m", [{**USER, "images": [picture]}]))
    assert network.requests == []


def test_a_file_that_is_not_there_is_an_os_error(run: Run, tmp_path: Path) -> None:
    """Nothing is sent without the picture."""
    network = Network("chat/tiny-chat/hello-whole")
    message = {**USER, "images": [tmp_path / "none.png"]}
    with pytest.raises(FileNotFoundError):
        run(run.client(transport=network).chat("m", [message]))
    assert network.requests == []


def test_generate_by_keywords(run: Run) -> None:
    """Prompt and suffix stand by place; the answer has ``response``."""
    network = Network("generate/whole")
    answer = run(run.client(transport=network).generate("m", "Hi", system="S", width=512))
    assert body(network) == {
        "model": "m", "prompt": "Hi", "system": "S", "width": 512, "stream": True
    }  # fmt: skip
    assert answer["response"] == answer.response == answer.text != ""


def test_a_streamed_generate_by_keywords(run: Run) -> None:
    """Its parts have ``response``, too."""
    client = run.client(transport=Network("generate/stream"))
    parts = run.lines(run(client.generate(model="m", prompt="Hi", stream=True)))
    assert "".join(part["response"] for part in parts) == "".join(part.text for part in parts) != ""


def test_one_text_is_embedded_as_well_as_several(run: Run) -> None:
    """`embed(input="…")` sends one text, and reads ``embeddings``."""
    network = Network("embed/three")
    client = run.client(transport=network)
    answer = run(client.embed(model="m", input=["a", "b", "c"], dimensions=3))
    assert body(network) == {"model": "m", "input": ["a", "b", "c"], "dimensions": 3}
    assert answer["embeddings"] == answer.embeddings == answer.vectors
    assert run(client.embed(EmbedRequest("m", []))).vectors == []


def test_lists_of_models_are_sequences_and_have_models(run: Run) -> None:
    """`client.list().models`, `["models"]`, and the list itself."""
    client = run.client(transport=Network("tags"))
    found = run(client.list())
    assert found.models == found["models"] == list(found)
    assert found.models[0].model == found["models"][0]["model"] == found[0].name
    assert found[0]["details"]["family"] == found[0].details.family
    running = run(run.client(transport=Network("ps-loaded")).ps())
    assert running.models[0]["size_vram"] == running[0].size_vram


def test_show_has_modelinfo(run: Run) -> None:
    """`show(m).modelinfo` and `["capabilities"]`."""
    answer = run(run.client(transport=Network("show/tiny-chat")).show("m"))
    assert answer.modelinfo == answer["modelinfo"] == answer["model_info"]
    assert answer["capabilities"] == answer.capabilities
    assert "general.architecture" in answer.modelinfo


MODELFILE = '''
# A comment
FROM llama3.2
PARAMETER temperature 0.5
PARAMETER stop "###"
PARAMETER stop <end>
SYSTEM """You are Mario.
Be brief."""
MESSAGE user Who are you?
LICENSE MIT
'''


def test_a_modelfile_is_read(run: Run) -> None:
    """Its text is what servers of today take by fields; a keyword goes before it."""
    network = Network(httpx.Response(200, json={"status": "success"}))
    client = run.client(transport=network)
    answer = run(client.create(model="mario", modelfile=MODELFILE, license="Apache-2.0"))
    assert answer["status"] == answer.status == "success"
    assert body(network) == {
        "model": "mario",
        "from": "llama3.2",
        "parameters": {"temperature": 0.5, "stop": ["###", "<end>"]},
        "system": "You are Mario.\nBe brief.",
        "messages": [{"role": "user", "content": "Who are you?"}],
        "license": "Apache-2.0",
        "stream": False,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM ./model.gguf", "create_from_gguf"),
        ("FROM llama3.2\nADAPTER ./a.gguf", "upload"),
        ("FROM llama3.2\nVOLUME /data", "unknown Modelfile command VOLUME"),
        ('FROM llama3.2\nSYSTEM """open', "never closes"),
        ("FROM", "is not a command"),
    ],
)
def test_a_modelfile_that_cannot_be_taken_is_refused(run: Run, text: str, said: str) -> None:
    """A path in it is not read, and what is wrong is named."""
    network = Network(httpx.Response(200, json={"status": "success"}))
    with pytest.raises(ConfigError, match=said):
        run(run.client(transport=network).create("m", modelfile=text))
    assert network.requests == []


@pytest.mark.parametrize("name", ["pull", "push"])
def test_transfers_stream_by_keyword(run: Run, name: str) -> None:
    """`pull(m, stream=True)` yields its steps."""
    lines = b'{"status":"pulling manifest"}\n{"status":"success"}\n'
    client = run.client(transport=Network(httpx.Response(200, content=lines)))
    steps = run.lines(run(getattr(client, name)("m", stream=True)))
    assert [step["status"] for step in steps] == ["pulling manifest", "success"]


def test_a_misspelt_keyword_is_named(run: Run) -> None:
    """The nearest that there is, is told; a request takes none beside it."""
    client = run.client(transport=Network("chat/tiny-chat/hello-whole"))
    with pytest.raises(ConfigError, match="did you mean 'options'"):
        run(client.chat("m", [USER], optoins={}))
    with pytest.raises(ConfigError, match="put think into it"):
        run(client.chat(ChatRequest("m"), think=True))


@pytest.mark.parametrize("given", [[1], "Hi", [{"content": "Hi"}], {"role": "user"}])
def test_anything_but_a_list_of_messages_is_refused(run: Run, given: Any) -> None:
    """The error shows how a message is written."""
    with pytest.raises(ConfigError, match=r"role|list"):
        run(run.client(transport=Network("chat/tiny-chat/hello-whole")).chat("m", given))


def test_errors_in_a_stream_are_response_errors(run: Run) -> None:
    """As in ollama-python their status is -1."""
    line = b'{"error":"model runner has unexpectedly stopped"}\n'
    client = run.client(transport=Network(httpx.Response(200, content=line)))
    _, error = run.until_error(run(client.chat("m", [USER], stream=True)))
    assert isinstance(error, ollama.ResponseError)
    assert (error.error, error.status_code) == ("model runner has unexpectedly stopped", -1)


def test_a_response_error_can_be_made_as_there(run: Run) -> None:
    """Tests of users raise it themselves; a server's refusal is one and has its own class."""
    error = ollama.ResponseError("model not found", 404)
    assert (error.error, error.status_code, str(error)) == (
        "model not found",
        404,
        "model not found (status code: 404)",
    )
    assert issubclass(ollama.ResponseError, OllamaError)
    client = run.client(transport=Network(status(404, "model 'm' not found")))
    assert isinstance(run.thrown(client.chat, "m", [USER]), ModelNotFoundError)


def test_a_client_is_made_as_there() -> None:
    """`host`, `headers`, httpx's own arguments and its Timeout."""
    client = Client(
        host="http://example.test:1234",
        headers={"X-Custom": "value"},
        verify=False,
        follow_redirects=False,
        timeout=httpx.Timeout(3, connect=1),
    )
    assert client.config.endpoint.url == "http://example.test:1234"
    assert client.config.headers["x-custom"] == "value"
    assert (client.timeouts.connect_s, client.timeouts.read_s) == (1, 3)
    with pytest.raises(ConfigError, match="another name"):
        Client("http://a", host="http://b")


def test_the_functions_are_found_and_leave_a_star_import_alone() -> None:
    """`dir` shows them; after `from ollama_transport import *` `list` is Python's own."""
    assert {"chat", "list", "web_search"} <= set(dir(ollama))
    found: dict[str, object] = {}
    exec("from ollama_transport import *", found)
    assert "list" not in found


def _part(text: str, *, done: bool = False, calls: Any = None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls is not None:
        message["tool_calls"] = calls
    end = {"done_reason": "stop"} if done else {}
    return {
        "model": "m",
        "created_at": "2026-01-01T00:00:00Z",
        "message": message,
        "done": done,
    } | end


@pytest.mark.parametrize("method", ["chat", "generate", "create"])
@pytest.mark.parametrize("given", ["demo", None, {"model": "demo"}], ids=repr)
def test_a_stream_method_takes_a_whole_request(run: Run, method: str, given: Any) -> None:
    """Anything else is an error at once, which names the method that takes keywords."""
    stream = getattr(run.client(transport=Network()), f"{method}_stream")
    with pytest.raises(ConfigError, match=rf"takes a {method.title()}Request.*{method}\("):
        stream(given)
