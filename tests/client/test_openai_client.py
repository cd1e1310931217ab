"""Both clients against OpenAI-compatible servers: recorded answers, and real sockets."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from faked import Network, byte_by_byte, played
from openai_events import calls, event, joined, piece
from recorded import recording
from running import Run

from ollama_ext.embedded import EmbeddedOllama, Reply
from ollama_transport import (
    AuthenticationError,
    ChatRequest,
    ContextOverflowError,
    EmbedRequest,
    GenerateRequest,
    Message,
    ModelNotFoundError,
    NamedTool,
    OllamaError,
    RequestRejectedError,
    ServerBusyError,
    ServerError,
    StreamFailedError,
    StreamTruncatedError,
    UnsupportedCapabilityError,
)

URL = "http://127.0.0.1:1/v1"
HELLO = ChatRequest("tiny-chat", [Message("user", "Hello")], options={"temperature": 0})
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as running:
        yield running


@pytest.fixture
def url(server: EmbeddedOllama) -> str:
    return f"{server.url}/v1"


@pytest.mark.parametrize(
    ("base_url", "api"), [(URL, "auto"), ("http://127.0.0.1:1", "openai"), (URL + "/", "auto")]
)
def test_the_url_or_api_chooses_this_wire(run: Run, base_url: str, api: Any) -> None:
    """A base URL that ends in /v1 speaks this wire, and so does api="openai"."""
    network = Network("openai/hello-whole")
    client = run.client(base_url, api=api, transport=network)
    line = run(client.chat(HELLO))
    assert (line.text, line.done_reason) == ("Hello! How can I help you today?", "stop")
    assert network.paths == ["/v1/chat/completions"]
    assert json.loads(network.requests[0].content) == recording("openai/hello-whole").body


def test_api_native_wins_over_the_url(run: Run) -> None:
    """A caller who asks for Ollama's own wire gets it."""
    network = Network("chat/tiny-chat/hello-whole")
    run(run.client(URL, api="native", transport=network).chat(HELLO))
    assert network.paths == ["/api/chat"]


@pytest.mark.parametrize("cut", ["chunks", "bytes"])
@pytest.mark.parametrize("name", ["hello", "sky", "tool", "two-tools", "reasoning", "schema"])
def test_a_stream_through_a_client_is_the_whole_answer(run: Run, name: str, cut: str) -> None:
    """Streamed through a client, an answer is what it is in one piece."""
    found = recording(f"openai/{name}-stream")
    pieces = found.chunks if cut == "chunks" else byte_by_byte(found.data)
    streamed = run.client(URL, transport=Network(played(found, pieces)))
    whole = run.client(URL, transport=Network(f"openai/{name}-whole"))
    lines = run.lines(streamed.chat_stream(HELLO))
    assert joined(lines) == joined([run(whole.chat(HELLO))])


def test_every_endpoint_has_its_place_below_v1(run: Run) -> None:
    """Completions, embeddings and the list of models go over this wire too."""
    network = Network("openai/completions-whole", "openai/embeddings-base64", "openai/models")
    client = run.client(URL, api="openai", transport=network)
    assert run(client.generate(GenerateRequest("m", "Hello"))).text.startswith("Hello!")
    assert len(run(client.embed(EmbedRequest("m", ["a cat", "a dog"]))).vectors) == 2
    assert [model.name for model in run(client.list())][:1] == ["mario:latest"]
    assert network.paths == ["/v1/completions", "/v1/embeddings", "/v1/models"]


def test_an_api_key_is_optional(run: Run) -> None:
    """Servers of one's own want none; where one is given it is sent."""
    network = Network("openai/models")
    run(run.client(URL, transport=network).list())
    run(run.client(URL, transport=network, api_key="k").list())
    sent = [request.headers.get("authorization") for request in network.requests]
    assert sent == [None, "Bearer k"]


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("missing-model", ModelNotFoundError, "model 'nope' not found"),
        ("model-missing", ModelNotFoundError, "model 'nope:latest' not found"),
        ("empty-messages", RequestRejectedError, "[] is too short - 'messages'"),
        ("no-tools", UnsupportedCapabilityError, "does not support tools"),
        ("embeddings-bad-format", RequestRejectedError, "Invalid value for 'encoding_format'"),
    ],
)
def test_recorded_refusals_are_errors_of_the_one_tree(
    run: Run, name: str, kind: type[OllamaError], text: str
) -> None:
    """The envelope of this wire gives the classes of Ollama's own, whole and streamed."""
    client = run.client(URL, transport=Network(f"openai/{name}"))
    error = run.thrown(client.chat, HELLO)
    _, streamed = run.until_error(client.chat_stream(HELLO))
    assert type(error) is type(streamed) is kind
    assert text in str(error)


LONG = "This model's maximum context length is 4096 tokens"
REFUSALS: list[tuple[int, Any, type[OllamaError], str]] = [
    (401, {"error": {"message": "Invalid API Key", "code": 401}}, AuthenticationError, "API Key"),
    (401, {"error": "Unauthorized"}, AuthenticationError, "Unauthorized"),
    (
        404,
        {"object": "error", "message": "The model `x` does not exist.", "code": 404},
        ModelNotFoundError,
        "Client.list()",
    ),
    (400, {"object": "error", "message": "top_p must be in (0, 1]"}, RequestRejectedError, "top_p"),
    (400, {"detail": "Bad things"}, RequestRejectedError, "Bad things"),
    (
        422,
        {"detail": [{"loc": ["body", "messages"], "msg": "Field required", "type": "missing"}]},
        RequestRejectedError,
        "body.messages: Field required",
    ),
    (500, {"error": {"message": "boom", "type": "server_error"}}, ServerError, "boom"),
    (500, "Internal Server Error", ServerError, "Internal Server Error"),
    (503, {"error": {"message": "Loading model", "code": 503}}, ServerBusyError, "Try again"),
]


@pytest.mark.parametrize(("status", "body", "kind", "text"), REFUSALS)
def test_the_envelopes_of_other_servers_are_read(
    run: Run, status: int, body: Any, kind: type[OllamaError], text: str
) -> None:
    """OpenAI's envelope, vLLM's older one, FastAPI's and plain text: one tree of errors."""
    answer = httpx.Response(status, text=body if isinstance(body, str) else json.dumps(body))
    client = run.client(URL, transport=Network(answer), max_retries=0)
    error = run.thrown(client.chat, HELLO)
    assert type(error) is kind
    assert text in str(error)


@pytest.mark.parametrize(
    ("status", "text", "counts"),
    [
        # vLLM, from older to newer
        (
            400,
            f"{LONG}. However, you requested 4100 tokens (4000 in the messages",
            (4000, 4096),
        ),
        (400, f"{LONG}. However, your request has 5000 input tokens.", (5000, 4096)),
        (
            400,
            f"{LONG}. However, you requested 99 output tokens and your prompt contains at least "
            "4000 input tokens",
            (4000, 4096),
        ),
        (
            400,
            "You passed 4001 input tokens and requested 96 output tokens. However, the model's "
            "context length is only 4096 tokens, resulting in a maximum input length of 4000",
            (4001, 4096),
        ),
        (
            400,
            "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
            (5000, 4096),
        ),
        # llama-cpp-python, and its server
        (500, "Requested tokens (5000) exceed context window of 4096", (5000, 4096)),
        (400, f"{LONG}, however you requested 5100 tokens (5000 in your prompt; 100", (5000, 4096)),
        # llama-server, chat and embeddings
        (
            400,
            "request (5000 tokens) exceeds the available context size (4096 tokens)",
            (5000, 4096),
        ),
        (
            500,
            "input (5000 tokens) is too large to process. increase the physical batch size "
            "(current batch size: 4096)",
            (5000, 4096),
        ),
        # LM Studio
        (
            400,
            "Trying to keep the first 5000 tokens when context the overflows. However, the model "
            "is loaded with context length of only 4096 tokens, which is not enough.",
            (5000, 4096),
        ),
    ],
)
def test_a_prompt_that_does_not_fit_is_reported_with_its_counts(
    run: Run, status: int, text: str, counts: tuple[int | None, int]
) -> None:
    """Each server has its own words for it."""
    answer = httpx.Response(status, json={"error": {"message": text, "code": None}})
    error = run.thrown(run.client(URL, transport=Network(answer)).chat, HELLO)
    assert isinstance(error, ContextOverflowError)
    assert (error.prompt_tokens, error.context_length) == counts
    assert "num_ctx" not in str(error)


def test_a_code_says_as_much_as_a_text(run: Run) -> None:
    """A server with other words may give OpenAI's code for them."""
    body = {"error": {"message": "too much", "code": "context_length_exceeded"}}
    client = run.client(URL, transport=Network(httpx.Response(400, json=body)))
    assert isinstance(run.thrown(client.chat, HELLO), ContextOverflowError)


def test_a_refused_named_tool_choice_is_sent_another_way(run: Run) -> None:
    """LM Studio refuses a named choice; the caller gets the call of that tool all the same."""
    refusal = {"error": "Invalid tool_choice type: 'object'. Supported string values: none, auto"}
    network = Network(httpx.Response(400, json=refusal), "openai/tool-whole")
    request = ChatRequest("m", HELLO.messages, [WEATHER], tool_choice=NamedTool("weather"))
    line = run(run.client(URL, transport=network).chat(request))
    assert [call.name for call in line.tool_calls] == ["get_current_weather"]
    choices = [json.loads(request.content)["tool_choice"] for request in network.requests]
    assert choices == [{"type": "function", "function": {"name": "weather"}}, "required"]


# --- over real sockets ---


def test_a_chat_over_a_socket_is_the_same_on_both_wires(
    run: Run, server: EmbeddedOllama, url: str
) -> None:
    """One server, both wires, whole and streamed: the same text, reason and token counts."""
    request = ChatRequest("demo", [Message("user", "Hello")], think=False)
    said = []
    for address in (server.url, url):
        client = run.client(address)
        whole, lines = run(client.chat(request)), run.lines(client.chat_stream(request))
        said += [joined([whole])[:4], joined(lines)[:4]]
        assert lines[-1].usage.total_tokens == whole.usage.total_tokens
    assert said[0][0]
    assert said == said[:1] * 4


def test_vectors_over_a_socket_are_the_same_on_both_wires(
    run: Run, server: EmbeddedOllama, url: str
) -> None:
    """Base64 on the one wire and numbers on the other give the same vectors."""
    request = EmbedRequest("demo-embed", ["a cat", "a dog"])
    native, here = (run(run.client(address).embed(request)) for address in (server.url, url))
    for one, other in zip(native.vectors, here.vectors, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_pieces_of_calls_over_a_socket(run: Run, server: EmbeddedOllama, url: str) -> None:
    """Calls that come in pieces leave as pieces, and whole with the last line."""
    chunks = calls(piece("", "a", "1", 0), piece('{"x"', index=0), piece(":1}", index=0))
    server.script("POST", "/v1/chat/completions", Reply.raw(chunks=chunks))
    lines = run.lines(run.client(url).chat_stream(HELLO))
    assert [delta.arguments for line in lines for delta in line.tool_call_deltas] == [
        "",
        '{"x"',
        ":1}",
    ]
    assert [(call.name, call.arguments) for call in lines[-1].tool_calls] == [("a", {"x": 1})]


@pytest.mark.parametrize("cut", [None, "close", "reset"])
def test_a_stream_that_breaks_off_keeps_what_came(
    run: Run, server: EmbeddedOllama, url: str, cut: Any
) -> None:
    """An end without a reason is an error, however the connection went."""
    events = recording("openai/hello-stream").chunks[:3]
    server.script("POST", "/v1/chat/completions", Reply.raw(chunks=events, cut=cut))
    lines, error = run.until_error(run.client(url).chat_stream(HELLO))
    assert isinstance(error, StreamTruncatedError)
    # A reset may overtake the last pieces.
    assert "Hello! How".startswith("".join(line.text for line in lines))
    assert error.url == f"{server.url}/v1/chat/completions"


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (event(model="", choices=[{"delta": {"content": ""}, "finish_reason": None}]), "hid why"),
        (b'data: {"error": {"message": "boom"}}\n\ndata: [DONE]\n\n', "boom"),
        (b'error: {"message": "boom"}\n\ndata: [DONE]\n\n', "boom"),
    ],
)
def test_a_failure_inside_a_stream_is_reported(
    run: Run, server: EmbeddedOllama, url: str, last: bytes, words: str
) -> None:
    """What was said before the failure reaches the caller, and then the failure does."""
    reply = Reply.raw(chunks=[event({"content": "x"}), last])
    server.script("POST", "/v1/chat/completions", reply)
    lines, error = run.until_error(run.client(url).chat_stream(HELLO))
    assert [line.text for line in lines] == ["x"]
    assert isinstance(error, StreamFailedError)
    assert words in str(error)
    assert f"{server.url}/v1/chat/completions" in str(error)


def test_the_list_over_a_socket_names_the_same_models(
    run: Run, server: EmbeddedOllama, url: str
) -> None:
    """Both wires list the same models in the same order."""
    native, here = (run(run.client(address).list()) for address in (server.url, url))
    assert [model.name for model in here] == [model.name for model in native]
    assert here


def test_a_model_is_unloaded_over_ollamas_own_wire(
    run: Run, server: EmbeddedOllama, url: str
) -> None:
    """What this wire does not have goes over the other one of the same server."""
    assert run(run.client(url).unload("demo")).done_reason == "unload"
    assert server.requests[-1].path == "/api/chat"
