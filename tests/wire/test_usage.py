"""What an answer cost: unknown is not nothing, and times are seconds."""

import pytest
from recorded import recording

from ollama_transport import ChatLine, GenerateLine, Usage


def test_the_metrics_of_a_recorded_answer_are_read() -> None:
    """Counts are tokens, durations are seconds, and the total is their sum."""
    raw = recording("chat/tiny-chat/hello-stream").objects[-1]
    usage = ChatLine.from_native(raw).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (
        raw["prompt_eval_count"],
        raw["eval_count"],
    )
    assert usage.total_tokens == raw["prompt_eval_count"] + raw["eval_count"]
    assert usage.total_duration_s == raw["total_duration"] / 1e9
    assert usage.load_duration_s == raw["load_duration"] / 1e9
    assert usage.prompt_duration_s == raw["prompt_eval_duration"] / 1e9
    assert usage.completion_duration_s == raw["eval_duration"] / 1e9
    assert usage.tokens_per_second == pytest.approx(raw["eval_count"] / raw["eval_duration"] * 1e9)


def test_only_a_last_line_has_usage() -> None:
    """Lines before the last cost nothing yet."""
    first = recording("chat/tiny-chat/hello-stream").objects[0]
    assert ChatLine.from_native(first).usage is None
    assert GenerateLine.from_native(recording("generate/stream").objects[0]).usage is None


@pytest.mark.parametrize(
    ("raw", "prompt", "completion", "total"),
    [
        ({"eval_count": 5}, None, 5, 5),
        ({"prompt_eval_count": 7}, 7, None, 7),
        ({"prompt_eval_count": 7, "eval_count": None}, 7, None, 7),
        ({"prompt_eval_count": 0, "eval_count": 0}, 0, 0, 0),
        ({"prompt_eval_count": True, "eval_count": "5", "total_duration": 1}, None, None, None),
    ],
)
def test_a_missing_count_is_unknown(
    raw: dict[str, object], prompt: int | None, completion: int | None, total: int | None
) -> None:
    """A count that was left out is unknown and takes nothing from the other; 0 is 0."""
    usage = Usage.from_native(raw)
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (prompt, completion)
    assert usage.total_tokens == total


@pytest.mark.parametrize("raw", [{}, {"model": "m", "done": True}, {"eval_count": None}])
def test_missing_metrics_give_no_usage(raw: dict[str, object]) -> None:
    """An answer without any metric has no usage."""
    assert Usage.from_native(raw) is None
    assert Usage.from_openai(raw) is None


@pytest.mark.parametrize(
    "usage",
    [
        Usage(completion_tokens=5),
        Usage(completion_duration_s=1.0),
        Usage(completion_tokens=5, completion_duration_s=0.0),
    ],
)
def test_a_speed_needs_both(usage: Usage) -> None:
    """Without a count or a time there is no speed, and no division by zero."""
    assert usage.tokens_per_second is None


def test_cached_tokens_are_known_where_the_server_tells() -> None:
    """Cached prompt tokens are a part of the prompt's; both wires have a place for them."""
    native = Usage.from_native({"prompt_eval_count": 10, "prompt_eval_cached_count": 4})
    openai = Usage.from_openai(
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 3},
        }
    )
    assert native is not None
    assert openai is not None
    assert (native.cached_prompt_tokens, openai.cached_prompt_tokens) == (4, 4)
    assert (openai.total_tokens, openai.reasoning_tokens) == (15, 3)


def test_the_openai_form_leaves_out_what_is_unknown() -> None:
    """Unknown counts are not written as zeros."""
    assert Usage(prompt_tokens=3).as_openai() == {"prompt_tokens": 3, "total_tokens": 3}
    assert Usage(3, 4).as_openai() == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
    }
    assert Usage(total_duration_s=1.0).as_openai() == {}


def test_the_tokens_of_a_recorded_openai_answer_are_read() -> None:
    """The other wire's usage object is read as it was sent."""
    raw = recording("openai/hello-whole").objects[0]["usage"]
    usage = Usage.from_openai(raw)
    assert usage is not None
    assert usage.as_openai() == {name: raw[name] for name in usage.as_openai()}
    assert not usage.estimated
