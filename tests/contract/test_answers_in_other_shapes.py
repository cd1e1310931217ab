"""Answers in another shape than was asked for: through both adapters, whole and streamed."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from both_ways import (
    Facts,
    Outcome,
    ask_langchain,
    ask_llamaindex,
    complete_langchain,
    complete_llamaindex,
)
from faked import Network
from running import Run

from ollama_transport import OnlyThoughtsWarning

NATIVE, OPENAI = "http://127.0.0.1:11434", "http://127.0.0.1:8000/v1"
Ask = Callable[..., Outcome]
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
NATIVE_CALL = {"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
LAST = {"done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 3}


def sse(*objects: Any) -> bytes:
    said = "".join(f"data: {json.dumps(one)}\n\n" for one in objects)
    return f": hello\n\n{said}data: [DONE]\n\n".encode()


def lines(*objects: Any) -> bytes:
    return "".join(f"{json.dumps(one)}\n" for one in objects).encode()


def choice(key: str, said: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, key: said, "finish_reason": reason}], **more}


def message(said: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "message": {"role": "assistant", "content": "", **said}, **more}


BOM = b"\xef\xbb\xbf"
CHUNKS = [
    choice("delta", {"content": "Hel", "reasoning_content": "Hm"}),
    choice("delta", {"content": "lo", "tool_calls": [{"index": 0, **CALL}]}),
    choice("delta", {}, "tool_calls", usage=USAGE),
]
EVENTS = sse(*CHUNKS)
WHOLE = choice(
    "message",
    {"content": "Hello", "reasoning_content": "Hm", "tool_calls": [CALL]},
    "tool_calls",
    usage=USAGE,
)
NATIVE_LINES = [
    message({"content": "Hel", "thinking": "Hm"}, done=False),
    message({"content": "lo", "tool_calls": [NATIVE_CALL]}, done=False),
    message({}, **LAST),
]
NATIVE_WHOLE = message({"content": "Hello", "thinking": "Hm", "tool_calls": [NATIVE_CALL]}, **LAST)
FORMS = {
    "openai events": (OPENAI, EVENTS),
    "openai whole": (OPENAI, json.dumps(WHOLE).encode()),
    "openai whole over many lines": (OPENAI, json.dumps(WHOLE, indent=2).encode()),
    "openai whole in an event": (OPENAI, sse(WHOLE)),
    "openai events after a mark": (OPENAI, BOM + EVENTS),
    "openai events on lines": (OPENAI, EVENTS.replace(b"\n\n", b"\n")),
    "openai events in events": (OPENAI, EVENTS.replace(b"data: ", b"data: data: ")),
    "openai lines": (OPENAI, lines(*CHUNKS) + b"[DONE]\n"),
    "openai list": (OPENAI, json.dumps(CHUNKS, indent=1).encode()),
    "openai list of one": (OPENAI, json.dumps([WHOLE]).encode()),
    "openai objects": (OPENAI, b"".join(json.dumps(one).encode() for one in CHUNKS)),
    "native lines": (NATIVE, lines(*NATIVE_LINES)),
    "native list after a mark": (NATIVE, BOM + json.dumps(NATIVE_LINES).encode()),
    "native objects over many lines": (
        NATIVE,
        b"\n".join(json.dumps(one, indent=1).encode() for one in NATIVE_LINES),
    ),
    "native whole": (NATIVE, json.dumps(NATIVE_WHOLE).encode()),
    "native whole over many lines": (NATIVE, json.dumps(NATIVE_WHOLE, indent=2).encode()),
    "native events": (NATIVE, sse(*NATIVE_LINES)),
    "native, loaded first": (
        NATIVE,
        lines(message({}, done=True, done_reason="load"), *NATIVE_LINES),
    ),
}


@pytest.fixture(params=[ask_langchain, ask_llamaindex], ids=["LangChain", "LlamaIndex"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return request.param  # type: ignore[no-any-return] # a table


def settings(url: str, **more: Any) -> dict[str, Any]:
    return {"base_url": url, "max_retries": 0, **more}


@pytest.mark.parametrize("wire_streaming", [None, False])
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_the_body_decides_how_it_is_read(
    run: Run, ask: Ask, form: str, streams: bool, wire_streaming: bool | None
) -> None:
    """Whatever was asked: text, thoughts, calls and usage are the same."""
    url, data = FORMS[form]
    network = Network(httpx.Response(200, content=data))
    found = ask(run, network, settings(url, wire_streaming=wire_streaming), streams)
    assert found == Outcome("Hello", "Hm", (("1", "f", '{"a": 1}'),), 5, 3)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("complete", [complete_langchain, complete_llamaindex])
@pytest.mark.parametrize(
    "data",
    [
        sse(choice("text", "Hel"), choice("text", "lo", "stop", usage=USAGE)),
        json.dumps(choice("text", "Hello", "stop", usage=USAGE)).encode(),
        json.dumps(choice("text", "Hello", None, usage=USAGE)).encode(),
    ],
)
def test_completions_are_read_in_either_form(
    run: Run, complete: Ask, data: bytes, streams: bool
) -> None:
    """The same holds for /v1/completions."""
    network = Network(httpx.Response(200, content=data))
    assert complete(run, network, settings(OPENAI), streams) == Outcome("Hello", "", (), 5, 3)


ERRORS: dict[str, tuple[str, bytes, str]] = {
    "busy": (OPENAI, b'{"error": {"message": "slow down", "code": 429}}', "ServerBusyError"),
    "busy event": (
        OPENAI,
        b'data: {"error": {"message": "x", "type": "overloaded_error"}}\n\n',
        "ServerBusyError",
    ),
    "busy native": (NATIVE, b'{"error": "server busy, please try again"}\n', "ServerBusyError"),
    "nothing": (OPENAI, sse(choice("delta", {"role": "assistant"})), "EmptyAnswerError"),
    "nothing whole": (
        OPENAI,
        json.dumps(choice("message", {"content": None})).encode(),
        "EmptyAnswerError",
    ),
    "done alone": (OPENAI, b"data: [DONE]\n\n", "EmptyAnswerError"),
    "loaded alone": (
        NATIVE,
        lines(message({}, done=True, done_reason="load")),
        "EmptyAnswerError",
    ),
    "loaded alone, with blanks": (
        NATIVE,
        lines(message({"content": "  \n"}, done=True, done_reason="load")),
        "EmptyAnswerError",
    ),
    "an empty object": (OPENAI, b"{}", "EmptyAnswerError"),
    "no choices": (OPENAI, b'{"choices": []}', "EmptyAnswerError"),
    "an empty list": (OPENAI, b"[]", "EmptyAnswerError"),
    "nothing native": (NATIVE, lines(message({}, done=False)), "EmptyAnswerError"),
}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("name", ERRORS)
def test_before_the_first_word_it_is_tried_again(
    run: Run, ask: Ask, name: str, streams: bool
) -> None:
    """As the status would be that an error inside an answer means, and as a cut would be."""
    url, data, _ = ERRORS[name]
    good = EVENTS if url == OPENAI else lines(*NATIVE_LINES)
    network = Facts(httpx.Response(200, content=data), httpx.Response(200, content=good))
    retry = {"max_retries": 1, "base_url": url}
    assert ask(run, network, retry, streams).text == "Hello"
    assert len([path for path in network.paths if path.endswith(("chat", "completions"))]) == 2


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("name", ERRORS)
def test_without_a_retry_the_error_is_raised(run: Run, ask: Ask, name: str, streams: bool) -> None:
    """The class is the one that the same words have with a failing status."""
    url, data, kind = ERRORS[name]
    found = ask(run, Network(httpx.Response(200, content=data)), settings(url), streams)
    assert found.error == kind


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("url", [NATIVE, OPENAI])
def test_an_answer_cut_while_thinking_is_reported_as_cut(
    run: Run, ask: Ask, url: str, streams: bool
) -> None:
    """Plain calls are warned as structured ones are."""
    said = {"thinking": "Let me think"}
    data = lines(message(said, **{**LAST, "done_reason": "length"}))
    if url == OPENAI:
        data = sse(choice("delta", {"reasoning": "Let me think"}), choice("delta", {}, "length"))
    with pytest.warns(OnlyThoughtsWarning, match="num_predict"):
        assert ask(run, Network(httpx.Response(200, content=data)), settings(url), streams).thinking


@pytest.mark.parametrize("streams", [False, True])
def test_a_native_answer_without_an_end_is_whole_where_its_body_is(
    run: Run, ask: Ask, streams: bool
) -> None:
    """Ollama says of each line whether it is the last; another server may say it of none."""
    bare = message({"content": "Hello"})
    found = ask(run, Network(httpx.Response(200, json=bare)), settings(NATIVE), streams)
    assert found.text == "Hello"


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("form", [(NATIVE, EVENTS), (OPENAI, lines(*NATIVE_LINES))])
def test_the_form_of_the_other_wire_is_named(
    run: Run, ask: Ask, streams: bool, form: tuple[str, bytes]
) -> None:
    """It is not called empty, and not asked for again."""
    url, data = form
    found = ask(run, Network(httpx.Response(200, content=data)), settings(url), streams)
    assert found.error == "ProtocolError"


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("complete", [complete_langchain, complete_llamaindex])
@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"content": [{"type": "text", "text": "Hello"}]}, "Hello"),
        ({"content": None, "refusal": "No."}, "No."),
    ],
)
def test_a_completion_by_chat_is_read_as_a_chat(
    run: Run, complete: Ask, streams: bool, said: dict[str, Any], told: str
) -> None:
    """Parts are its text, and so is a refusal, which would be lost."""
    data = sse(choice("delta", said), choice("delta", {}, "stop", usage=USAGE))
    found = complete(run, Network(httpx.Response(200, content=data)), settings(OPENAI), streams)
    assert found.text == told
