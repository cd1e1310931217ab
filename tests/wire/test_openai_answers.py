"""What the answers of OpenAI-compatible servers are read as."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from openai_events import CHAT, TEXT, cuts, from_deltas, joined, stream
from recorded import Recording, recording

from ollama_transport import (
    ChatRequest,
    EmbedRequest,
    Message,
    ProtocolError,
    ToolCall,
    Usage,
)
from ollama_transport.wire.calls.call import Call
from ollama_transport.wire.calls.decoders import parse_object
from ollama_transport.wire.native import calls as native
from ollama_transport.wire.openai import calls as openai

NATIVE = native.chat(ChatRequest("m", [Message("user", "Hello")]))
TWINS = {
    "hello": "chat/tiny-chat/hello",
    "sky": "chat/tiny-chat/sky",
    "tool": "chat/tiny-chat/tool",
    "two-tools": "chat/tiny-chat/two-tools",
    "schema": "chat/tiny-chat/schema",
    "length": "chat/tiny-chat/length",
}
"""The same model was asked the same on both wires."""


@pytest.mark.parametrize("cut", ["whole", "bytes", "sevens"])
@pytest.mark.parametrize("name", [*TWINS, "reasoning"])
def test_a_recorded_stream_says_what_the_whole_answer_says(name: str, cut: str) -> None:
    """However a stream is cut, it comes to the same as the answer in one piece."""
    whole = CHAT.read(parse_object(recording(f"openai/{name}-whole").data))
    lines = stream(CHAT, cuts(recording(f"openai/{name}-stream").data)[cut])
    assert joined(lines) == joined([whole])
    assert len({line.created_at for line in lines}) == 1
    assert {line.model for line in lines} == {whole.model}


@pytest.mark.parametrize("kind", ["whole", "stream"])
@pytest.mark.parametrize("name", TWINS)
def test_both_wires_say_the_same(name: str, kind: str) -> None:
    """Text, calls, reason and token counts are those of Ollama's own wire."""
    twins = []
    for call, found in (
        (CHAT, recording(f"openai/{name}-{kind}")),
        (NATIVE, recording(f"{TWINS[name]}-{kind}")),
    ):
        lines = stream(call, found.chunks) if found.is_stream else [_whole(call, found)]
        *said, usage = joined(lines)
        assert usage is not None
        twins.append((*said, usage.prompt_tokens, usage.completion_tokens))
    assert twins[0] == twins[1]


def _whole(call: Call[Any], found: Recording) -> Any:
    return call.read(parse_object(found.data))


def test_a_whole_answer_is_complete() -> None:
    """Every value of a line has its place; the server's own object is kept."""
    found = recording("openai/tool-whole")
    line = _whole(CHAT, found)
    call = ToolCall("get_current_weather", {"unit": "celsius", "city": "Paris"}, "call_pab30kmi", 0)
    assert line.tool_calls == (call,)
    assert line.done_reason == "stop"
    assert line.raw["choices"][0]["finish_reason"] == "tool_calls"
    assert line.created_at == "2026-11-20T22:53:12Z"
    assert line.usage == Usage(prompt_tokens=169, completion_tokens=31)


def test_recorded_calls_come_with_their_ids_in_deltas_and_whole() -> None:
    """What the deltas give together is what the last line gives."""
    lines = stream(CHAT, recording("openai/two-tools-stream").chunks)
    assert [call.id for call in lines[-1].tool_calls] == ["call_ouv5fs53", "call_p8drpui9"]
    assert from_deltas(lines) == list(lines[-1].tool_calls)
    assert lines[-1].raw["usage"]["total_tokens"] == 236
    assert lines[-1].raw["choices"][0]["finish_reason"] == "tool_calls"


def test_a_stream_without_usage_has_an_estimate() -> None:
    """What the server does not tell is estimated, and marked so."""
    lines = stream(CHAT, recording("openai/stream-without-usage").chunks)
    assert joined(lines) == ("Hello! How can I help you today?", "", [], "stop", None)
    assert lines[-1].usage == Usage(2, 8, estimated=True)


@pytest.mark.parametrize("cut", ["whole", "bytes", "sevens"])
def test_a_completion_streams_what_it_answers_whole(cut: str) -> None:
    """The zeros that Ollama sends as usage with every piece are none (wire reference 10.2)."""
    whole = _whole(TEXT, recording("openai/completions-whole"))
    lines = stream(TEXT, cuts(recording("openai/completions-stream").data)[cut])
    assert "".join(line.text for line in lines) == whole.text == "Hello! How can I help you today?"
    assert lines[-1].usage == whole.usage == Usage(prompt_tokens=9, completion_tokens=11)
    assert [line.done_reason for line in lines if line.done] == ["stop"]
    assert all(line.usage is None for line in lines[:-1])


def test_zero_counts_are_not_usage() -> None:
    """A stream that was cut short of its last event has told no usage, but zeros."""
    data = recording("openai/completions-stream").chunks
    events = b"".join(data).split(b"\n\n")
    without = b"\n\n".join(event for event in events if b'"choices":[]' not in event)
    assert stream(TEXT, [without])[-1].usage == Usage(2, 8, estimated=True)


@pytest.mark.parametrize("numpy", ["there", "missing"])
def test_vectors_are_the_same_in_base64_and_numbers(
    numpy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorded server's base64 and its numbers are one, with numpy and without."""
    if numpy == "missing":
        monkeypatch.setitem(sys.modules, "numpy", None)
    call = openai.embed(EmbedRequest("m", ["a cat", "a dog"]))
    packed = _whole(call, recording("openai/embeddings-base64"))
    plain = _whole(call, recording("openai/embeddings"))
    assert [len(vector) for vector in packed.vectors] == [128, 128]
    assert type(packed.vectors[0][0]) is float
    for one, other in zip(packed.vectors, plain.vectors, strict=True):
        assert one == pytest.approx(other, abs=1e-7)
    assert packed.usage == plain.usage == Usage(prompt_tokens=8)


@pytest.mark.parametrize(
    ("entries", "vectors"),
    [
        ([{"embedding": [2.0], "index": 1}, {"embedding": [1.0], "index": 0}], [[1.0], [2.0]]),
        ([{"embedding": [1.0]}, {"embedding": [2.0]}], [[1.0], [2.0]]),
        # Servers that number nothing write one thing for all (ik_llama.cpp).
        *(
            ([{"embedding": [n], "index": index} for n in (1.0, 2.0)], [[1.0], [2.0]])
            for index in (0, None, "", "0", "a")
        ),
        ([{"embedding": [n], "index": n} for n in (2, 1)], [[1], [2]]),
        ([{"embedding": [n], "index": n} for n in (8, 7)], [[7], [8]]),
        ([{"embedding": [2.0], "index": 1}, {"embedding": [1.0]}], [[1.0], [2.0]]),
        ([[1.0], [2.0]], [[1.0], [2.0]]),
        ([{"embedding": [2.0], "index": "1"}, {"embedding": [1.0], "index": "0"}], [[1.0], [2.0]]),
    ],
)
def test_vectors_are_in_the_order_of_their_texts(entries: Any, vectors: Any) -> None:
    """Each vector belongs to the text of its index."""
    call = openai.embed(EmbedRequest("m", ["a", "b"]))
    assert call.read({"data": entries}).vectors == vectors


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        [{"embedding": [1.0], "index": 0}],
        [{"embedding": [1.0], "index": 0}, {"embedding": [1.0], "index": 2}],
        [{"embedding": [1.0], "index": place} for place in (0, 1, 1)],
        [{"embedding": [1.0], "index": 0}, {"embedding": None, "index": 1}],
        [{"embedding": [1.0], "index": 0}, {"embedding": [[1.0]], "index": 1}],
        [{"embedding": [1.0], "index": 0}, {"embedding": "AAA=", "index": 1}],
        [{"embedding": [1.0], "index": 0}, {"embedding": "no base64", "index": 1}],
    ],
)
@pytest.mark.parametrize("numpy", ["there", "missing"])
def test_ambiguous_vectors_are_not_returned(
    data: Any, numpy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few, twice the same place, or no vector at all: each is a ProtocolError."""
    if numpy == "missing":
        monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ProtocolError):
        openai.embed(EmbedRequest("m", ["a", "b"])).read({"data": data})


def test_recorded_models_are_listed(recording: Callable[[str], Recording]) -> None:
    """Models come in the server's order, with what it knows of them."""
    found = recording("openai/models")
    answer = openai.models().read(parse_object(found.data))
    assert [model.name for model in answer.models][:2] == ["mario:latest", "tiny-chat:latest"]
    assert answer.models[0].modified_at is not None
    assert answer.models[0].modified_at.timestamp() == 1795215174
    assert answer.models[0].raw["owned_by"] == "library"
    assert answer.raw == parse_object(found.data)


@pytest.mark.parametrize(
    ("entry", "length"),
    [
        ({"id": "m", "max_model_len": 2048}, 2048),
        ({"id": "m", "meta": {"n_ctx_train": 4096, "size": 9}}, 4096),
        ({"id": "m", "meta": None}, None),
    ],
)
def test_the_context_of_a_model_is_read_from_the_server(entry: Any, length: int | None) -> None:
    """Both vLLM and llama.cpp tell it, each in its own place."""
    [model] = openai.models().read({"data": [entry]}).models
    assert (model.details.context_length if model.details else None) == length


def test_no_models_are_an_empty_list() -> None:
    """Ollama says null then (wire reference 10.4); another shape is told."""
    assert openai.models().read({"object": "list", "data": None}).models == []
    for data in ({"a": 1}, ["m"], [{"object": "model"}]):
        with pytest.raises(ProtocolError):
            openai.models().read({"data": data})
