"""What a stream's lines become, whatever servers and models put on them; D6."""

from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatResponse,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from llamaindex_ollama_ext._stream import (
    ChatAnswer,
    CompletionAnswer,
    logprobs_of,
    usage_of,
    whole_chat,
)
from ollama_transport import ChatLine, GenerateLine, Usage

CALL = {"id": "1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}
LATER = {"id": "2", "function": {"index": 1, "name": "g", "arguments": {}}}
END = {"done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3}


def pushed(*messages: Any, **last: Any) -> list[ChatResponse]:
    """Return the responses for a stream of these messages, the last one with the end."""
    answer = ChatAnswer()
    raws = [{"model": "m", "created_at": "t", "message": message} for message in messages]
    raws[-1] |= {**END, **last}
    return [answer.push(ChatLine.from_native(raw)) for raw in raws]


def shape(response: ChatResponse) -> list[Any]:
    """Return the blocks of a response in short."""
    short: list[Any] = []
    for block in response.message.blocks:
        match block:
            case TextBlock():
                short.append(block.text)
            case ThinkingBlock():
                short.append(("thinks", block.content))
            case ToolCallBlock():
                short.append((block.tool_call_id, block.tool_name, block.tool_kwargs))
    return short


@pytest.mark.parametrize(
    ("messages", "shapes"),
    [
        pytest.param(
            [{"content": "He"}, {"content": "llo"}, {"content": ""}],
            [["He"], ["Hello"], ["Hello"]],
            id="plain",
        ),
        pytest.param([{"content": None}, {"content": "x"}], [[""], ["x"]], id="null content"),
        pytest.param([{}, {"content": "x"}], [[""], ["x"]], id="no content"),
        pytest.param([None, {"content": "x"}], [[""], ["x"]], id="no message"),
        pytest.param(
            [{"role": "", "content": "x"}, {"content": "y"}], [["x"], ["xy"]], id="empty role"
        ),
        pytest.param(
            [{"content": None, "thinking": "hm"}, {"content": "x"}],
            [[("thinks", "hm"), ""], [("thinks", "hm"), "x"]],
            id="thinking beside null content",
        ),
        pytest.param(
            [{"thinking": "a"}, {"thinking": "b", "content": "x"}, {"content": "y"}],
            [[("thinks", "a"), ""], [("thinks", "ab"), "x"], [("thinks", "ab"), "xy"]],
            id="thinking before and beside text",
        ),
        pytest.param(
            [{"content": None, "tool_calls": [CALL]}, {"content": ""}],
            [["", ("1", "f", {"a": 1})], ["", ("1", "f", {"a": 1})]],
            id="a call beside null content stays to the end",
        ),
        pytest.param(
            [{"tool_calls": [CALL]}, {"tool_calls": [LATER]}, {}],
            [
                ["", ("1", "f", {"a": 1})],
                ["", ("1", "f", {"a": 1}), ("2", "g", {})],
                ["", ("1", "f", {"a": 1}), ("2", "g", {})],
            ],
            id="calls one by one",
        ),
        pytest.param(
            [{"content": "x", "thinking": "hm", "tool_calls": [CALL, LATER]}],
            [[("thinks", "hm"), "x", ("1", "f", {"a": 1}), ("2", "g", {})]],
            id="all on the last line",
        ),
    ],
)
def test_lines(messages: list[Any], shapes: list[Any]) -> None:
    """D6: nothing a line carries is lost; reasoning, one text, calls stand in this order."""
    responses = pushed(*messages)
    assert [shape(response) for response in responses] == shapes
    assert all(isinstance(response.delta, str) for response in responses)
    assert "".join(response.delta or "" for response in responses) == (
        responses[-1].message.content
    )
    assert responses[-1].raw is not None
    assert responses[-1].raw["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
    }


def test_thinking_deltas() -> None:
    """D6: each response says what its line added to the reasoning, None for nothing."""
    responses = pushed({"thinking": "a"}, {"thinking": "b", "content": "x"}, {"content": ""})
    deltas = [response.additional_kwargs["thinking_delta"] for response in responses]
    assert deltas == ["a", "b", None]


def test_responses_of_one_stream_do_not_share_blocks() -> None:
    """A response that was kept does not change when the stream goes on."""
    responses = pushed({"content": "a"}, {"content": "b"}, {"tool_calls": [CALL]})
    assert [response.message.content for response in responses] == ["a", "ab", "ab"]
    assert len(responses[0].message.blocks) == 1


@pytest.mark.parametrize(
    "message",
    [
        {"content": "x"},
        {"content": None, "tool_calls": [CALL]},
        {"thinking": "hm", "content": "x", "tool_calls": [CALL, LATER]},
    ],
)
def test_a_whole_answer_is_a_stream_of_one_line(message: dict[str, Any]) -> None:
    """D6: whole and streamed, the same answer gives the same message and the same raw."""
    (streamed,) = pushed(message)
    raw = {"model": "m", "created_at": "t", "message": message, **END}
    whole = whole_chat(ChatLine.from_native(raw))
    assert whole.message == streamed.message
    assert whole.raw == streamed.raw
    assert whole.delta is None
    assert "thinking_delta" not in whole.additional_kwargs


def test_the_finish_reason_is_mapped() -> None:
    """D17: why it ended and how long it took is there without reading raw, in seconds."""
    *_, last = pushed(
        {"content": "x"},
        {},
        done_reason="length",
        total_duration=2_000_000_000,
        eval_duration=1_000_000_000,
    )
    assert last.additional_kwargs["done_reason"] == "length"
    assert last.additional_kwargs["timings"] == {
        "total_s": 2.0,
        "completion_s": 1.0,
        "tokens_per_second": 3.0,
    }


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (Usage(), {}),
        (Usage(completion_tokens=3), {"completion_tokens": 3, "total_tokens": 3}),
        (
            Usage(prompt_tokens=0, completion_tokens=3),
            {"prompt_tokens": 0, "completion_tokens": 3, "total_tokens": 3},
        ),
        (
            Usage(prompt_tokens=7, completion_tokens=3, cached_prompt_tokens=5, reasoning_tokens=2),
            {
                "prompt_tokens": 7,
                "completion_tokens": 3,
                "total_tokens": 10,
                "prompt_tokens_details": {"cached_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
        ),
    ],
)
def test_usage(usage: Usage, counts: dict[str, Any]) -> None:
    """D12: only known counts, in the names that LlamaIndex reads; a missing one loses no other."""
    assert usage_of(usage) == counts


def test_no_counts_no_usage() -> None:
    """D12: without counts there is no `usage` at all, so that nobody stumbles over a null."""
    answer = ChatAnswer()
    line = ChatLine.from_native({"message": {"content": "x"}, "done": True, "usage": None})
    response = answer.push(line)
    assert response.raw is not None
    assert "usage" not in response.raw


def test_logprobs() -> None:
    """D17: for each token the chosen one comes first, then the others, each once."""
    token = {
        "token": "a",
        "logprob": -0.5,
        "bytes": [97],
        "top_logprobs": [
            {"token": "b", "logprob": -0.1, "bytes": [98]},
            {"token": "a", "logprob": -0.5, "bytes": [97]},
        ],
    }
    found = logprobs_of([token, {"token": "c", "logprob": -2}])
    assert found is not None
    assert [[(p.token, p.logprob, p.bytes) for p in one] for one in found] == [
        [("a", -0.5, [97]), ("b", -0.1, [98])],
        [("c", -2.0, [])],
    ]
    assert logprobs_of(None) is None


def test_completions_grow() -> None:
    """A completion's text grows like a chat's."""
    answer = CompletionAnswer()
    raws = [{"response": "He"}, {"response": "llo"}, {"response": "", **END}]
    responses = [answer.push(GenerateLine.from_native(raw)) for raw in raws]
    assert [response.text for response in responses] == ["He", "Hello", "Hello"]
    assert [response.delta for response in responses] == ["He", "llo", ""]
