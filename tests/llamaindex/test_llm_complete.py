"""`complete` is /api/generate, with all that it takes."""

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from llama_index.core.base.llms.types import ImageBlock
from llama_ways import Played, Way
from recorded import recording

from llamaindex_ollama_ext import Ollama
from ollama_transport import ConfigError

Make = Callable[..., Ollama]
PNG = b"\x89PNG\r\n\x1a\n and so on"


def completed(way: Way) -> Played:
    return Played("generate/stream" if way.streams else "generate/whole")


def asked(
    ollama: Make, way: Way, settings: dict[str, Any], prompt: str, call: dict[str, Any]
) -> dict[str, Any]:
    network = completed(way)
    way.complete(ollama(network, **settings), prompt, **call)
    assert network.requests[-1].url.path == "/api/generate"
    body: dict[str, Any] = network.body
    return {key: body[key] for key in body.keys() - {"model", "stream", "truncate"}}


def shout(prompt: str) -> str:
    return prompt.upper()


@pytest.mark.parametrize(
    ("settings", "call", "sent"),
    [
        ({}, {}, {"prompt": "hi"}),
        ({}, {"suffix": "}"}, {"prompt": "hi", "suffix": "}"}),
        ({}, {"raw": True}, {"prompt": "hi", "raw": True}),
        ({}, {"template": "{{ .Prompt }}"}, {"prompt": "hi", "template": "{{ .Prompt }}"}),
        ({}, {"context": [1, 2]}, {"prompt": "hi", "context": [1, 2]}),
        ({}, {"system": "Be brief."}, {"prompt": "hi", "system": "Be brief."}),
        ({}, {"system_prompt": "Be brief."}, {"prompt": "hi", "system": "Be brief."}),
        ({"system_prompt": "Be kind."}, {}, {"prompt": "hi", "system": "Be kind."}),
        ({"system_prompt": "Be kind."}, {"system": ""}, {"prompt": "hi", "system": ""}),
        ({"system_prompt": "Be kind."}, {"formatted": True}, {"prompt": "hi"}),
        ({"system_prompt": "Be kind."}, {"raw": True}, {"prompt": "hi", "raw": True}),
        ({"completion_to_prompt": shout}, {}, {"prompt": "HI"}),
        ({"completion_to_prompt": shout}, {"formatted": True}, {"prompt": "hi"}),
        ({"json_mode": True}, {}, {"prompt": "hi", "format": "json"}),
        ({"thinking": True}, {"think": False}, {"prompt": "hi", "think": False}),
        ({"temperature": 1}, {"temperature": 0}, {"prompt": "hi", "options": {"temperature": 0}}),
        ({}, {"images": [PNG]}, {"prompt": "hi", "images": [base64.b64encode(PNG).decode()]}),
        (
            {},
            {"images": [base64.b64encode(PNG).decode(), ImageBlock(image=PNG)]},
            {"prompt": "hi", "images": [base64.b64encode(PNG).decode()] * 2},
        ),
    ],
)
def test_completions_send_the_documented_fields(
    ollama: Make, way: Way, settings: dict[str, Any], call: dict[str, Any], sent: dict[str, Any]
) -> None:
    """D17: each field of /api/generate is sent when asked for, and the prompt is formatted once."""
    assert asked(ollama, way, settings, "hi", call) == sent


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"sufix": "x"}, "did you mean 'suffix'"),
        ({"tools": []}, "unknown argument 'tools' of complete: "),
        ({"images": [5]}, "must be bytes, base64 text"),
    ],
)
def test_completions_refuse_unsupported_arguments(
    ollama: Make, way: Way, call: dict[str, Any], words: str
) -> None:
    """D10: an argument that /api/generate does not have is an error."""
    with pytest.raises(ConfigError, match=words):
        way.complete(ollama(completed(way)), "hi", **call)


def test_the_context_of_one_completion_continues_the_next(ollama: Make, way: Way) -> None:
    """D17: raw["context"] of the last response is what `context` takes."""
    llm = ollama(completed(way))
    first = way.complete(llm, "hi")[-1]
    assert first.raw is not None
    way.complete(llm, "and?", context=first.raw["context"])
    name = "generate/stream" if way.streams else "generate/whole"
    assert first.raw["context"] == recording(name).objects[-1]["context"]


def test_thinking_of_a_completion_is_kept_apart(ollama: Make, way: Way) -> None:
    """What the model thinks is not in the text and not lost."""
    network = Played("generate/think-stream")
    if not way.streams:
        whole = {**recording("generate/think-stream").objects[-1], "response": "4"}
        network = Played(httpx.Response(200, json={**whole, "thinking": "I add."}))
    responses = way.complete(ollama(network, thinking=True), "What is 2 + 2?")
    assert responses[-1].text.endswith("4")
    if way.streams:
        deltas = [r.additional_kwargs["thinking_delta"] for r in responses]
        assert "".join(delta or "" for delta in deltas).startswith("I")
        assert deltas[-1] is None
    else:
        assert responses[-1].additional_kwargs["thinking"] == "I add."
