"""Every recording of a real server becomes a typed value or the right error, however it is cut."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from faked import Network, byte_by_byte, played
from recorded import Recording, all_names, recording
from running import Run

from ollama_transport import (
    Call,
    ChatLine,
    ChatRequest,
    ContextOverflowError,
    CreateRequest,
    Embeddings,
    EmbedRequest,
    GenerateLine,
    GenerateRequest,
    ModelNotFoundError,
    OllamaError,
    Progress,
    ProtocolError,
    RequestRejectedError,
    ServerError,
    ShowAnswer,
    StreamFailedError,
    StreamTruncatedError,
    UnsupportedCapabilityError,
)
from ollama_transport.wire.calls.decoders import SSEDecoder, parse_object
from ollama_transport.wire.errors.mapping import status_error
from ollama_transport.wire.native import calls as native
from ollama_transport.wire.values.answers import ModelList, RunningList, Version

NATIVE = [name for name in all_names() if not name.startswith("openai/")]
OPENAI = [name for name in all_names() if name.startswith("openai/")]

# What each recording that is not an answer must become.
ERRORS: Mapping[str, tuple[type[OllamaError], Mapping[str, Any]]] = {
    "copy/missing": (ModelNotFoundError, {"model": "nope"}),
    "create/blob-head-missing": (RequestRejectedError, {"status": 404}),
    "create/blob-mismatch": (RequestRejectedError, {"status": 400}),
    "create/nothing": (RequestRejectedError, {"status": 400}),
    "delete/missing": (ModelNotFoundError, {"model": "nope"}),
    "embed/chat-model": (UnsupportedCapabilityError, {"capability": "embedding", "status": 501}),
    "embed/long-refused": (ContextOverflowError, {"prompt_tokens": None}),
    "embed/missing-model": (ModelNotFoundError, {"model": "nope", "status": 404}),
    "embed/wrong-type": (RequestRejectedError, {"error": "invalid input type"}),
    "errors/arguments-string": (RequestRejectedError, {"status": 400}),
    "errors/bad-json": (RequestRejectedError, {"status": 400}),
    "errors/bad-name": (RequestRejectedError, {"error": "invalid model name"}),
    "errors/chat-on-embedding-model": (UnsupportedCapabilityError, {"capability": "completion"}),
    "errors/content-list": (RequestRejectedError, {"status": 400}),
    "errors/format": (RequestRejectedError, {"status": 500}),
    "errors/image-bad-base64": (RequestRejectedError, {"status": 400}),
    "errors/image-to-text-model": (UnsupportedCapabilityError, {"capability": "vision"}),
    "errors/keep-alive": (RequestRejectedError, {"status": 400}),
    "errors/missing-model": (ModelNotFoundError, {"model": "does-not-yet-exist"}),
    "errors/no-body": (RequestRejectedError, {"error": "missing request body"}),
    "errors/no-model": (RequestRejectedError, {"error": "model is required"}),
    "errors/no-thinking": (UnsupportedCapabilityError, {"capability": "thinking"}),
    "errors/no-tools": (UnsupportedCapabilityError, {"capability": "tools"}),
    "errors/option-type": (RequestRejectedError, {"status": 500}),
    "errors/overflow-generate": (
        ContextOverflowError,
        {"prompt_tokens": 8408, "context_length": 2048},
    ),
    "errors/overflow-refused-native": (
        ContextOverflowError,
        {"prompt_tokens": 8408, "context_length": 2048},
    ),
    "errors/overflow-refused-rendered": (
        ContextOverflowError,
        {"prompt_tokens": 8408, "context_length": 2048},
    ),
    "errors/slashes": (RequestRejectedError, {"status": 301}),
    "errors/think-value": (RequestRejectedError, {"status": 400}),
    "generate/raw-and-system": (RequestRejectedError, {"status": 400}),
    "generate/suffix-unsupported": (UnsupportedCapabilityError, {"capability": "insert"}),
    "pull/unreachable": (ServerError, {"status": 500}),
    "pull/unreachable-stream": (StreamFailedError, {}),
    "push/missing-stream": (StreamFailedError, {}),
    "show/missing": (ModelNotFoundError, {"model": "nope"}),
    "unknown-path": (RequestRejectedError, {"error": "404 page not found"}),
    "wrong-method": (RequestRejectedError, {"status": 405}),
    # 200, but no answer: the end is missing, or it is not JSON.
    "chat/tiny-chat/closed-early": (StreamTruncatedError, {}),
    "chat/tiny-chat/rendered-prompt": (StreamTruncatedError, {}),
    "chat/tiny-native/rendered-prompt": (StreamTruncatedError, {}),
    "errors/overflow-truncated": (StreamTruncatedError, {}),
    "root": (ProtocolError, {"line": b"Ollama is running"}),
    "openai/embeddings-bad-format": (RequestRejectedError, {"status": 400}),
    "openai/empty-messages": (RequestRejectedError, {"status": 400}),
    "openai/missing-model": (ModelNotFoundError, {"model": "nope"}),
    "openai/model-missing": (ModelNotFoundError, {"model": "nope:latest"}),
    "openai/no-tools": (UnsupportedCapabilityError, {"capability": "tools"}),
}


@dataclass(frozen=True)
class Outcome:
    """What came of a call: the values in order, and the error at the end."""

    values: list[Any]
    error: OllamaError | None

    @property
    def told(self) -> tuple[Any, ...]:
        """Return what two readings of one recording must have in common."""
        return (self.values, type(self.error), str(self.error))


def call_of(found: Recording, file: Path) -> tuple[Call[Any], type | None]:
    """Return the call that a recording answers, and the type of its answer."""
    body = found.body if isinstance(found.body, dict) else {}
    model = body.get("model") or "m"
    if found.path.startswith("/api/blobs/"):
        digest = found.path.removeprefix("/api/blobs/")
        if found.method == "HEAD":
            return native.blob_exists(digest), None
        return native.blob_upload(digest, file), None
    if found.path in ("/", "/nope", "//api/chat") or found.name == "wrong-method":
        empty = found.method == "HEAD"
        return Call(found.method, found.path, lambda raw: None, may_be_empty=empty), None
    given = body.get("input", [])
    # The server takes a bare "" for no text; we always send a list, where it would be one.
    texts = given if isinstance(given, list) else [given] if given else []
    copied = (body.get("source", "a"), body.get("destination", "b"))
    known: dict[str, tuple[Call[Any], type | None]] = {
        "/api/chat": (native.chat(ChatRequest(model)), ChatLine),
        "/api/generate": (native.generate(GenerateRequest(model)), GenerateLine),
        "/api/embed": (native.embed(EmbedRequest(model, texts)), Embeddings),
        "/api/embeddings": (native.embeddings(model, "x"), Embeddings),
        "/api/tags": (native.models(), ModelList),
        "/api/ps": (native.ps(), RunningList),
        "/api/version": (native.version(), Version),
        "/api/show": (native.show(model), ShowAnswer),
        "/api/pull": (native.pull(model), Progress),
        "/api/push": (native.push(model), Progress),
        "/api/create": (native.create(CreateRequest(model, from_="x")), Progress),
        "/api/copy": (native.copy(*copied), Progress),
        "/api/delete": (native.delete(model), Progress),
    }
    return known[found.path]


def check(found: Recording, outcome: Outcome, kind: type | None) -> None:
    """Hold what came of a recording against the table, and against the bytes that were sent."""
    if found.name in ERRORS:
        expected, facts = ERRORS[found.name]
        assert type(outcome.error) is expected
        assert {name: getattr(outcome.error, name) for name in facts} == facts
    else:
        assert outcome.error is None
    sent = [] if kind is None else [o for o in found.objects if "error" not in o]
    if found.is_stream or outcome.error is None:
        # An empty body is a success without an object.
        assert [value.raw for value in outcome.values if value is not None and value.raw] == sent
        assert all(value is None or isinstance(value, kind or ()) for value in outcome.values)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.gguf"
    path.write_bytes(b"GGUF" * 1000)
    return path


def read_directly(found: Recording, call: Call[Any], pieces: list[bytes]) -> Outcome:
    """Read a recorded answer of status 200 without any client."""
    assert call.reader is not None
    reader, values = call.reader(), []
    try:
        for piece in pieces:
            values += reader.feed(piece)
        values += reader.finish()
    except OllamaError as error:
        return Outcome(values, error)
    return Outcome(values, None)


@pytest.mark.parametrize("name", [n for n in NATIVE if recording(n).is_stream])
def test_a_stream_is_read_alike_whole_and_byte_by_byte(name: str, file: Path) -> None:
    """The reader of a call gives the same lines and error for every cutting of the bytes."""
    found = recording(name)
    call, kind = call_of(found, file)
    outcomes = [
        read_directly(found, call, pieces)
        for pieces in (list(found.chunks), [found.data], byte_by_byte(found.data))
    ]
    check(found, outcomes[0], kind)
    assert outcomes[0].told == outcomes[1].told == outcomes[2].told


@pytest.mark.parametrize("name", NATIVE)
def test_a_client_turns_every_recording_into_a_value_or_its_error(
    name: str, run: Run, file: Path
) -> None:
    """What a client makes of a recording is right, in one piece and byte by byte."""
    found = recording(name)
    call, kind = call_of(found, file)
    outcomes = []
    for pieces in (found.chunks, [found.data], byte_by_byte(found.data)):
        client = run.client(transport=Network(played(found, pieces)), max_retries=0)
        if found.is_stream:
            outcomes.append(Outcome(*run.until_error(client.stream(call))))
        else:
            outcomes.append(sent(run, client, call))
        check(found, outcomes[-1], kind)
    assert outcomes[0].told == outcomes[1].told == outcomes[2].told


def sent(run: Run, client: Any, call: Call[Any]) -> Outcome:
    try:
        return Outcome([run(client.send(call))], None)
    except OllamaError as error:
        return Outcome([], error)


@pytest.mark.parametrize("name", [n for n in OPENAI if recording(n).is_stream])
def test_a_stream_of_events_decodes_whole_and_byte_by_byte(name: str) -> None:
    """Every recorded event stream gives its objects and ends with [DONE], however it is cut."""
    found = recording(name)
    expected = [
        json.loads(event.removeprefix(b"data: "))
        for event in found.data.split(b"\n\n")
        if event and b"[DONE]" not in event
    ]
    for pieces in (found.chunks, [found.data], byte_by_byte(found.data)):
        decoder = SSEDecoder()
        assert [o for piece in pieces for o in decoder.feed(piece)] == expected
        assert decoder.finish() == []
        assert decoder.finished


@pytest.mark.parametrize("name", [n for n in OPENAI if not recording(n).is_stream])
def test_a_whole_answer_of_the_other_wire_is_an_object_or_its_error(name: str) -> None:
    """Every other recording of /v1 is one JSON object, or an error of the right class."""
    found = recording(name)
    if found.status == 200:
        assert parse_object(found.data) == json.loads(found.data)
        return
    error = status_error(
        method=found.method, url="u", status=found.status, headers=found.headers, body=found.data
    )
    check(found, Outcome([], error), None)


def test_the_table_of_errors_names_recordings_that_exist() -> None:
    """A recording that was renamed or removed does not stay in the table unseen."""
    assert ERRORS.keys() <= set(all_names())


def test_an_unknown_recording_fails() -> None:
    """A new recording is walked by itself: refusals must be in the table, paths be known."""
    refusals = {name for name in all_names() if recording(name).status >= 300}
    assert refusals <= ERRORS.keys()
    assert len(NATIVE) + len(OPENAI) == len(all_names()) >= 174


def test_lines_before_an_error_are_kept() -> None:
    """A stream that fails or is cut holds what it received, as typed lines."""
    for name in ("chat/tiny-chat/closed-early", "pull/unreachable-stream"):
        found = recording(name)
        call, _ = call_of(found, Path())
        outcome = read_directly(found, call, [found.data])
        received = outcome.error.received  # type: ignore[union-attr] # fails if there is none
        assert list(received) == outcome.values
        assert received
