"""Whatever a server sends ends in a result or in an error of ours: every parser is fed anything."""

import base64
import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fault_ways import WAYS, Way, results_of
from hostile_json import BODIES, OBJECTS
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ollama_transport import (
    ChatRequest,
    ConfigError,
    EmbedRequest,
    GenerateRequest,
    Message,
    OllamaError,
    StatusError,
)
from ollama_transport.settings.host import endpoint_from_env, parse_host
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.calls.decoders import parse_object
from ollama_transport.wire.errors.mapping import answer_failure, status_error
from ollama_transport.wire.native import calls as native
from ollama_transport.wire.native import web
from ollama_transport.wire.openai import calls as openai

EXAMPLES = int(os.environ.get("OLLAMA_EXT_FUZZ_EXAMPLES", "100"))
"""So many for each parser; the adapters, which are slow, get a tenth. Set it for a long run."""

THOROUGH = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
BRIEF = settings(THOROUGH, max_examples=max(5, EXAMPLES // 10))
CHAT = ChatRequest(model="m", messages=[Message("user", "hi")], logprobs=True)
CALLS: dict[str, Call[Any]] = {
    "native-chat": native.chat(CHAT),
    "native-generate": native.generate(GenerateRequest(model="m", prompt="hi")),
    "native-embed": native.embed(EmbedRequest(model="m", input=["a", "b"])),
    "native-models": native.models(),
    "native-ps": native.ps(),
    "native-version": native.version(),
    "native-show": native.show("m"),
    "native-pull": native.pull("m"),
    "native-web-search": web.search("q", max_results=None, cloud=False),
    "native-web-fetch": web.fetch("http://a", cloud=False),
    "openai-chat": openai.chat(CHAT),
    "openai-generate": openai.generate(GenerateRequest(model="m", prompt="hi")),
    "openai-embed": openai.embed(EmbedRequest(model="m", input=["a", "b"])),
    "openai-models": openai.models(),
}


def or_ours(work: Callable[[], Any]) -> Any:
    """Return what work returns, None for an error of ours; any other error is let through."""
    try:
        return work()
    except OllamaError:
        return None


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("name", CALLS)
@THOROUGH
@given(raw=OBJECTS)
@example(raw={"message": {"content": "x", "role": 5}, "done": True})
@example(raw={"message": {"tool_calls": [{"function": {"name": "\ud800", "index": []}}]}})
@example(raw={"choices": [{"delta": 5, "text": ""}], "model": ""})
@example(raw={"data": [{"index": [], "embedding": [1]}, {"index": 1, "embedding": [10**400]}]})
@example(raw={"embeddings": [[float("nan")], [1]]})
@example(raw={"parameters": "num_ctx " + "9" * 5000, "total_duration": 10**400})
def test_an_object_is_read_or_refused(name: str, raw: dict[str, Any]) -> None:
    """Each whole answer becomes its value, all properties of which can be read."""
    answer = or_ours(lambda: CALLS[name].read(raw))
    for attribute in ("usage", "num_ctx", "context_length", "embedding_length"):
        found = getattr(answer, attribute, None)
        assert found is None or repr(found)
        assert getattr(found, "total_tokens", None) is None or found.tokens_per_second != ""


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call.reader is not None])
@THOROUGH
@given(data=BODIES, size=st.integers(1, 50))
def test_a_stream_is_read_or_refused(name: str, data: bytes, size: int) -> None:
    """Each stream gives lines and ends in an error of ours, however it is cut."""
    make = CALLS[name].reader
    assert make is not None
    reader = make()

    def whole() -> None:
        for piece in pieces(data, max(size, len(data) // 200)):
            reader.feed(piece)
        reader.finish()

    or_ours(whole)
    assert isinstance(reader.received, tuple)


@THOROUGH
@given(data=BODIES)
def test_bytes_are_an_object_or_refused(data: bytes) -> None:
    """No JSON at all, deep JSON and long numbers are a ProtocolError."""
    or_ours(lambda: parse_object(data))


@THOROUGH
@given(body=BODIES, status=st.sampled_from([300, 400, 401, 403, 404, 413, 429, 500, 502, 503]))
@example(body=b'{"detail":[{"msg":"bad","loc":null}]}', status=400)
@example(body=b'{"detail":[{"msg":"bad","loc":5}]}', status=400)
@example(body=b'{"error":"maximum context length is ' + b"9" * 5000 + b'"}', status=400)
@example(body=b'{"error":' + b'{"a":' * 900 + b"1" + b"}" * 901, status=400)
def test_an_error_body_is_a_status_error(body: bytes, status: int) -> None:
    """Whatever stands in it, the error of its status is made, and can be shown."""
    error = status_error(
        method="POST", url="http://h/api/chat", status=status, headers={}, body=body
    )
    assert str(error)
    assert str(status) in str(error)


@THOROUGH
@given(raw=OBJECTS)
def test_an_error_line_is_a_stream_error(raw: dict[str, Any]) -> None:
    """So is a line of a stream."""
    assert str(answer_failure(raw))


DATES = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"\A[A-Z][a-z]{2}, \d{1,12} [A-Z][a-z]{2} \d{1,12} \d\d:\d\d:\d\d [A-Z+-]\w*\Z"),
    st.sampled_from(
        [
            "Mon, 01 Jan 99999999999 00:00:00 GMT",
            "Mon, 01 Jan 0001 00:00:00 +2359",
            "nan",
            "inf",
            "-5",
            "5.",
            ".",
            "1e400",
            "9" * 5000,
            "²",
        ]
    ),
)


@THOROUGH
@given(after=DATES, date=DATES)
@example(after="Mon, 01 Jan 99999999999 00:00:00 GMT", date="")
def test_retry_after_is_seconds_or_nothing(after: str, date: str) -> None:
    """No text there raises, and none is a wait below 0 or without end."""
    error = StatusError("m", url="u", status=429, headers={"retry-after": after, "date": date})
    seconds = error.retry_after_s
    assert seconds is None or 0 <= seconds < float("inf")


@pytest.mark.parametrize(("text", "seconds"), [("5", 5.0), ("1.5", 1.5), (" 7 ", 7.0)])
def test_retry_after_reads_seconds(text: str, seconds: float) -> None:
    """What is a number of seconds is that."""
    error = StatusError("m", url="u", status=429, headers={"retry-after": text})
    assert error.retry_after_s == seconds


HOSTS = st.one_of(
    st.text(max_size=80),
    st.from_regex(r"\A(https?://)?([\w.:@-]{0,70}|xn--\w{1,9}\.\w{1,5})(/v1)?\Z"),
    st.sampled_from(
        ["http://a..b", f"http://{'a' * 64}.com", "http://xn--a.com", "http://h:" + "9" * 5000]
    ),
)


@THOROUGH
@given(text=HOSTS)
@example(text="http://a..b")
@example(text="http://xn--a.com")
def test_an_address_can_be_used_or_is_a_config_error(text: str) -> None:
    """What is understood is a URL to httpx and a name to the resolver, too."""
    try:
        endpoint = parse_host(text)
    except ConfigError:
        return
    assert httpx.URL(endpoint.url).host
    endpoint.host.strip("[]").partition("%")[0].encode("idna")


@pytest.mark.parametrize("port", ["9" * 5000, "²", "-1", "0x10"])
def test_an_invalid_port_in_the_environment_is_refused(port: str) -> None:
    """It is named."""
    with pytest.raises(ConfigError, match="OLLAMA_PORT"):
        endpoint_from_env({"OLLAMA_PORT": port})


class Anything(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answer each request with one status and body."""

    def __init__(self, status: int, body: bytes) -> None:
        self._answer = (status, body)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(self._answer[0], stream=httpx.ByteStream(self._answer[1]))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


@pytest.mark.filterwarnings("ignore::ollama_transport.ContextTruncatedWarning")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
@BRIEF
@given(body=BODIES, status=st.sampled_from([200, 200, 200, 400, 500]))
@example(
    body=b'{"message":{"role":"assistant","content":"x"},"done":true,"eval_count":1'
    + b"0" * 400
    + b',"eval_duration":1,"total_duration":1'
    + b"0" * 400
    + b"}",
    status=200,
)
@example(
    body=b'{"message":{"role":"assistant","content":""},"done":true,"logprobs":[{"token":5}]}',
    status=200,
)
@example(
    body=b'{"choices":[{"finish_reason":"stop","message":{"tool_calls":[{"function":{"name":"f",'
    b'"arguments":"' + b"[" * 3000 + b'"}}]}}]}',
    status=200,
)
def test_adapters_answer_or_raise_ours(way: Way, body: bytes, status: int) -> None:
    """Through each framework, form, kind and wire: an answer, or an error of the tree."""
    model = way.model("http://h", client_kwargs={"transport": Anything(status, body)})
    for _, error in results_of(way, model, 1):
        assert error is None or isinstance(error, OllamaError), repr(error)


def test_a_vector_that_is_not_finite_names_its_text() -> None:
    """NaN and infinity, as numbers and as base64, on both wires."""
    infinite = base64.b64encode(b"\x00\x00\x80\x7f").decode()
    for name, raw in (
        ("native-embed", {"embeddings": [[1.0], [float("nan")]]}),
        ("native-embed", {"embeddings": [[1.0], [float("-inf")]]}),
        ("openai-embed", {"data": [{"embedding": [1.0]}, {"embedding": infinite}]}),
    ):
        with pytest.raises(OllamaError, match="text 1 holds NaN or infinity"):
            CALLS[name].read(raw)
