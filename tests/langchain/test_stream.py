"""Streams: what the chunks are, that they add up, and that every reader of them is served."""

from typing import Any

import pytest
from chat_ways import LAST, called, line, model_on, raw_stream, streamed, whole
from core_ways import call, pieces
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from running import Run
from versions import needs

from langchain_ollama_ext import ChatOllama
from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import StreamTruncatedError

# stream_events(version="v3") is in beta in langchain-core, of which it warns.
pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")

_EVENTS = needs("langchain-core", "1.4", "there is no stream_events")

_MIXED: list[dict[str, Any]] = [
    {"thinking": "h"},
    {"thinking": "m"},
    {"content": "Let"},
    {"content": " me"},
]
_PLACEMENTS: dict[str, Any] = {
    "each call on a line of its own": lambda: streamed(*_MIXED, called("f"), called("g", first=1)),
    "all calls on the last line": lambda: streamed(*_MIXED, last=called("f", "g")),
    "both on one line": lambda: streamed(*_MIXED, called("f", "g")),
    "calls that repeat their index": lambda: streamed(*_MIXED, called("f"), called("g")),
}


def _joined(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    return sum(chunks[1:], chunks[0])  # type: ignore[return-value] # chunks add up to a chunk


@pytest.mark.parametrize("place", _PLACEMENTS)
@pytest.mark.parametrize("version", [None, "v1"])
def test_parallel_calls_stay_apart_in_a_stream(run: Run, place: str, version: str | None) -> None:
    """Two calls beside thinking and text are two calls, wherever the server puts them."""
    model, _ = model_on(_PLACEMENTS[place](), output_version=version)
    joined = _joined(pieces(run, model, "x"))
    assert [(made["name"], type(made["args"])) for made in joined.tool_calls] == [
        ("f", dict),
        ("g", dict),
    ]
    assert [block["type"] for block in joined.content_blocks] == [
        "reasoning",
        "text",
        "tool_call",
        "tool_call",
    ]
    assert joined.text == "Let me"


@_EVENTS
@pytest.mark.parametrize("place", _PLACEMENTS)
def test_parallel_calls_stay_apart_in_events(run: Run, place: str) -> None:
    """stream_events(version="v3") gives two calls, reasoning, text, usage and metadata (c2)."""
    model, _ = model_on(_PLACEMENTS[place]())
    message = _event_output(run, model)
    assert [made["name"] for made in message.tool_calls] == ["f", "g"]
    assert message.invalid_tool_calls == []
    assert [block["type"] for block in message.content_blocks] == [
        "reasoning",
        "text",
        "tool_call",
        "tool_call",
    ]
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] == LAST["eval_count"]
    assert message.response_metadata["model_name"] == "m"


def _event_output(run: Run, model: BaseChatModel) -> AIMessage:
    if not run.is_async:
        return model.stream_events("x", version="v3").output

    async def output() -> AIMessage:
        async with await model.astream_events("x", version="v3") as stream:
            return await stream.output

    found: AIMessage = run(output())
    return found


@_EVENTS
def test_events_begin_with_the_model(run: Run) -> None:
    """The event that opens a message names provider and model."""
    model, _ = model_on(streamed({"content": "a"}))
    first = next(iter(model.stream_events("x", version="v3")))
    assert first["metadata"]["provider"] == "ollama"
    assert first["metadata"]["model"] == "m"


def test_chunks_add_up_to_the_whole_answer(run: Run) -> None:
    """A streamed answer and the same one whole are the same message."""
    model, _ = model_on(streamed(*_MIXED))
    joined = _joined(pieces(run, model, "x"))
    model, _ = model_on(whole({"thinking": "hm", "content": "Let me"}))
    answer = call(run, model, "invoke", "x")
    for name in ("content", "additional_kwargs", "tool_calls", "usage_metadata"):
        assert getattr(joined, name) == getattr(answer, name)
    assert joined.response_metadata == answer.response_metadata


def test_metadata_and_usage_come_once_and_last(run: Run) -> None:
    """Only the last chunk says how it ended and what it cost, and core adds none of its own."""
    model, _ = model_on(streamed(*_MIXED))
    chunks = pieces(run, model, "x")
    assert len(chunks) == len(_MIXED) + 1
    assert [chunk.chunk_position for chunk in chunks] == [None] * len(_MIXED) + ["last"]
    assert [bool(chunk.usage_metadata) for chunk in chunks] == [False] * len(_MIXED) + [True]
    assert [bool(chunk.response_metadata) for chunk in chunks] == [False] * len(_MIXED) + [True]


def _with_logprobs() -> Any:
    token = {"token": "a", "logprob": -0.5, "bytes": [97]}
    told = line({"content": "a"}, logprobs=[token])
    return raw_stream([told, told, line({}, **LAST)])


def test_logprobs_of_every_token_survive(run: Run) -> None:
    """Log probabilities of all tokens are there, in a stream, as plain JSON (c22)."""
    model, _ = model_on(_with_logprobs())
    joined = _joined(pieces(run, model, "x", logprobs=True))
    _check_logprobs(joined)


@_EVENTS
def test_logprobs_of_every_token_survive_in_events(run: Run) -> None:
    """Log probabilities are in the message of events, as plain JSON (c22)."""
    model, _ = model_on(_with_logprobs())
    _check_logprobs(_event_output(run, model))


def _check_logprobs(message: AIMessage) -> None:
    assert [one["logprob"] for one in message.response_metadata["logprobs"]] == [-0.5, -0.5]
    assert all(type(one) is dict for one in message.response_metadata["logprobs"])


def test_a_list_without_logprobs_stays_a_list(run: Run) -> None:
    """Whoever asks for them finds a list in each chunk, though a token has none."""
    told = raw_stream([line({"content": "a"}, logprobs=[]), line({}, **LAST)])
    model, _ = model_on(told)
    assert pieces(run, model, "x", logprobs=True)[0].response_metadata["logprobs"] == []


def test_a_stream_without_its_end_is_an_error(run: Run) -> None:
    """A connection that ends early raises, with what had come, and is no complete answer (c17)."""
    model, _ = model_on(raw_stream([line({"content": "Hel"})]))
    with pytest.raises(StreamTruncatedError) as caught:
        pieces(run, model, "x")
    assert [one.text for one in caught.value.received] == ["Hel"]


def test_leaving_a_stream_stops_the_server(run: Run, server: EmbeddedOllama) -> None:
    """Closing a stream early closes the connection, and the server sees it at once."""
    gate = Gate()
    lines = [line({"content": "a"}), line({"content": "b"}), line({}, **LAST)]
    server.script("POST", "/api/chat", Reply.lines(lines, gate=gate, hold_at=2))
    model = ChatOllama(model="demo", base_url=server.url)
    run.take(model.astream("x") if run.is_async else model.stream("x"), 1)
    assert server.wait_for_disconnects(1)
    gate.set()
    call(run, model, "close")


@pytest.mark.parametrize("streaming", [None, True, False])
@pytest.mark.parametrize("below", [None, True, False])
def test_invoke_streams_underneath_by_default(
    run: Run, streaming: bool | None, below: bool | None
) -> None:
    """Invoke joins a stream; wire_streaming=False asks for a whole answer (c16)."""
    streams = streaming is True or below is not False
    answer = streamed({"content": "ok"}) if streams else whole()
    model, network = model_on(answer, streaming=streaming, wire_streaming=below)
    assert call(run, model, "invoke", "x").content == "ok"
    assert f'"stream":{str(streams).lower()}' in network.requests[0].content.decode()


@pytest.mark.parametrize("how", [{"streaming": False}, {"disable_streaming": True}])
def test_stream_gives_the_whole_answer_where_streaming_is_off(run: Run, how: Any) -> None:
    """Switched off, in either way, stream is one chunk with the whole answer (c16)."""
    model, _ = model_on(streamed({"content": "o"}, {"content": "k"}), **how)
    assert [chunk.content for chunk in pieces(run, model, "x")] == ["ok"]


@pytest.mark.parametrize("name", ["stream", "streaming"])
def test_streaming_can_be_set_per_call(run: Run, name: str) -> None:
    """Per call, stream and streaming decide over invoke and stream alike."""
    model, network = model_on(streamed({"content": "ok"}))
    assert call(run, model, "invoke", "x", **{name: True}).content == "ok"
    assert b'"stream":true' in network.requests[0].content


def test_a_call_in_pieces_is_passed_on_as_it_comes(run: Run) -> None:
    """A forced call arrives in pieces of one index, the first with its name and id."""
    text = '{"name": "f", "arguments": {"n": 12}}'
    model, _ = model_on(streamed(*[{"content": letter} for letter in text]))

    def f(n: int) -> int:
        """Do f."""
        return n

    chunks = pieces(run, model.bind_tools([f], tool_choice="f"), "x")
    parts = [part for chunk in chunks for part in chunk.tool_call_chunks]
    assert "".join(part["args"] for part in parts) == '{"n": 12}'
    assert len(parts) > 3
    assert {part["index"] for part in parts} == {parts[0]["index"]}
    assert [part["name"] for part in parts[:2]] == ["f", None]
    assert _joined(chunks).tool_calls[0]["args"] == {"n": 12}


def test_a_call_in_pieces_hides_no_other(run: Run) -> None:
    """A call that the server itself makes beside a forced one is kept, whatever its index."""
    text = '{"name": "f", "arguments": {"n": 12}}'
    model, _ = model_on(streamed({"content": text}, called("g")))
    tool = {"type": "function", "function": {"name": "f"}}
    joined = _joined(pieces(run, model.bind_tools([tool], tool_choice="f"), "x"))
    assert sorted(made["name"] for made in joined.tool_calls) == ["f", "g"]


@_EVENTS
def test_events_hide_reasoning_that_was_not_wanted(run: Run) -> None:
    """A model that reasons in spite of reasoning=False shows text and calls alone."""
    model, _ = model_on(streamed(*_MIXED, called("f")), reasoning=False)
    message = _event_output(run, model)
    assert [block["type"] for block in message.content_blocks] == ["text", "tool_call"]
    assert message.additional_kwargs == {}
