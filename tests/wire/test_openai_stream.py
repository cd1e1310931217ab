"""What streams of OpenAI-compatible servers are read as, and how they fail."""

from typing import Any

import pytest
from openai_events import CHAT, TEXT, cuts, event, failed, joined, stream
from recorded import recording

from ollama_transport import (
    EmptyAnswerError,
    ProtocolError,
    RequestRejectedError,
    ServerBusyError,
    ServerError,
    StatusError,
    StreamFailedError,
    StreamTruncatedError,
    Usage,
)
from ollama_transport.wire.calls.call import Call


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_reasoning_is_found_under_either_name(key: str) -> None:
    """Servers do not agree on where the thoughts are."""
    lines = stream(
        CHAT,
        [
            event({key: "2+"}),
            event({key: "2", "content": None}),
            event({"content": "4"}, finish="stop"),
        ],
    )
    whole = CHAT.read(
        {"choices": [{"message": {key: "2+2", "content": "4"}, "finish_reason": "stop"}]}
    )
    assert joined(lines) == joined([whole]) == ("4", "2+2", [], "stop", None)


@pytest.mark.parametrize(
    ("word", "reason"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "stop"), ("content_filter",) * 2],
)
def test_reasons_are_in_ollamas_words(word: str, reason: str) -> None:
    """Only the words for a call differ; the server's own is in raw."""
    [line, last] = stream(CHAT, [event({"content": "x"}), event(finish=word)])
    assert (line.done_reason, last.done_reason) == (None, reason)
    assert last.raw["choices"][0]["finish_reason"] == word


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}


@pytest.mark.parametrize(
    "events",
    [
        [event({"content": "x"}), event(finish="stop", usage=USAGE)],
        [
            event({"content": "x"}, usage={**USAGE, "completion_tokens": 1}),
            event(finish="stop", usage=USAGE),
        ],
        [event({"content": "x"}, usage=None), event(finish="stop"), event(choices=[], usage=USAGE)],
        [event({"content": "x"}), event(finish="stop"), event(choices=None, usage=USAGE)],
        [event({"content": "x"}, usage=USAGE), event({"content": ""}, finish="stop", usage=None)],
    ],
)
def test_usage_is_read_from_whichever_event_has_it(events: list[bytes]) -> None:
    """With the reason, after it, or growing with each piece: the last one counts."""
    lines = stream(CHAT, [*events, b"data: [DONE]\n\n"])
    assert joined(lines)[4] == Usage(prompt_tokens=3, completion_tokens=2, cached_prompt_tokens=1)
    assert [line.text for line in lines] == ["x", ""]


def test_logprobs_are_a_list_of_tokens() -> None:
    """Both endpoints of this wire give them in the shape of Ollama's own."""
    token = {"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}
    choice = {"index": 0, "delta": {"content": "x"}, "logprobs": {"content": [token]}}
    lines = stream(CHAT, [event(choices=[choice]), event(finish="stop")])
    assert [line.logprobs for line in lines] == [[token], None]
    old = {
        "tokens": ["x", "y"],
        "token_logprobs": [None, -1.5],
        "top_logprobs": [None, {"y": -1.5}],
    }
    whole = TEXT.read({"choices": [{"text": "xy", "finish_reason": "stop", "logprobs": old}]})
    assert whole.logprobs == [
        {"token": "x", "logprob": None},
        {"token": "y", "logprob": -1.5, "top_logprobs": [{"token": "y", "logprob": -1.5}]},
    ]


def test_other_choices_are_not_mixed_in() -> None:
    """Only the first answer is read, should a server send several."""
    other = {"index": 1, "delta": {"content": "no"}, "finish_reason": "length"}
    mixed = [event({"content": "yes"}), event(choices=[other]), event(finish="stop")]
    assert joined(stream(CHAT, mixed))[:4] == ("yes", "", [], "stop")


def test_pings_and_empty_events_are_passed_over() -> None:
    """Servers keep a connection alive with comments, and some with empty events."""
    noise = b": ping\n\ndata:\n\nevent: message\n"
    data = noise.join([event({"content": "x"}), event(finish="stop"), b"data: [DONE]\r\n\r\n"])
    for pieces in cuts(data).values():
        assert joined(stream(CHAT, pieces))[:4] == ("x", "", [], "stop")


@pytest.mark.parametrize("name", ["hello", "tool", "reasoning"])
def test_a_stream_without_its_end_is_truncated(name: str) -> None:
    """Wherever a stream is cut before its reason, what came is in the error."""
    data = recording(f"openai/{name}-stream").data
    # Without a byte it is no answer that was cut, but an empty one.
    for end in range(1, data.index(b'"finish_reason":"')):
        lines, error = failed(CHAT, data[:end])
        # Where nothing of the answer had come, it may be asked for again.
        assert isinstance(error, StreamTruncatedError) or not any(line.text for line in lines)
        assert isinstance(error, StreamTruncatedError | EmptyAnswerError)
        if isinstance(error, EmptyAnswerError):
            continue
        assert list(error.received)[: len(lines)] == lines


@pytest.mark.parametrize(
    "ending", [b"data: [DONE]\n\n", b"data: [DONE]", b"", b'data: {"choices":[]}\n\n']
)
def test_a_reason_is_an_end(ending: bytes) -> None:
    """An answer that has its reason is whole, should the server say no more after it."""
    assert joined(stream(CHAT, [event({"content": "x"}, finish="stop"), ending]))[3] == "stop"


def test_done_is_an_end() -> None:
    """So is one whose server says that all is said, but names no reason."""
    assert joined(stream(CHAT, [event({"content": "x"}), b"data: [DONE]\n\n"]))[::3] == ("x", None)


def test_events_after_a_finish_reason_do_not_change_it() -> None:
    """An empty event behind the reason changes nothing."""
    pieces = [event({"content": "x"}), event(finish="length"), event({"content": ""})]
    assert joined(stream(CHAT, pieces))[3] == "length"


def test_events_after_the_end_are_ignored() -> None:
    """There is one last line, whatever comes behind it."""
    end = b"data: [DONE]\n\n"
    assert len(stream(CHAT, [event({"content": "x"}), end, end, event({"content": "y"})])) == 2


@pytest.mark.parametrize("call", [CHAT, TEXT], ids=["chat", "completion"])
def test_the_failure_that_ollama_hides_is_found(call: Call[Any]) -> None:
    """An empty chunk without a model and no end stand for an error (wire reference 10)."""
    hidden = {"index": 0, "delta": {"content": ""}, "text": "", "finish_reason": None}
    said = {"index": 0, "delta": {"content": "x"}, "text": "x", "finish_reason": None}
    pieces = [event(choices=[said]), event(model="", choices=[hidden])]
    lines, error = failed(call, *pieces)
    assert isinstance(error, StreamFailedError)
    assert "hid why" in str(error)
    assert list(error.received) == lines
    assert len(lines) == 1
    # An empty chunk alone is no failure: llama.cpp names no model either.
    lines = stream(call, [*pieces, event(model="", choices=[said]), b"data: [DONE]\n\n"])
    assert lines[-1].done


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (b'data: {"error": {"message": "boom", "type": "Error", "code": 500}}\n\n', ServerError),
        (b'data: {"error": {"message": "boom", "code": "429"}}\n\n', ServerBusyError),
        (b'data: {"error": "boom"}\n\n', StreamFailedError),
        (b'data: {"object": "error", "message": "boom", "code": 400}\n\n', RequestRejectedError),
        (
            b'event: error\ndata: {"error":{"message":"boom"},"message":"boom"}\n\n',
            StreamFailedError,
        ),
        (b'event: error\ndata: {"message":"boom", "code": 503}\n\n', ServerBusyError),
        (b'error: {"code": 500, "message": "boom", "type": "server_error"}\n\n', ServerError),
        (b'data: {"choices": [{"error": {"message": "boom", "code": 502}}]}\n\n', ServerBusyError),
        (b'{"error": {"message": "boom"}}\n', StreamFailedError),
        (b'{"error": "boom"}', StreamFailedError),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_an_error_in_a_stream_is_an_error(
    failure: bytes, kind: type[StreamFailedError | StatusError], together: bool
) -> None:
    """In every form that servers give it, and after what was said before it."""
    done = b"" if failure.endswith(b"}") else b"data: [DONE]\n\n"
    pieces = [event({"content": "x"}), failure, done]
    lines, error = failed(CHAT, *([b"".join(pieces)] if together else pieces))
    assert type(error) is kind
    assert isinstance(error, StreamFailedError | StatusError)
    assert error.error == "boom"
    assert [line.text for line in lines] == ["x"]
    assert list(error.received) == lines


@pytest.mark.parametrize(
    "data",
    [
        b"data: {no json}\n\n" + event(finish="stop"),
        event(choices={"a": 1}),
        event(choices=["a"]),
        event(choices=[{"delta": "text"}]),
        event({"content": [1]}),
        event({"tool_calls": {}}),
        event({"tool_calls": ["a"]}),
        event({"tool_calls": [{"function": ["a"]}]}),
    ],
)
def test_an_unknown_event_is_an_error(data: bytes) -> None:
    """Another shape is a ProtocolError, not a line and not a crash."""
    _, error = failed(CHAT, data)
    assert isinstance(error, ProtocolError)


def test_events_before_malformed_bytes_are_kept() -> None:
    """What came with them is handed on first, and the error is none of a cut."""
    lines, error = failed(CHAT, event({"content": "x"}) + b"data: {no json}\n\n")
    assert [line.text for line in lines] == ["x"]
    assert isinstance(error, ProtocolError)


@pytest.mark.parametrize(
    "choices", [[], None, {"a": 1}, [{"message": "x", "finish_reason": "stop"}]]
)
def test_a_whole_answer_of_another_shape_is_reported(choices: Any) -> None:
    """The same holds for whole answers."""
    with pytest.raises(ProtocolError):
        CHAT.read({"choices": choices})


@pytest.mark.parametrize("call", [CHAT, TEXT], ids=["chat", "completion"])
@pytest.mark.parametrize("reason", [{}, {"finish_reason": None}, {"finish_reason": "null"}])
def test_a_whole_answer_needs_no_reason(call: Call[Any], reason: Any) -> None:
    """KoboldCpp names none; that the body was complete is seen by its length."""
    said = {"message": {"content": "x"}} if call is CHAT else {"text": "x"}
    answer = {"choices": [{**said, **reason}]}
    line = call.read(answer)
    assert (line.text, line.done, line.done_reason) == ("x", True, None)
