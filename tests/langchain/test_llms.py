"""OllamaLLM: what it asks the server, and what becomes of its answers."""

import json
from collections.abc import Iterator
from typing import Any

import core_family as core
import pytest
from core_ways import call, pieces
from llm_ways import Listener, answer, bodies, played
from recorded import recording
from running import Run

from langchain_ollama_ext import OllamaLLM
from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import (
    ConfigError,
    StreamTruncatedError,
    UnsupportedCapabilityError,
)

_WHOLE = [
    "generate/whole",
    "generate/with-context",
    "generate/raw",
    "generate/system",
    "generate/schema",
]
_STREAMS = ["generate/stream", "generate/think-stream"]


@pytest.fixture
def llm(server: EmbeddedOllama) -> Iterator[OllamaLLM]:
    with OllamaLLM(model="demo", base_url=server.url) as made:
        yield made


@pytest.mark.parametrize("name", _WHOLE)
def test_recorded_answers_come_out_whole(run: Run, name: str) -> None:
    """Text, metadata, context and counts of a real server's answer, field by field."""
    llm, _ = played(name)
    said = recording(name).objects[0]
    result = call(run, llm, "generate", ["x"])
    found = result.generations[0][0]
    assert found.text == said["response"]
    for key in said.keys() - {"response"}:
        assert found.generation_info[key] == said[key], key
    assert found.generation_info["finish_reason"] == said["done_reason"]
    assert found.generation_info["model_provider"] == "ollama"
    assert found.generation_info["usage_metadata"] == {
        "input_tokens": said["prompt_eval_count"],
        "output_tokens": said["eval_count"],
        "total_tokens": said["prompt_eval_count"] + said["eval_count"],
    }
    assert result.llm_output == {
        "model_name": "tiny-chat",
        "token_usage": {
            "prompt_tokens": said["prompt_eval_count"],
            "completion_tokens": said["eval_count"],
            "total_tokens": said["prompt_eval_count"] + said["eval_count"],
        },
    }


@pytest.mark.parametrize("name", _STREAMS)
def test_recorded_streams_merge_to_the_whole(run: Run, name: str) -> None:
    """Chunks merge to the text, thinking and metadata that the lines have together (c23)."""
    llm, _ = played(name)
    lines = recording(name).objects
    listener = Listener()
    texts = pieces(run, llm, "x", config={"callbacks": [listener]})
    assert texts == [line["response"] for line in lines]
    assert listener.tokens == texts
    found = listener.ends[0].generations[0][0]
    assert found.text == "".join(texts)
    last = lines[-1]
    for key in last.keys() - {"response"}:
        assert found.generation_info[key] == last[key], key
    assert found.generation_info["finish_reason"] == last["done_reason"] == "stop"
    thinking = "".join(line.get("thinking", "") for line in lines)
    assert found.generation_info.get("reasoning_content", "") == thinking
    assert bool(thinking) is (name == "generate/think-stream")


def test_streamed_and_whole_information_have_the_same_keys(llm: OllamaLLM, run: Run) -> None:
    """What invoke tells, stream tells under the same names; thinking too (peer: c8)."""
    listener = Listener()
    whole = call(run, llm, "generate", ["Hello"]).generations[0][0]
    text = "".join(pieces(run, llm, "Hello", config={"callbacks": [listener]}))
    streamed = listener.ends[0].generations[0][0]
    assert text == whole.text == streamed.text
    assert streamed.generation_info.keys() == whole.generation_info.keys()
    for key in ("reasoning_content", "thinking", "done_reason", "usage_metadata"):
        assert streamed.generation_info[key] == whole.generation_info[key], key
    assert whole.generation_info["reasoning_content"]


def test_logprobs_are_plain_and_complete(server: EmbeddedOllama, llm: OllamaLLM, run: Run) -> None:
    """Log probabilities of all tokens arrive, whole and streamed, as plain JSON (c22)."""
    listener = Listener()
    whole = call(run, llm, "generate", ["Hello"], top_logprobs=2).generations[0][0]
    pieces(run, llm, "Hello", config={"callbacks": [listener]}, logprobs=True, top_logprobs=2)
    streamed = listener.ends[0].generations[0][0]
    assert bodies(server)[-1]["logprobs"] is True
    assert type(whole.generation_info["logprobs"][0]) is dict
    assert streamed.generation_info["logprobs"] == whole.generation_info["logprobs"]


def test_a_stream_without_its_end_is_an_error(
    server: EmbeddedOllama, llm: OllamaLLM, run: Run
) -> None:
    """A cut answer is no answer, and the handler hears of it (c17)."""
    half = recording("generate/stream").objects[:3]
    server.script("POST", "/api/generate", Reply.lines(half))
    listener = Listener()
    with pytest.raises(StreamTruncatedError):
        pieces(run, llm, "x", config={"callbacks": [listener]})
    assert len(listener.errors) == 1


def test_leaving_a_stream_stops_the_server(
    server: EmbeddedOllama, llm: OllamaLLM, run: Run
) -> None:
    """Closing the iterator closes the connection at once."""
    gate = Gate()
    lines = [{"model": "m", "response": "a", "done": False}] * 50
    server.script("POST", "/api/generate", Reply.lines(lines, gate=gate, hold_at=1))
    stream = llm.astream("x") if run.is_async else llm.stream("x")
    assert run.take(stream, 1) == ["a"]
    assert server.wait_for_disconnects(1)
    gate.set()


def test_a_bare_call_sends_the_prompt_alone(
    server: EmbeddedOllama, llm: OllamaLLM, run: Run
) -> None:
    """Nothing that is not set is sent: no empty format, no options (peer: "format": "")."""
    call(run, llm, "invoke", "Hello")
    assert bodies(server)[-1] == {
        "model": "demo",
        "prompt": "Hello",
        "truncate": False,
        "stream": True,
    }


_PER_CALL: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"temperature": 0.5}, {"options": {"temperature": 0.5}}),
    ({"max_tokens": 7}, {"options": {"num_predict": 7}}),
    ({"min_p": 0.1, "options": {"top_k": 3}}, {"options": {"min_p": 0.1, "top_k": 3}}),
    ({"stop": ["END"]}, {"options": {"stop": ["END"]}}),
    ({"model": "demo-rendered"}, {"model": "demo-rendered"}),
    ({"reasoning": "high"}, {"think": "high"}),
    ({"think": False}, {"think": False}),
    ({"format": "json"}, {"format": "json"}),
    ({"format": ""}, {}),
    ({"format": {"type": "object"}}, {"format": {"type": "object"}}),
    ({"keep_alive": "300"}, {"keep_alive": 300}),
    ({"truncate": True}, {"truncate": True}),
    ({"shift": False}, {"shift": False}),
    ({"suffix": "end"}, {"suffix": "end"}),
    ({"raw": True}, {"raw": True}),
    ({"system": "Be kind"}, {"system": "Be kind"}),
    ({"template": "{{ .Prompt }}"}, {"template": "{{ .Prompt }}"}),
    ({"context": [1, 2]}, {"context": [1, 2]}),
    ({"images": [b"\x89PNG"]}, {"images": ["iVBORw=="]}),
    ({"images": ["data:image/png;base64,iVBORw=="]}, {"images": ["iVBORw=="]}),
    ({"logprobs": True}, {"logprobs": True}),
]


@pytest.mark.parametrize(("given", "sent"), _PER_CALL, ids=[next(iter(g)) for g, _ in _PER_CALL])
def test_every_argument_can_be_given_per_call(
    server: EmbeddedOllama, run: Run, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    """Each argument travels from invoke, stream and bind alike (c4, c25, c26)."""
    server.script("POST", "/api/generate", Reply.json(answer()), repeat=True)
    llm = OllamaLLM(model="demo", base_url=server.url)
    call(run, llm, "invoke", "x", **given)
    pieces(run, llm, "x", **given)
    call(run, llm.bind(**given), "invoke", "x")
    run(llm.aclose())
    base = {"model": "demo", "prompt": "x", "truncate": False} | sent
    assert bodies(server) == [base | {"stream": True}] * 3


@pytest.mark.parametrize(
    "field",
    ["temperature", "format", "keep_alive", "truncate", "shift", "raw", "system", "template"],
)
def test_fields_are_sent_and_calls_go_over_them(server: EmbeddedOllama, field: str) -> None:
    """A constructor field is a default that a call replaces."""
    server.script("POST", "/api/generate", Reply.json(answer()), repeat=True)
    values: dict[str, tuple[Any, Any]] = {
        "temperature": (0.1, 0.9),
        "format": ("json", {"type": "object"}),
        "keep_alive": ("5m", 0),
        "truncate": (True, False),
        "shift": (True, False),
        "raw": (True, False),
        "system": ("a", ""),
        "template": ("a", "b"),
    }
    own, other = values[field]
    llm = OllamaLLM(model="demo", base_url=server.url, **{field: own})
    llm.invoke("x")
    llm.invoke("x", **{field: other})
    found = [{**body, **body.get("options", {})}[field] for body in bodies(server)]
    assert found == [own, other]


def test_stop_texts_of_model_and_call_add_up(server: EmbeddedOllama, llm: OllamaLLM) -> None:
    """Stop in both places is a merge, not an error (c27)."""
    OllamaLLM(model="demo", base_url=server.url, stop=["A"]).invoke("x", stop=["B", "A"])
    assert bodies(server)[-1]["options"] == {"stop": ["A", "B"]}


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"temperature": -1}, "temperature"),
        ({"options": {"num_cxt": 1}}, "did you mean 'num_ctx'"),
        ({"reasoning": "ba nana"}, "ba nana"),
        ({"format": "xml"}, "xml"),
        ({"keep_alive": "soon"}, "soon"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"tools": []}, "tools"),
        ({"timeout": "now"}, "timeout"),
    ],
)
def test_wrong_arguments_of_a_call_send_nothing(
    server: EmbeddedOllama, llm: OllamaLLM, run: Run, given: dict[str, Any], hint: str
) -> None:
    """An unknown name or a value out of range is refused before the request (c4)."""
    for ask in (
        lambda: call(run, llm, "invoke", "x", **given),
        lambda: pieces(run, llm, "x", **given),
    ):
        with pytest.raises(ConfigError, match=hint) as caught:
            ask()
        assert isinstance(caught.value, core.ModelInvalidRequestError)
    assert server.requests == []


@pytest.mark.parametrize("name", ["mirostat", "mirostat_eta", "mirostat_tau", "tfs_z"])
def test_obsolete_options_warn_and_stay_here(server: EmbeddedOllama, name: str) -> None:
    """What the server no longer knows is accepted with a warning and not sent, in all places."""
    with pytest.warns(DeprecationWarning, match=name):
        llm = OllamaLLM(model="demo", base_url=server.url, **{name: 1})
    llm.invoke("x")
    with pytest.warns(DeprecationWarning, match=name):
        llm.invoke("x", **{name: 1})
    with pytest.warns(DeprecationWarning, match=name):
        llm.invoke("x", options={name: 1})
    assert all("options" not in body for body in bodies(server))


def test_sizes_of_images_warn_and_stay_here(server: EmbeddedOllama, llm: OllamaLLM) -> None:
    """The peer's width, height and steps, which the server ignores, are not sent."""
    with pytest.warns(DeprecationWarning, match="width"):
        llm.invoke("x", width=64)
    assert "width" not in bodies(server)[-1]


def test_the_middle_is_filled(llm: OllamaLLM, run: Run) -> None:
    """A suffix reaches a model that can insert, and is refused by one that cannot (c26)."""
    assert call(run, llm, "invoke", "def f():", suffix="return 1")
    refused, _ = played("generate/suffix-unsupported")
    with pytest.raises(UnsupportedCapabilityError, match="insert"):
        call(run, refused, "invoke", "a", suffix="b")


def test_a_schema_is_followed(llm: OllamaLLM, run: Run) -> None:
    """A JSON schema as format constrains the text, which the peer did not allow here."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert json.loads(call(run, llm, "invoke", "the number 7", format=schema)) == {"n": 7}
