"""Wire reference 11, cases 1 to 23 and 108 to 112: transport, bodies, names, bytes."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from ollama_ext.embedded import Answer, EmbeddedModel, EmbeddedOllama, Gate, ToolCall

HI = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("method", "path", "status", "content_type", "body"),
    [
        pytest.param("GET", "/", 200, "text/plain; charset=utf-8", "Ollama is running", id="case1"),
        pytest.param("GET", "/nope", 404, "text/plain", "404 page not found", id="case4"),
        pytest.param("GET", "/api/chat", 405, "text/plain", "405 method not allowed", id="case5"),
        pytest.param(
            "POST", "/api/web_search", 404, "text/plain", "404 page not found", id="case94"
        ),
    ],
)
def test_plain_answers(target, method, path, status, content_type, body):
    """The answers that are no JSON have Ollama's exact words and types."""
    response = target.http.request(method, target.url + path)
    assert (response.status_code, response.text) == (status, body)
    assert response.headers["content-type"] == content_type
    if status == 405:
        assert response.headers["allow"] == "POST"


def test_case_2_head_of_the_root(target):
    """HEAD / tells the length and sends no body."""
    response = target.http.head("/")
    assert response.status_code == 200
    assert response.headers["content-length"] == "17"
    assert response.content == b""


def test_case_3_version(target):
    """The version is an object with one text."""
    response = target.http.get("/api/version")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    version = response.json()
    assert list(version) == ["version"]
    assert version["version"] == "0.33.0" or target.real


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("POST", "/api/chat/", 307, id="case6"),
        pytest.param("GET", "/api/tags/", 301, id="case7"),
    ],
)
def test_trailing_slash(target, method, path, status):
    """A trailing slash redirects to the path without it."""
    response = target.http.request(method, path)
    assert response.status_code == status
    assert response.headers["location"] == path.rstrip("/")


@pytest.mark.parametrize(
    ("method", "path", "cleaned"),
    [
        ("POST", "//api/chat", "/api/chat"),
        ("POST", "/api//chat", "/api/chat"),
        ("GET", "//api/tags", "/api/tags"),
    ],
)
def test_a_path_that_is_not_clean_is_redirected(target, method, path, cleaned):
    """As recorded in errors/slashes: 301 whatever the method, which turns a POST into a GET."""
    response = target.http.request(method, f"{target.url}{path}")
    assert response.status_code == 301
    assert response.headers["location"] == cleaned
    assert response.content == b""


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "evil.com"}, id="case8"),
        pytest.param({"Origin": "http://evil.com"}, id="case9"),
    ],
)
def test_foreign_hosts_are_refused(target, headers):
    """A foreign Host or Origin gets 403 and no body."""
    response = target.http.get("/api/tags", headers=headers)
    assert (response.status_code, response.content) == (403, b"")


@pytest.mark.parametrize(
    "host", ["localhost:1", "127.0.0.1", "[::1]:2", "a.localhost", "b.internal"]
)
def test_local_hosts_are_served(target, host):
    """Every name for this machine is let in."""
    assert target.http.get("/api/tags", headers={"Host": host}).status_code == 200


def test_local_origins_are_served(target):
    """A page of this machine may ask."""
    assert target.http.get("/", headers={"Origin": "http://localhost:3000"}).status_code == 200


UNMARSHAL = "json: cannot unmarshal array into Go value of type api.ChatRequest"
BODIES = [
    (10, "/api/chat", b"", 400, "missing request body"),
    (11, "/api/chat", b"{", 400, "unexpected EOF"),
    (
        12,
        "/api/chat",
        b"{bad",
        400,
        "invalid character 'b' looking for beginning of object key string",
    ),
    (13, "/api/chat", b"[]", 400, UNMARSHAL),
    (14, "/api/chat", b"{}", 400, "model is required"),
    (15, "/api/generate", b"{}", 404, "model '' not found"),
    (16, "/api/embed", b'{"input":"a"}', 404, "model '' not found"),
    (17, "/api/chat", b'{"model":"nope"}', 404, "model 'nope' not found"),
    (18, "/api/embed", b'{"model":"nope"}', 404, 'model "nope" not found, try pulling it first'),
    (19, "/api/show", b'{"model":"nope"}', 404, "model 'nope:latest' not found"),
    (20, "/api/copy", b'{"source":"nope","destination":"x"}', 404, 'model "nope" not found'),
    (22, "/api/chat", b'{"model":"bad name!"}', 400, "invalid model name"),
    (
        23,
        "/api/chat",
        b'{"model":"a:local:cloud"}',
        400,
        'use either :local or :cloud, not both: "a:local:cloud"',
    ),
    (86, "/api/create", b'{"model":"x"}', 400, "neither 'from' or 'files' was specified"),
    ("null", "/api/chat", b"null", 400, "model is required"),
    (
        "gzip",
        "/api/chat",
        b"\x1f\x8b",
        400,
        "invalid character '\\x1f' looking for beginning of value",
    ),
]


@pytest.mark.parametrize(
    ("path", "body", "status", "text"), [pytest.param(*c[1:], id=f"case{c[0]}") for c in BODIES]
)
def test_bad_bodies_and_names(target, path, body, status, text):
    """A body that cannot be read, or a name that is not there, gets Ollama's own text."""
    response = target.http.post(path, content=body)
    assert (response.status_code, response.json()) == (status, {"error": text})
    assert response.headers["content-type"].startswith("application/json")


def test_case_21_delete_of_an_unknown_model(target):
    """Deleting what is not there is 404 with the asked name."""
    response = target.http.request("DELETE", "/api/delete", json={"model": "nope"})
    assert (response.status_code, response.json()) == (404, {"error": "model 'nope' not found"})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 2}', "invalid character '2' after object key:value pair"),
        ('{"a":"', "unexpected EOF"),
        ('{"a":NaN}', "invalid character 'N' looking for beginning of value"),
    ],
)
def test_syntax_errors_in_go_words(server, http, body, text):
    """Other syntax errors read as Go's."""
    assert http.post("/api/chat", content=body).json() == {"error": text}


@pytest.fixture
def odd_server() -> Iterator[EmbeddedOllama]:
    """A server with models that say odd things."""
    calls = [ToolCall("f", {"one": 1.0, "big": 2**53 + 1, "huge": 12345678901234567890, "s": "é"})]
    models = [
        EmbeddedModel("odd", engine=lambda prompt: Answer("a\u0085b<c>&\u2028\u2029\x7f\ud800")),
        EmbeddedModel(
            "numbers", ("completion", "tools"), engine=lambda p: Answer(tool_calls=calls)
        ),
        EmbeddedModel(
            "nested",
            engine=lambda p: Answer(tool_calls=[ToolCall("f", {"z": {"b": 1, "a": [2.0]}})]),
        ),
    ]
    with EmbeddedOllama(models) as running:
        yield running


def test_case_108_bytes_of_odd_characters(odd_server):
    """U+0085 is raw, angle brackets and U+2028 are escaped, and it is one line."""
    body = {"model": "odd", "messages": HI, "stream": False}
    raw = httpx.post(f"{odd_server.url}/api/chat", json=body, trust_env=False).content
    text = b"a\xc2\x85b\\u003cc\\u003e\\u0026\\u2028\\u2029\x7f\xef\xbf\xbd"
    assert b'"content":"' + text + b'"' in raw
    assert b"\n" not in raw


def test_case_109_a_closed_stream_stops_the_generation(target):
    """After a client left in mid-stream the server answers the next request."""
    body = target.fit({"model": "@native", "messages": HI})
    with target.http.stream("POST", "/api/chat", json=body) as response:
        next(response.iter_raw())
    after = {"model": "@native", "messages": HI, "stream": False, "options": {"num_predict": 3}}
    assert target.post("/api/chat", after).status_code == 200


def test_case_109_generation_stops_when_the_client_disconnects():
    """An endless answer ends when its client closes the connection."""

    def endless():
        while True:
            yield "more "

    model = EmbeddedModel("endless", engine=lambda prompt: Answer(endless()))
    with (
        EmbeddedOllama([model]) as server,
        httpx.Client(base_url=server.url, trust_env=False) as http,
    ):
        with http.stream(
            "POST", "/api/chat", json={"model": "endless", "messages": HI}
        ) as response:
            next(response.iter_raw())
        assert server.wait_for_disconnects(1)
        sent = server.disconnects[0].chunks_sent
        assert sent > 0
        assert http.get("/").status_code == 200
        assert server.disconnects[0].chunks_sent == sent


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system cannot change its time zone")
def test_case_110_local_and_utc_times(monkeypatch, server, http):
    """created_at is UTC; modified_at and expires_at have the server's own offset."""
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    try:
        answer = http.post(
            "/api/chat", json={"model": "demo", "messages": HI, "stream": False}
        ).json()
        assert answer["created_at"].endswith("Z")
        assert http.get("/api/ps").json()["models"][0]["expires_at"].endswith("-05:00")
        assert http.get("/api/tags").json()["models"][0]["modified_at"].endswith("-05:00")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_case_111_numbers_of_arguments_pass_through_float64(odd_server):
    """1.0 becomes 1 and big integers are rounded."""
    body = {"model": "numbers", "messages": HI, "stream": False}
    answer = httpx.post(f"{odd_server.url}/api/chat", json=body, trust_env=False)
    raw = answer.text
    assert '"one":1,' in raw
    assert '"big":9007199254740992' in raw
    assert '"huge":12345678901234567000' in raw


def test_nested_argument_keys_are_sorted(odd_server):
    """The keys of a nested object come out sorted, as Go maps do."""
    body = {"model": "nested", "messages": HI, "stream": False}
    raw = httpx.post(f"{odd_server.url}/api/chat", json=body, trust_env=False).text
    assert '"arguments":{"z":{"a":[2],"b":1}}' in raw


def test_case_112_no_header_before_the_first_token():
    """While a model loads, not one byte of the answer is sent."""
    gate = Gate()
    with EmbeddedOllama(load_gate=gate) as server:
        where = urlsplit(server.url)
        body = json.dumps({"model": "demo", "messages": HI}).encode()
        head = f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
            connection.sendall(head.encode() + body)
            assert server.wait_for_requests(1)
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            gate.set()
            connection.settimeout(10)
            assert connection.recv(12) == b"HTTP/1.1 200"


def test_case_88_ps_waits_for_a_load():
    """/api/ps is empty when idle, and waits while a model is starting."""
    gate = Gate()
    with (
        EmbeddedOllama(load_gate=gate) as server,
        httpx.Client(base_url=server.url, trust_env=False) as http,
    ):
        assert http.get("/api/ps").text == '{"models":[]}'
        answers = []
        body = {"model": "demo", "messages": HI, "stream": False}
        loading = threading.Thread(target=lambda: answers.append(http.post("/api/chat", json=body)))
        loading.start()
        assert server.wait_for_requests(2)
        with pytest.raises(httpx.ReadTimeout):
            http.get("/api/ps", timeout=0.2)
        gate.set()
        loading.join()
        assert answers[0].status_code == 200
        assert [m["name"] for m in http.get("/api/ps").json()["models"]] == ["demo:latest"]


def test_case_81_queue_full():
    """A request beyond the queue gets 503 at once, in the words of each dialect."""
    gate = Gate()
    busy = "server busy, please try again.  maximum pending requests exceeded"
    with (
        EmbeddedOllama(load_gate=gate, max_queue=0) as server,
        httpx.Client(base_url=server.url, trust_env=False) as http,
    ):
        body = {"model": "demo", "messages": HI, "stream": False}
        loading = threading.Thread(target=lambda: http.post("/api/chat", json=body))
        loading.start()
        assert server.wait_for_requests(1)
        native = http.post("/api/chat", json=body)
        assert (native.status_code, native.json()) == (503, {"error": busy})
        openai = http.post("/v1/chat/completions", json=body)
        assert openai.status_code == 503
        wanted = {"message": busy, "type": "api_error", "param": None, "code": None}
        assert openai.json() == {"error": wanted}
        gate.set()
        loading.join()
