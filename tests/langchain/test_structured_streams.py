"""with_structured_output: objects that grow, and answers that are not what was asked for."""

import json
import pickle
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from chat_ways import model_on, streamed
from core_ways import call, pieces
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from pydantic import BaseModel, model_validator
from recorded import recording
from running import Run
from shapes import CANADA, FORMS, JSON_SCHEMA, STREAM, Country, as_dict, chat, cut_stream, said

from langchain_ollama_ext import ChatOllama
from langchain_ollama_ext._structured_parser import StructuredOutputError
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import ToolCallMissingError

_NATIVE = "chat/tiny-native/schema-stream"
_THINKING = "chat/tiny-think/schema-stream"


def _grows(before: Any, after: Any) -> bool:
    """Return whether one partial object is a beginning of the next."""
    if isinstance(before, dict):
        return all(key in after and _grows(before[key], after[key]) for key in before)
    if isinstance(before, list):
        return len(before) <= len(after) and all(map(_grows, before, after))
    return after.startswith(before) if isinstance(before, str) else bool(before == after)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [STREAM, _THINKING])
def test_recorded_streams_grow_to_the_object(run: Run, form: str, name: str) -> None:
    """Each object continues the one before it, no two are equal, the last is whole (c21)."""
    model, _ = chat(name)
    made = [as_dict(m) for m in pieces(run, model.with_structured_output(FORMS[form]), "Canada?")]
    text = "".join(line["message"]["content"] for line in recording(name).objects)
    assert text.startswith("{")
    assert made[-1].keys() == CANADA.keys()
    assert all(_grows(a, b) and a != b for a, b in pairwise(made))
    assert len(made) > 3


def test_lists_come_item_by_item(run: Run) -> None:
    """The languages are there one after the other, before the answer is whole."""
    model, _ = chat(STREAM)
    made = pieces(run, model.with_structured_output(JSON_SCHEMA), "Canada?")
    lists = [m["languages"] for m in made if "languages" in m]
    assert ["English"] in lists
    assert lists[-1] == ["English", "French"]


@pytest.mark.parametrize("model_name", ["demo", "demo-rendered"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_forced_calls_grow_too(
    server: EmbeddedOllama, run: Run, model_name: str, method: Any
) -> None:
    """The arguments of a forced call come piece by piece, by either route (c3)."""
    model = ChatOllama(model=model_name, base_url=server.url)
    structured = model.with_structured_output({"title": "c", **JSON_SCHEMA}, method=method)
    made = pieces(run, structured, "Tell me about Canada and its languages")
    whole = call(run, structured, "invoke", "Tell me about Canada and its languages")
    run(model.aclose())
    assert made[-1] == whole
    assert len(made) > 3
    assert all(_grows(a, b) for a, b in pairwise(made))


def test_a_stream_with_raw_gives_both(run: Run) -> None:
    """Message chunks and growing objects come by turns, and the verdict comes last."""
    model, _ = chat(STREAM)
    parts = pieces(run, model.with_structured_output(Country, include_raw=True), "Canada?")
    raw = [part["raw"] for part in parts if "raw" in part]
    parsed = [part["parsed"] for part in parts if part.get("parsed") is not None]
    assert sum(raw[1:], raw[0]).text == json.dumps(CANADA, separators=(",", ":"))
    assert parsed[-1] == Country.model_validate(CANADA)
    assert parts[-1]["parsing_error"] is None


def test_a_recorded_cut_is_an_error(run: Run) -> None:
    """A real model that ran into num_predict inside its JSON gives objects, then the error."""
    model, _ = chat(_NATIVE)
    made: list[Any] = []
    with pytest.raises(StructuredOutputError, match="cut before its end") as caught:
        pieces(run, model.with_structured_output(JSON_SCHEMA), "x", into=made)
    assert made[-1]["languages"][:2] == ["English", "French"]
    assert caught.value.llm_output.startswith('{"capital":"Canada"')


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "invoke"])
def test_a_cut_answer_is_an_error_with_its_text(run: Run, form: str, streaming: bool) -> None:
    """Half an object is never a result; the error has the text and why it ended (c21)."""
    model, _ = chat(cut_stream(8), streaming=True)
    structured = model.with_structured_output(FORMS[form])
    with pytest.raises(OutputParserException, match="num_predict") as caught:
        pieces(run, structured, "x") if streaming else call(run, structured, "invoke", "x")
    assert isinstance(caught.value, StructuredOutputError)
    assert caught.value.done_reason == "length"
    written = [line["message"]["content"] for line in recording(STREAM).objects[:8]]
    assert caught.value.llm_output == "".join(written)


@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "invoke"])
def test_a_cut_answer_with_raw_is_distinguished(run: Run, streaming: bool) -> None:
    """include_raw raises nothing: the error and the message are there, an object is not (c21)."""
    model, _ = chat(cut_stream(8), streaming=True)
    structured = model.with_structured_output(JSON_SCHEMA, include_raw=True)
    if streaming:
        last = pieces(run, structured, "x")[-1]
    else:
        last = call(run, structured, "invoke", "x")
        assert last["raw"].response_metadata["done_reason"] == "length"
    assert last["parsed"] is None
    assert isinstance(last["parsing_error"], StructuredOutputError)


@pytest.mark.filterwarnings("ignore::ollama_transport.OnlyThoughtsWarning")  # beside the error
@pytest.mark.parametrize(
    ("content", "how", "hint"),
    [
        (
            "",
            {"reason": "length", "thinking": "Let me see"},
            "only reasoned.*num_predict.*reasoning=False",
        ),
        ("", {}, "wrote nothing"),
        ("Sure, Canada it is.", {}, "not JSON.*'Sure, Canada it is.'"),
        ('{"name": "Canada"', {"reason": "length"}, "cut before its end"),
        ('{"name": "Canada"', {}, "not JSON"),
        ('{"name": 5}', {}, "does not fit Country"),
        ("<think>and so on", {}, "not JSON"),
    ],
)
def test_an_answer_other_than_an_object_names_the_reason(
    run: Run, content: str, how: dict[str, str], hint: str
) -> None:
    """Each kind of failure tells what happened and what to do (c21: "Invalid json output: ")."""
    model, _ = chat(said(content, **how))
    with pytest.raises(StructuredOutputError, match=f"(?s){hint}") as caught:
        call(run, model.with_structured_output(Country), "invoke", "x")
    assert caught.value.llm_output == content


def test_prose_instead_of_a_call_is_an_error(run: Run) -> None:
    """A server that ignores the constraint gives an error, not a silent None (c3)."""
    model, _ = chat("chat/tiny-chat/hello-whole")
    structured = model.with_structured_output(Country, method="function_calling")
    with pytest.raises(ToolCallMissingError, match="instead of calling Country") as caught:
        call(run, structured, "invoke", "x")
    assert isinstance(caught.value, StructuredOutputError)
    assert caught.value.text
    assert caught.value.tools == ("Country",)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


class _Parts(BaseModel):
    names: list[str]
    sizes: dict[str, int]
    note: str


@pytest.mark.parametrize("note", ["plain", "[1, 2]"])
def test_lists_written_as_text_are_read_where_the_schema_has_lists(run: Run, note: str) -> None:
    """Small models write a list in an argument as text; text of a text field stays as it is."""
    sent = {"names": '["a", "b"]', "sizes": ' {"a": 1}', "note": note}
    answer = {"tool_calls": [{"function": {"name": "_Parts", "arguments": sent}}]}
    model, _ = model_on(streamed(answer))
    structured = model.with_structured_output(_Parts, method="function_calling")
    made = call(run, structured, "invoke", "x")
    assert made == _Parts(names=["a", "b"], sizes={"a": 1}, note=note)


@pytest.mark.parametrize("names", ["[1", "7", "[" * 2000])
def test_text_that_is_no_list_does_not_fit(run: Run, names: str) -> None:
    """The error is that of the answer as it came."""
    sent = {"names": names, "sizes": {}, "note": ""}
    answer = {"tool_calls": [{"function": {"name": "_Parts", "arguments": sent}}]}
    model, _ = model_on(streamed(answer))
    structured = model.with_structured_output(_Parts, method="function_calling")
    with pytest.raises(StructuredOutputError, match=r"(?s)does not fit _Parts.*names"):
        call(run, structured, "invoke", "x")


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
@pytest.mark.parametrize("streams", [False, True])
def test_a_call_of_an_unknown_tool_is_no_answer(run: Run, method: str, streams: bool) -> None:
    """A call of a tool that nobody offered is an error that names it, not a silent None."""
    answer = {"tool_calls": [{"function": {"name": "other", "arguments": {"name": "x"}}}]}
    model, _ = model_on(streamed(answer))
    structured = model.with_structured_output(Country, method=method)
    ask = partial(pieces, run) if streams else lambda llm, text: call(run, llm, "invoke", text)
    with pytest.raises(StructuredOutputError, match="called other instead of giving Country"):
        ask(structured, "x")


def test_prose_instead_of_a_call_is_kept_beside_its_error(run: Run) -> None:
    """Whoever asks for it gets the answer itself."""
    model, _ = chat("chat/tiny-chat/hello-whole")
    structured = model.with_structured_output(Country, method="function_calling", include_raw=True)
    found = call(run, structured, "invoke", "x")
    assert found["raw"].content
    assert isinstance(found["parsing_error"], ToolCallMissingError)
    assert found["parsed"] is None


def test_cut_arguments_of_a_call_are_an_error(run: Run) -> None:
    """Arguments that end too early are named so, with the text as far as it goes (c21)."""
    cut = '{"name": "Country", "arguments": {"name": "Can'
    model, _ = chat(said(cut, reason="length"))
    structured = model.with_structured_output(Country, method="function_calling")
    with pytest.raises(StructuredOutputError, match="cut before its end") as caught:
        call(run, structured, "invoke", "x")
    assert caught.value.llm_output == '{"name": "Can'


def test_validators_may_trip_over_a_part(run: Run) -> None:
    """A validator that needs a key which is still to come does not end the stream."""

    class Strict(BaseModel):
        name: str
        capital: str

        @model_validator(mode="before")
        @classmethod
        def _shout(cls, data: Any) -> Any:
            return {**data, "capital": data["capital"].upper()}

    model, _ = chat(STREAM)
    made = pieces(run, model.with_structured_output(Strict), "x")
    assert made[-1] == Strict(name="Canada", capital="OTTAWA")


def test_the_parser_reads_messages_and_texts() -> None:
    """Outside a stream it reads whole messages, parts of them, and texts, as core's parsers do."""
    from langchain_core.outputs import ChatGeneration

    from langchain_ollama_ext._schemas import understood
    from langchain_ollama_ext._structured_parser import StructuredOutputParser

    parser = StructuredOutputParser(shape=understood(JSON_SCHEMA))
    whole = {"name": "x", "capital": "y", "languages": []}
    assert parser.parse(json.dumps(whole)) == whole
    half = [ChatGeneration(message=AIMessage('{"name": "x", "ca'))]
    assert parser.parse_result(half, partial=True) == {"name": "x"}
    nothing = [ChatGeneration(message=AIMessage(""))]
    assert parser.parse_result(nothing, partial=True) is None


def test_the_error_travels() -> None:
    """A pickle of the error is the error, text and reason included."""
    error = StructuredOutputError("cut", llm_output='{"a', done_reason="length")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert (again.llm_output, again.done_reason) == ('{"a', "length")
