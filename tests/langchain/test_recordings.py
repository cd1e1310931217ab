"""What a real server said, as messages: every chat recording, whole and streamed."""

from typing import Any

import pytest
from chat_ways import model_on
from core_ways import call, pieces
from langchain_core.messages import AIMessage
from recorded import all_names, recording
from running import Run

from ollama_transport import StreamTruncatedError


def _is_chat(name: str) -> bool:
    found = recording(name)
    return (
        found.path == "/api/chat"
        and found.status == 200
        and not name.endswith("rendered-prompt")
        and found.objects[-1].get("done") is True
    )


# A load of the model says nothing: it is an error here (tests/contract/test_expected.py).
_LOADS = {"chat/load", "chat/keep-alive-forever"}
_CHATS = [name for name in all_names() if _is_chat(name) and name not in _LOADS]


def _message(run: Run, name: str) -> AIMessage:
    """Return what the recorded answer becomes, read the way it was recorded."""
    model, _ = model_on(name)
    if not recording(name).is_stream:
        answer: AIMessage = call(run, model, "invoke", "x")
        return answer
    chunks = pieces(run, model, "x")
    return sum(chunks[1:], chunks[0])  # type: ignore[no-any-return] # chunks add up to a message


@pytest.mark.parametrize("name", _CHATS)
def test_every_recorded_answer_becomes_a_message(run: Run, name: str) -> None:
    """Text, thinking, calls, metadata and counts are what the lines say, added up."""
    said = recording(name).objects
    message = _message(run, name)
    assert message.text == "".join(one["message"].get("content", "") for one in said)
    thinking = "".join(one["message"].get("thinking", "") for one in said)
    assert message.additional_kwargs.get("reasoning_content", "") == thinking
    calls = [made for one in said for made in one["message"].get("tool_calls", ())]
    assert [(made["name"], made["args"], made["id"]) for made in message.tool_calls] == [
        (made["function"]["name"], made["function"]["arguments"], made["id"]) for made in calls
    ]
    assert message.invalid_tool_calls == []
    for key in said[-1].keys() - {"message", "logprobs"}:
        assert message.response_metadata[key] == said[-1][key], key
    assert message.response_metadata["model_name"] == said[-1]["model"]
    assert _counts(message) == _said_counts(said[-1])


def _counts(message: AIMessage) -> Any:
    usage = message.usage_metadata
    return None if usage is None else (usage["input_tokens"], usage["output_tokens"])


def _said_counts(last: dict[str, Any]) -> Any:
    if "eval_count" not in last and "prompt_eval_count" not in last:
        return None
    return last.get("prompt_eval_count", 0), last.get("eval_count", 0)


_SKY = (
    "The sky is blue because of the way sunlight meets the air. Sunlight looks white, but it is a "
    "mix of all the colors of the rainbow. When it enters the atmosphere, it hits tiny molecules "
    "of gas, and these scatter short blue waves much more strongly than long red waves. This is "
    "called Rayleigh scattering. Blue light therefore reaches our eyes from every direction, and "
    "the whole sky looks blue. At sunset the light travels through more air, most of the blue is "
    "lost on the way, and we see red and orange."
)
_WHY = (
    "The user wants to know why the sky is blue. The reason is Rayleigh scattering: short waves "
    "are scattered more than long waves. I should also mention the red sunset.\n"
)
_NEED = "The user needs something that a tool can give. I will call it.\n"
_PARIS = {"city": "Paris", "unit": "celsius"}
_LONDON = {"city": "London", "unit": "celsius"}
_CANADA = '{"name":"Canada","capital":"Ottawa","languages":["English","French"]}'

# Name, text, reasoning, calls as (arguments, id), done_reason, tokens in and out.
_CHECKED: list[tuple[str, str, str | None, list[Any], str, tuple[int, int]]] = [
    ("tiny-chat/hello-whole", "Hello! How can I help you today?", None, [], "stop", (9, 11)),
    ("tiny-chat/hello-stream", "Hello! How can I help you today?", None, [], "stop", (9, 11)),
    ("tiny-chat/tool-whole", "", None, [(_PARIS, "call_4bwvntnq")], "stop", (169, 31)),
    (
        "tiny-chat/two-tools-stream",
        "",
        None,
        [(_PARIS, "call_m7zzh3dc"), (_LONDON, "call_60z9wqns")],
        "stop",
        (173, 63),
    ),
    (
        "tiny-native/two-tools-stream",
        "",
        None,
        [
            (_PARIS, "U09oLe48dcVQP6OV4Bc5OZDvx9opPgZx"),
            (_LONDON, "wl85vSIs5oh6L0PN1r6xYWORlgz8mv9t"),
        ],
        "stop",
        (191, 63),
    ),
    (
        "tiny-native/two-tools-whole",
        "",
        None,
        [
            (_PARIS, "H1UchB0qryGRRvBlPb7ThwFxkhRe6smp"),
            (_LONDON, "G8x9qXQOraXDcK0ANnhFZv19oOJ4pSPK"),
        ],
        "stop",
        (191, 63),
    ),
    ("tiny-chat/length-whole", "The sky is blue because of", None, [], "length", (14, 7)),
    ("tiny-chat/stop-stream", "1, 2, 3, 4, 5,", None, [], "stop", (18, 16)),
    ("tiny-think/sky-think-none-whole", _SKY, _WHY, [], "stop", (16, 257)),
    ("tiny-think/sky-think-false-stream", _SKY, None, [], "stop", (22, 194)),
    ("tiny-think/sky-think-max-stream", _SKY, _WHY, [], "stop", (16, 257)),
    ("tiny-think/tool-stream", "", _NEED, [(_PARIS, "call_dbubyn3k")], "stop", (171, 53)),
    ("tiny-chat/schema-stream", _CANADA, None, [], "stop", (14, 26)),
    (
        "tiny-chat/japanese-stream",
        "こんにちは！今日はどうされましたか？",
        None,
        [],
        "stop",
        (18, 38),
    ),
]


@pytest.mark.parametrize(
    ("name", "text", "thought", "calls", "reason", "tokens"),
    _CHECKED,
    ids=[checked[0] for checked in _CHECKED],
)
def test_answers_field_by_field(
    run: Run,
    name: str,
    text: str,
    thought: str | None,
    calls: list[Any],
    reason: str,
    tokens: tuple[int, int],
) -> None:
    """Answers whose content is written down here become exactly that message."""
    message = _message(run, f"chat/{name}")
    assert message.content == text
    assert message.additional_kwargs == ({"reasoning_content": thought} if thought else {})
    assert [(made["args"], made["id"]) for made in message.tool_calls] == calls
    assert all(made["name"] == "get_current_weather" for made in message.tool_calls)
    assert message.response_metadata["done_reason"] == reason
    assert message.response_metadata["model_provider"] == "ollama"
    assert message.usage_metadata == {
        "input_tokens": tokens[0],
        "output_tokens": tokens[1],
        "total_tokens": sum(tokens),
    }


def test_logprobs_are_all_there(run: Run) -> None:
    """Whole and streamed, each token has its log probability and its likely others."""
    for name in ("chat/tiny-chat/logprobs-whole", "chat/tiny-native/logprobs-stream"):
        said = [one for part in recording(name).objects for one in part.get("logprobs") or ()]
        assert said
        assert _message(run, name).response_metadata["logprobs"] == said


def test_a_recorded_cut_is_an_error(run: Run) -> None:
    """The answer whose client left early has no end, and is refused as incomplete (c17)."""
    model, _ = model_on("chat/tiny-chat/closed-early")
    with pytest.raises(StreamTruncatedError) as caught:
        pieces(run, model, "x")
    assert caught.value.received
