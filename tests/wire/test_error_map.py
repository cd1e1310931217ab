"""Every text that a server refuses with becomes the class that says what to do."""

import json
from typing import Any

import pytest
from recorded import recording

from ollama_transport import (
    AuthenticationError,
    ContextOverflowError,
    ModelNotFoundError,
    RequestRejectedError,
    ServerBusyError,
    ServerError,
    StatusError,
    StreamFailedError,
    UnsupportedCapabilityError,
)
from ollama_transport.wire.errors.mapping import answer_failure, status_error, tells_error
from ollama_transport.wire.errors.text import error_text

URL = "http://gpu:11434/api/chat"


def refused(status: int, body: bytes | dict[str, Any] | str, **facts: Any) -> StatusError:
    """Return the error for an answer; text is Ollama's `error`."""
    if isinstance(body, str):
        body = {"error": body}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return status_error(method="POST", url=URL, status=status, headers={}, body=data, **facts)


def nested(message: str, **facts: Any) -> str:
    """Return an engine's JSON as the server puts it into its own `error` (7.3)."""
    return json.dumps({"error": {"code": 400, "message": message, **facts}})


# The table of wire reference 7.2, and the texts of 7.4 and 14.
TEXTS: list[tuple[int, str, type[StatusError], str]] = [
    (400, "missing request body", RequestRejectedError, ""),
    (400, "unexpected EOF", RequestRejectedError, ""),
    (
        400,
        "invalid character 'b' looking for beginning of object key string",
        RequestRejectedError,
        "",
    ),
    (
        400,
        "json: cannot unmarshal array into Go value of type api.ChatRequest",
        RequestRejectedError,
        "",
    ),
    (400, "model is required", RequestRejectedError, ""),
    (404, "model '' not found", ModelNotFoundError, "set `model`"),
    (400, "invalid model name", RequestRejectedError, ""),
    (400, 'name "bad name!" is invalid', RequestRejectedError, ""),
    (
        400,
        'use either :local or :cloud, not both: "a:local:cloud"',
        RequestRejectedError,
        "",
    ),
    (404, "model 'nope' not found", ModelNotFoundError, "ollama pull nope"),
    (404, "model 'nope:latest' not found", ModelNotFoundError, "ollama pull nope:latest"),
    (
        404,
        'model "nope" not found, try pulling it first',
        ModelNotFoundError,
        "ollama pull nope",
    ),
    (404, 'model "nope" not found', ModelNotFoundError, "ollama pull nope"),
    (404, "model 'x:local' not found", ModelNotFoundError, "ollama pull x:local"),
    (400, '"embed" does not support chat', UnsupportedCapabilityError, "embedding model"),
    (400, '"embed" does not support generate', UnsupportedCapabilityError, "can chat"),
    (
        400,
        "registry.ollama.ai/library/X:latest does not support tools",
        UnsupportedCapabilityError,
        "`tools`",
    ),
    (
        400,
        "registry.ollama.ai/library/X:latest does not support insert",
        UnsupportedCapabilityError,
        "`suffix`",
    ),
    (
        400,
        "registry.ollama.ai/library/X:latest does not support tools\ninsert",
        UnsupportedCapabilityError,
        "`tools`",
    ),
    (400, '"X" does not support thinking', UnsupportedCapabilityError, "`think`"),
    (400, "top_logprobs must be between 0 and 20", RequestRejectedError, ""),
    (
        500,
        'option "temperature" must be of type float32',
        RequestRejectedError,
        "Correct the value",
    ),
    (
        500,
        'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object',
        RequestRejectedError,
        "Correct the value",
    ),
    (500, "template: :1: unclosed action", RequestRejectedError, "Correct the value"),
    (
        503,
        "server busy, please try again.  maximum pending requests exceeded",
        ServerBusyError,
        "OLLAMA_MAX_QUEUE",
    ),
    (
        500,
        "llama-server process has terminated: signal: killed",
        ServerError,
        "smaller num_ctx",
    ),
    (
        500,
        "llama-server reported out-of-memory during startup: x",
        ServerError,
        "smaller num_ctx",
    ),
    (
        500,
        "model runner has unexpectedly stopped, this may be due to resource limitations",
        ServerError,
        "more memory",
    ),
    (499, "request canceled", RequestRejectedError, ""),
    (
        403,
        "ollama cloud is disabled: remote model is unavailable",
        AuthenticationError,
        "Allow cloud",
    ),
    (
        400,
        "this server cannot run this remote model",
        RequestRejectedError,
        "OLLAMA_REMOTES",
    ),
    (413, "<h1>413 Request Entity Too Large</h1>", RequestRejectedError, "proxy"),
    (400, "invalid input type", RequestRejectedError, "list of texts"),
    (
        500,
        "this model only supports one image while more than one image requested",
        RequestRejectedError,
        "",
    ),
    (
        500,
        "pull model manifest: 412: needs a newer version",
        ServerError,
        "update the server",
    ),
    (502, "dial tcp: lookup ollama.com: no such host", ServerBusyError, "later"),
    (401, "unauthorized", AuthenticationError, "OLLAMA_API_KEY"),
    (429, "you have reached your hourly usage limit", ServerBusyError, "renewed"),
    (
        500,
        'llama-server returned invalid tool call arguments for "f": unexpected end of JSON input',
        ServerError,
        "ask again",
    ),
    (500, "llama-server chat error: map[code:500 message:boom type:server_error]", ServerError, ""),
    (500, "pull model manifest: file does not exist", ServerError, "library"),
    (400, "illegal base64 data at input byte 4", RequestRejectedError, "plain base64"),
    (
        400,
        "image generation models are not currently supported",
        UnsupportedCapabilityError,
        "generates text",
    ),
    (
        501,
        "This server does not support embeddings. Start it with `--embeddings`",
        UnsupportedCapabilityError,
        "nomic-embed-text",
    ),
    (400, "the input length exceeds the context length", ContextOverflowError, "num_ctx"),
    (
        400,
        "input exceeds maximum context length and cannot be truncated further",
        ContextOverflowError,
        "num_ctx",
    ),
    (
        400,
        "the prompt is longer than the context length currently available to the model",
        ContextOverflowError,
        "num_ctx",
    ),
    (500, "tools param requires --jinja flag", ServerError, "unload it"),
]


@pytest.mark.parametrize(("status", "text", "cls", "hint"), TEXTS)
def test_a_text_of_the_server_means_a_class_and_a_way_out(
    status: int, text: str, cls: type[StatusError], hint: str
) -> None:
    """Each text of the wire reference gives its class, with the text, the URL and what to do."""
    error = refused(status, text)
    assert type(error) is cls
    assert (error.status, error.error) == (status, text)
    # Advice for who starts Ollama's engine is left out: the test at the end of this file.
    shown = text.replace(" Start it with `--embeddings`", "")
    assert f"POST {URL} answered {status}: {shown}" in str(error)
    assert hint in str(error)


@pytest.mark.parametrize(
    ("text", "capability"),
    [
        ('"e" does not support chat', "completion"),
        ('"e" does not support generate', "completion"),
        ('"e" does not support thinking', "thinking"),
        ("r/l/x:latest does not support tools", "tools"),
        ("r/l/x:latest does not support insert", "insert"),
        ("This server does not support embeddings. Start", "embedding"),
        ("model does not support multimodal requests.", "vision"),
        ("image input is not supported - hint: you may need to provide the mmproj", "vision"),
    ],
)
def test_a_missing_capability_has_the_name_that_show_uses(text: str, capability: str) -> None:
    """What a model cannot do is named as /api/show names it."""
    error = refused(400, text)
    assert isinstance(error, UnsupportedCapabilityError)
    assert error.capability == capability


def test_the_model_that_was_asked_for_is_the_one_to_pull() -> None:
    """The request's own name goes before the normalised one of the text."""
    error = refused(404, "model 'nope:latest' not found", model="nope")
    assert isinstance(error, ModelNotFoundError)
    assert error.model == "nope"
    assert "`ollama pull nope`" in str(error)


OVERFLOWS = [
    (nested("request (9412 tokens) exceeds the available context size (8192 tokens)"), 9412, 8192),
    (nested("full", type="exceed_context_size_error", n_prompt_tokens=7, n_ctx=5), 7, 5),
    ("the input length exceeds the context length", None, None),
    (
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
        5000,
        4096,
    ),
    ("This model's maximum context length is 4096 tokens.", None, 4096),
]


@pytest.mark.parametrize(("text", "prompt", "length"), OVERFLOWS)
def test_an_overflow_has_both_counts(text: str, prompt: int | None, length: int | None) -> None:
    """A prompt that does not fit is a ContextOverflowError with the counts the server gave."""
    error = refused(400, text)
    assert isinstance(error, ContextOverflowError)
    assert (error.prompt_tokens, error.context_length) == (prompt, length)


def test_an_overflow_is_known_by_its_type_alone() -> None:
    """The engine's type names the overflow, whatever words its message has."""
    error = refused(
        400, nested("voll", type="exceed_context_size_error", n_prompt_tokens=7, n_ctx=5)
    )
    assert isinstance(error, ContextOverflowError)


def test_json_nested_in_the_text_is_unpacked() -> None:
    """The engine's own message is shown, not JSON in JSON (7.3), and the body is kept whole."""
    found = recording("errors/overflow-refused-native")
    error = refused(400, found.data)
    assert error.error.startswith("request (8408 tokens) exceeds the available context size")
    assert "{" not in str(error)
    assert error.body == found.data.decode()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error":"boom"}', "boom"),
        (b'{"error":{"message":"boom","type":"t","param":null,"code":null}}', "boom"),
        (b'{"message":"boom"}', "boom"),
        (b'{"detail":"boom"}', "boom"),
        (b'{"detail":[{"loc":["body"],"msg":"boom"}]}', "body: boom"),
        (b'{"error":{"code":5}}', '{"code": 5}'),
        (b'{"error":null}', '{"error":null}'),
        (b"404 page not found", "404 page not found"),
        (b"{oops", "{oops"),
        (b"", ""),
        (b"\xff\xfe", "��"),
    ],
)
def test_every_envelope_gives_its_text(body: bytes, text: str) -> None:
    """Ollama's envelope, OpenAI's, FastAPI's and none at all: the text comes out."""
    assert error_text(body)[0] == text


def test_a_proxys_page_is_shown_and_cut() -> None:
    """The words of a page are shown up to 500 characters, and the page is kept whole."""
    page = b"<html>" + b"x" * 600 + b"</html>"
    error = refused(502, page)
    assert type(error) is ServerBusyError
    assert error.error == "x" * 500 + "… (600 characters)"
    assert error.error in str(error)
    assert error.body == page.decode()


def test_an_empty_403_is_the_host_filter() -> None:
    """An empty 403 explains the Host and Origin filter (1.12, 1.13)."""
    error = refused(403, b"")
    assert isinstance(error, AuthenticationError)
    assert "an empty body" in str(error)
    assert "OLLAMA_ORIGINS" in str(error)


def test_a_401_names_the_sign_in_url() -> None:
    """The address to sign in at is in the error and in its message."""
    error = refused(401, {"error": "unauthorized", "signin_url": "https://ollama.com/connect?x"})
    assert isinstance(error, AuthenticationError)
    assert error.signin_url == "https://ollama.com/connect?x"
    assert "https://ollama.com/connect?x" in str(error)
    assert AuthenticationError("m", url="u", status=401).signin_url is None


def test_a_relayed_remote_error_keeps_its_text() -> None:
    """The extra keys of a relayed error do not hide it (7.1)."""
    error = refused(429, {"StatusCode": 429, "Status": "429 Too Many Requests", "error": "limit"})
    assert type(error) is ServerBusyError
    assert error.error == "limit"


@pytest.mark.parametrize(
    ("status", "hint"),
    [(404, "path of base_url"), (405, "path of base_url"), (301, "final address")],
)
def test_a_wrong_address_is_suspected(status: int, hint: str) -> None:
    """What is no Ollama endpoint says so."""
    error = refused(status, b"not here")
    assert type(error) is RequestRejectedError
    assert hint in str(error)


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, RequestRejectedError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, RequestRejectedError),
        (413, RequestRejectedError),
        (422, RequestRejectedError),
        (429, ServerBusyError),
        (500, ServerError),
        (501, ServerError),
        (502, ServerBusyError),
        (503, ServerBusyError),
        (504, ServerBusyError),
        (507, ServerError),
    ],
)
def test_without_a_known_text_the_status_decides(status: int, cls: type[StatusError]) -> None:
    """Other servers and proxies are judged by their status."""
    assert type(refused(status, "whatever")) is cls


def test_an_error_line_becomes_a_stream_error_with_what_came_before() -> None:
    """An error inside a stream has no status: its text and the lines before it are kept (7.4)."""
    raw = {"error": "slot failed"}
    error = answer_failure(raw, received=("a", "b"))
    assert isinstance(error, StreamFailedError)
    assert (error.error, error.received) == ("slot failed", ("a", "b"))
    assert "the answer failed after 2 lines: slot failed." in str(error)


def test_advice_for_who_starts_the_engine_is_not_passed_on() -> None:
    """Ollama starts its engine itself: the flag is none of the caller's; for llama-server it is."""
    text = "This server does not support embeddings. Start it with `--embeddings`"
    body = json.dumps({"error": text}).encode()
    for path, passed_on in (("/api/embed", False), ("/v1/embeddings", True)):
        url = f"http://127.0.0.1:1{path}"
        error = status_error(method="POST", url=url, status=501, headers={}, body=body)
        assert ("--embeddings" in str(error)) == passed_on
        assert error.error == text


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ({"error": {"message": "busy", "code": 429}}, 429),
        ({"error": {"message": "busy", "code": "503"}}, 503),
        ({"error": {"message": "busy", "type": "rate_limit_error"}}, 429),
        ({"error": {"message": "slow down", "type": "overloaded_error"}}, 503),
        ({"error": "server busy, please try again.  maximum pending requests exceeded"}, 503),
        ({"error": {"message": "no", "status": 401}}, 401),
        ({"error": {"message": "no", "type": "invalid_request_error"}}, 400),
        ({"error": {"message": "oops", "type": "InternalServerError"}}, 500),
        ({"error": {"message": "x", "code": "context_length_exceeded"}}, 400),
        ({"error": "model 'm' not found"}, 404),
        ({"error": "m does not support tools"}, 400),
        ({"object": "error", "message": "oops", "code": 502}, 502),
    ],
)
def test_an_error_inside_an_answer_has_the_class_of_its_status(raw: Any, status: int) -> None:
    """The same code and text give the same class and hint as with a failing status."""
    inside, outside = answer_failure(raw), refused(status, raw)
    assert type(inside) is type(outside)
    assert isinstance(inside, StatusError)
    assert inside.status == status
    said = [str(error).partition(f": {error.error}")[2] for error in (inside, outside)]
    assert said[0] == said[1]


def test_an_odd_key_of_ollama_is_an_error() -> None:
    """Its line for a call that it cannot parse has no key `error`."""
    raw = {"error parsing tool call": "raw='{bad', err=invalid character"}
    assert tells_error(raw)
    assert "raw='{bad'" in str(answer_failure(raw))
    assert not tells_error({"message": {"content": "x"}, "error rate": 0})
    assert not tells_error({"error": None})
