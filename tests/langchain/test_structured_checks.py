"""Structured answers are checked by the schema as the caller wrote it; errors name the field."""

import json
from typing import Annotated, Any, TypedDict

import httpx
import pytest
from core_ways import call, pieces
from pydantic import BaseModel, Field
from running import Run
from shapes import chat, said, sent, streamed

from langchain_ollama_ext._structured_parser import StructuredOutputError

SCHEMA = {
    "title": "post",
    "type": "object",
    "properties": {
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "score": {"type": "number", "maximum": 1},
        "code": {"type": "string", "pattern": r"^(?!x)\d+$"},
    },
    "required": ["tags", "score", "code"],
}
FITTING = {"tags": ["a", "b"], "score": 0.5, "code": "12"}
FAULTS = {
    "tags": {**FITTING, "tags": ["a", "a"]},
    "score": {**FITTING, "score": 2},
    "code": {**FITTING, "code": "x1"},
}


class Post(BaseModel):
    """A post."""

    tags: Annotated[list[str], Field(max_length=2)]
    score: Annotated[float, Field(le=1)]
    code: str


class PostDict(TypedDict):
    """A post."""

    tags: list[str]
    score: float


def called(arguments: Any) -> Any:
    return said(json.dumps({"name": "post", "arguments": arguments}))


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize("field", FAULTS)
def test_an_answer_that_no_grammar_held_is_an_error_that_names_the_field(
    run: Run, method: Any, field: str
) -> None:
    """A number's maximum, duplicates, a lookahead: servers take them, and do not hold them."""
    for value in (FITTING, FAULTS[field]):
        answer = called(value) if method == "function_calling" else said(json.dumps(value))
        model, _ = chat(answer)
        structured = model.with_structured_output(SCHEMA, method=method)
        if value is FITTING:
            assert call(run, structured, "invoke", "Hi") == FITTING
            continue
        with pytest.raises(StructuredOutputError, match=f"does not fit post: {field}: ") as caught:
            call(run, structured, "invoke", "Hi")
        assert caught.value.llm_output


def test_a_stream_grows_and_is_checked_at_its_end(run: Run) -> None:
    """Half an answer is not held to what only the whole one can have."""
    text = json.dumps(FAULTS["score"])
    lines = [
        {"model": "m", "created_at": "2026-01-01T00:00:00Z", "done": False}
        | {"message": {"role": "assistant", "content": part}}
        for part in (text[:14], text[14:])
    ]
    end = {**lines[0], "message": {"role": "assistant", "content": ""}, "done": True}
    model, _ = chat(streamed([*lines, {**end, "done_reason": "stop"}]))
    found: list[Any] = []
    with pytest.raises(StructuredOutputError, match="score: 2 is greater than the maximum of 1"):
        pieces(run, model.with_structured_output(SCHEMA), "Hi", into=found)
    assert found[0] == {"tags": ["a"]} or found[0] == {"tags": []}


@pytest.mark.parametrize(("schema", "words"), [(Post, "score"), (PostDict, "tags")])
def test_classes_name_the_field_too(run: Run, schema: Any, words: str) -> None:
    """A pydantic class checks itself; a TypedDict is checked as a dict is."""
    model, _ = chat(said(json.dumps({"tags": "a", "score": 2, "code": "1"})))
    with pytest.raises(StructuredOutputError, match=words):
        call(run, model.with_structured_output(schema), "invoke", "Hi")


def test_include_raw_names_the_field_instead_of_raising(run: Run) -> None:
    """The message stays, the error says what is wrong with it."""
    model, _ = chat(said(json.dumps(FAULTS["code"])))
    found = call(run, model.with_structured_output(SCHEMA, include_raw=True), "invoke", "Hi")
    assert found["parsed"] is None
    assert "code: 'x1' does not match" in str(found["parsing_error"])


def test_sent_schemas_have_no_refused_keyword(run: Run) -> None:
    """The lookahead goes into the field's description."""
    model, network = chat(said(json.dumps(FITTING)))
    call(run, model.with_structured_output(SCHEMA), "invoke", "Hi")
    code = sent(network)["format"]["properties"]["code"]
    assert code == {"type": "string", "description": r"Pattern: `^(?!x)\d+$`."}


@pytest.mark.parametrize("strict", [None, True, False])
def test_the_callers_strict_goes_out_on_v1(run: Run, strict: bool | None) -> None:
    """Unsaid, it goes with schemas that are strict by OpenAI's rules alone."""
    answer = {"message": {"role": "assistant", "content": json.dumps(FITTING)}}
    body = {"choices": [{"index": 0, "finish_reason": "stop", **answer}]}
    model, network = chat(httpx.Response(200, json=body), base_url="http://127.0.0.1:1/v1")
    call(run, model.with_structured_output(SCHEMA, strict=strict), "invoke", "Hi")
    # What follows it asks for the count of tokens that the answer does not tell.
    asked = json.loads(network.requests[0].content)
    assert asked["response_format"]["json_schema"].get("strict") is strict
