"""What a real server said, through `Ollama`: whole or streamed, in its chunks and byte by byte."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from faked import byte_by_byte, played
from llama_index.core.base.llms.types import TextBlock, ThinkingBlock, ToolCallBlock
from llama_index.core.llms import ChatMessage
from llama_ways import Played, Way
from recorded import Recording, all_names, recording
from running import Run

from llamaindex_ollama_ext import Ollama
from ollama_transport import EmptyAnswerError, OllamaError, StreamTruncatedError

Make = Callable[..., Ollama]


def names(folder: str) -> list[str]:
    return [name for name in all_names() if name.startswith(f"{folder}/")]


@dataclass(frozen=True)
class Said:
    """What a recording says, read off its JSON without any of our code."""

    text: str
    thinking: str
    calls: list[tuple[str | None, str, Any]]
    usage: dict[str, int]
    complete: bool


def said(found: Recording) -> Said:
    objects = found.objects
    messages = [one.get("message", {}) for one in objects]
    last = objects[-1]
    counts = {
        "prompt_tokens": last.get("prompt_eval_count"),
        "completion_tokens": last.get("eval_count"),
    }
    usage = {name: count for name, count in counts.items() if count is not None}
    return Said(
        text="".join(
            m.get("content") or one.get("response") or ""
            for m, one in zip(messages, objects, strict=True)
        ),
        thinking="".join(
            m.get("thinking") or one.get("thinking") or ""
            for m, one in zip(messages, objects, strict=True)
        ),
        calls=[
            (call.get("id"), call["function"]["name"], call["function"]["arguments"])
            for m in messages
            for call in m.get("tool_calls") or []
        ],
        usage={**usage, "total_tokens": sum(usage.values())} if usage else {},
        complete=last.get("done") is True,
    )


def ask(llm: Ollama, run: Run, kind: str, prompt: Any, *, streams: bool) -> list[Any]:
    way = Way(run, streams=streams)
    return way.chat(llm, prompt) if kind == "chat" else way.complete(llm, prompt)


def check(responses: Sequence[Any], expected: Said, *, kind: str) -> None:
    last = responses[-1]
    assert last.raw.get("usage", {}) == expected.usage
    json.dumps(last.raw)
    if kind == "generate":
        assert last.text == expected.text
        return
    blocks = last.message.blocks
    texts = [block.text for block in blocks if isinstance(block, TextBlock)]
    thoughts = [block.content for block in blocks if isinstance(block, ThinkingBlock)]
    calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
    assert texts == [expected.text]
    assert thoughts == ([expected.thinking] if expected.thinking else [])
    assert [(c.tool_call_id, c.tool_name, c.tool_kwargs) for c in calls] == expected.calls


# Answers that say nothing: a model was loaded, or the prompt was shown instead.
EMPTY = {
    "chat/keep-alive-forever",
    "chat/load",
    "chat/tiny-chat/rendered-prompt",
    "chat/tiny-native/rendered-prompt",
    "generate/load",
}


@pytest.mark.parametrize("pieces", [None, byte_by_byte], ids=["chunks", "bytes"])
@pytest.mark.parametrize("name", [*names("chat"), *names("generate")])
def test_every_recording(ollama: Make, run: Run, name: str, pieces: Any) -> None:
    """Text, reasoning, calls and counts are those of the server; a cut answer is an error."""
    found = recording(name)
    kind = name.split("/")[0]
    cut = None if pieces is None else pieces(found.data)
    llm = ollama(Played(played(found, cut)))
    if found.status != 200:
        with pytest.raises(OllamaError) as caught:
            ask(llm, run, kind, "hi", streams=found.is_stream)
        assert getattr(caught.value, "status_code", None) == found.status
        return
    expected = said(found)
    if name in EMPTY:
        with pytest.raises(EmptyAnswerError):
            ask(llm, run, kind, "hi", streams=found.is_stream)
        return
    if not expected.complete:
        with pytest.raises(StreamTruncatedError):
            ask(llm, run, kind, "hi", streams=found.is_stream)
        return
    responses = ask(llm, run, kind, "hi", streams=found.is_stream)
    check(responses, expected, kind=kind)
    if found.is_stream:
        assert "".join(response.delta for response in responses) == expected.text
        thoughts = [r.additional_kwargs["thinking_delta"] for r in responses]
        assert "".join(thought or "" for thought in thoughts) == expected.thinking


@pytest.mark.parametrize("name", [n for n in names("errors") if recording(n).status != 200])
def test_every_recorded_error(ollama: Make, run: Run, name: str) -> None:
    """An error of the server is an error of ours with its status, whole and streamed alike."""
    found = recording(name)
    classes = set()
    for streams in (False, True):
        llm = ollama(Played(played(found)), on_context_overflow="error")
        with pytest.raises(OllamaError) as caught:
            ask(llm, run, "chat", [ChatMessage("hi")], streams=streams)
        assert getattr(caught.value, "status_code", None) == found.status
        classes.add(type(caught.value))
    assert len(classes) == 1


def test_a_stream_in_detail(ollama: Make, run: Run) -> None:
    """A recorded stream, field by field."""
    llm = ollama(Played("chat/tiny-think/tool-stream"))
    responses = ask(llm, run, "chat", "What is the weather in Paris?", streams=True)
    first, last = responses[0], responses[-1]
    assert (first.delta, first.additional_kwargs) == ("", {"thinking_delta": "The"})
    assert [type(block) for block in last.message.blocks] == [
        ThinkingBlock,
        TextBlock,
        ToolCallBlock,
    ]
    assert last.message.blocks[2].tool_name == "get_current_weather"
    assert last.message.blocks[2].tool_kwargs["city"] == "Paris"
    assert last.additional_kwargs["done_reason"] == "stop"
    assert last.raw["usage"]["prompt_tokens"] == last.raw["prompt_eval_count"]


def test_calls_on_lines_of_their_own_stay_to_the_end(ollama: Make, run: Run) -> None:
    """Both placements of calls (wire reference 3.4) end with both calls on the last response."""
    ends = []
    for model in ("tiny-chat", "tiny-native"):
        llm = ollama(Played(f"chat/{model}/two-tools-stream"))
        last = ask(llm, run, "chat", "Paris and London?", streams=True)[-1]
        ends.append([call.tool_kwargs for call in llm.get_tool_calls_from_response(last)])
    assert (
        ends[0]
        == ends[1]
        == [
            {"city": "Paris", "unit": "celsius"},
            {"city": "London", "unit": "celsius"},
        ]
    )


@pytest.mark.parametrize(
    "name",
    [
        "chat/tiny-chat/hello-whole",
        "chat/tiny-chat/two-tools-whole",
        "chat/tiny-native/two-tools-whole",
        "chat/tiny-think/sky-think-true-whole",
    ],
)
def test_an_answer_goes_back_as_it_came(ollama: Make, run: Run, name: str) -> None:
    """In the next turn's history an answer is what the server said, ids and reasoning included."""
    network = Played(name)
    llm = ollama(network)
    message = ask(llm, run, "chat", "hi", streams=False)[-1].message
    ask(llm, run, "chat", [ChatMessage("hi"), message], streams=False)
    came = recording(name).objects[0]["message"]
    for call in came.get("tool_calls", []):
        call["function"].pop("index", None)  # the place in the list says it
    assert network.body["messages"][1] == came


@pytest.mark.parametrize("streams", [True, False])
def test_logprobs_in_detail(ollama: Make, run: Run, streams: bool) -> None:
    """D17: the log probabilities of a recorded answer, the chosen token first."""
    name = "chat/tiny-chat/logprobs-" + ("stream" if streams else "whole")
    responses = ask(ollama(Played(name)), run, "chat", "Hello", streams=streams)
    tokens = [token for response in responses for token in response.logprobs or []]
    first = tokens[0]
    assert first[0].token == "Hello"
    assert first[0].bytes == [72, 101, 108, 108, 111]
    assert first[0].logprob == pytest.approx(-0.0043, abs=0.0001)
    assert [one.token for one in first] == ["Hello", "The"]
    assert "".join(one[0].token for one in tokens).startswith("Hello! How")


def test_facts_in_detail(ollama: Make, run: Run) -> None:
    """The facts of a recorded /api/show are in the metadata after the first chat."""
    network = Played("chat/tiny-chat/hello-whole")
    llm = ollama(network)
    ask(llm, run, "chat", "Hello", streams=False)
    shown = recording("show/tiny-chat").objects[0]
    architecture = shown["model_info"]["general.architecture"]
    parameters = dict(line.split(None, 1) for line in shown.get("parameters", "").splitlines())
    assert llm.metadata.context_window == int(
        parameters.get("num_ctx", shown["model_info"][f"{architecture}.context_length"])
    )
    assert llm.metadata.is_function_calling_model is ("tools" in shown["capabilities"])


def test_raw_is_what_the_server_sent(ollama: Make, run: Run) -> None:
    """A chat's `raw` is plain data, message and all, with the usage beside it."""
    name = "chat/tiny-chat/hello-whole"
    (found,) = ask(ollama(Played(name)), run, "chat", "Hello", streams=False)
    sent = recording(name).objects[-1]
    assert found.raw["message"] == sent["message"]
    assert json.loads(json.dumps(found.raw)) == {**sent, "usage": found.raw["usage"]}
