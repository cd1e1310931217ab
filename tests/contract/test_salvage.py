"""Tool calls that come as text, or not at all: the same through both adapters."""

import json
import warnings
from typing import Any

import pytest
from both_chats import Chats
from running import Run
from wire_answers import WIRES, pieces_of

from ollama_transport import (
    ConfigError,
    ToolCallMissingError,
    ToolChoiceIgnoredWarning,
    UnreadToolCallWarning,
    UsageLedger,
)
from ollama_transport.wire.shaping import salvage

ROME = {"city": "Rome"}


def tool(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TOOLS = [
    tool("weather", city={"type": "string"}),
    tool("add", a={"type": "integer"}, b={"type": "integer"}),
]


@pytest.fixture(params=["LangChain", "LlamaIndex"])
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def streams(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def chats(run: Run, adapter: str, wire: str, streams: bool) -> Chats:
    salvage._WARNED.clear()
    return Chats(run, adapter, wire, streams=streams)


def calls_of(found: Any) -> list[tuple[str, Any]]:
    return [(name, json.loads(arguments)) for _, name, arguments in found.calls]


ONE = '{"name": "weather", "arguments": {"city": "Rome"}}'
PARAMETER = "<function=weather>\n<parameter=city>\nRome\n</parameter>\n</function>"
# The others are read by the same code: tests/wire/test_call_text.py.
FORMS = {
    "hermes": f"<tool_call>\n{ONE}\n</tool_call>",
    "qwen coder": f"<tool_call>\n{PARAMETER}\n</tool_call>",
    "mistral": f"[TOOL_CALLS][{ONE}]",
    "deepseek": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>"
    '{"city": "Rome"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    "lfm2": '<|tool_call_start|>[weather(city="Rome")]<|tool_call_end|>',
    "gemma": '<|tool_call>call:weather{city:<|"|>Rome<|"|>}<tool_call|>',
    "minimax": (
        ']<]minimax[>[<tool_call>]<]minimax[>[<invoke name="weather">]<]minimax[>[<city>Rome'
        "]<]minimax[>[</city>]<]minimax[>[</invoke>]<]minimax[>[</tool_call>"
    ),
    "bare": ONE,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 7])
def test_a_call_left_as_text_is_a_call(chats: Chats, form: str, size: int) -> None:
    """In the forms of the common templates, whole and streamed in any pieces."""
    pieces = [{"content": piece} for piece in pieces_of(FORMS[form], size)]
    found = chats.chat(*pieces, call={"tools": TOOLS}, salvage_tool_calls=True)
    assert calls_of(found) == [("weather", ROME)]
    assert found.text == ""
    assert all(identity for identity, _, _ in found.calls)


@pytest.mark.parametrize("size", [3, 1000])
def test_several_calls_and_the_words_beside_them(chats: Chats, size: int) -> None:
    """Each is a call of its own with an id of its own; the words stay."""
    two = ONE.replace("Rome", "Oslo")
    text = f"Let me look. <tool_call>{ONE}</tool_call>\n<tool_call>{two}</tool_call>"
    pieces = [{"content": piece} for piece in pieces_of(text, size)]
    found = chats.chat(*pieces, call={"tools": TOOLS}, salvage_tool_calls=True)
    assert calls_of(found) == [("weather", ROME), ("weather", {"city": "Oslo"})]
    assert found.text.strip() == "Let me look."
    assert len({identity for identity, _, _ in found.calls}) == 2


def test_ids_of_calls_in_the_text_differ_from_turn_to_turn(chats: Chats) -> None:
    """Some servers tell one time for all answers; Mistral's templates take nine letters."""
    ids = []
    for question in ("hi", "and in Rome?"):
        found = chats.chat(
            {"content": ONE}, question=question, call={"tools": TOOLS}, salvage_tool_calls=True
        )
        ids += [identity for identity, _, _ in found.calls]
    assert len(set(ids)) == 2
    assert all(len(str(identity)) == 9 and str(identity).isalnum() for identity in ids)


def test_values_written_as_text_have_the_type_of_the_schema(chats: Chats) -> None:
    """Templates without JSON write numbers and texts alike."""
    text = "<function=add><parameter=a>\n1\n</parameter><parameter=b>2</parameter></function>"
    found = chats.chat({"content": text}, call={"tools": TOOLS}, salvage_tool_calls=True)
    assert calls_of(found) == [("add", {"a": 1, "b": 2})]


def test_a_call_among_the_thoughts_is_taken(chats: Chats) -> None:
    """Some servers end an answer inside the thoughts, where the call was written."""
    thoughts = pieces_of(f"I need the weather.\n<tool_call>{ONE}</tool_call>", 9)
    messages = [{"content": "", "thinking": piece} for piece in thoughts]
    found = chats.chat(*messages, call={"tools": TOOLS}, salvage_tool_calls=True)
    assert calls_of(found) == [("weather", ROME)]


_TEXTS = {
    "an unknown tool": f"<tool_call>{ONE.replace('weather', 'other')}</tool_call>",
    "a bare unknown tool": ONE.replace("weather", "other"),
    "a call that was cut": f"<tool_call>{ONE[:-3]}",
    "a bare call that was cut": ONE[:-3],
    "JSON of another kind": '{"name": "Rome", "population": 3}',
    "a list": "[1, 2]",
    "words": "I would write <tool_call> and <function=x>.",
    "half a mark": "a < b and <tool",
    "code": "```python\nprint()\n```",
}


@pytest.mark.parametrize("name", _TEXTS)
def test_text_without_a_call_stays_text(chats: Chats, name: str) -> None:
    """Nothing is lost and nothing is run that was not plainly meant."""
    pieces = [{"content": piece} for piece in pieces_of(_TEXTS[name], 1)]
    found = chats.chat(*pieces, call={"tools": TOOLS}, salvage_tool_calls=True)
    assert found.text == _TEXTS[name]
    assert found.calls == ()


def test_calls_in_text_are_not_read_without_tools(chats: Chats) -> None:
    """A model that was given no tool calls none."""
    found = chats.chat({"content": ONE}, salvage_tool_calls=True)
    assert (found.text, found.calls) == (ONE, ())


@pytest.mark.parametrize("form", FORMS)
def test_without_the_option_a_warning_names_it_once(chats: Chats, form: str) -> None:
    """The text stays as it is; the second answer of the model says nothing more."""
    with pytest.warns(UnreadToolCallWarning, match="salvage_tool_calls=True"):
        found = chats.chat({"content": FORMS[form]}, call={"tools": TOOLS})
    assert (found.text, found.calls) == (FORMS[form], ())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chats.chat({"content": FORMS[form]}, call={"tools": TOOLS})


@pytest.mark.parametrize("name", _TEXTS)
def test_text_without_a_call_gives_no_warning(chats: Chats, name: str) -> None:
    """Warnings are errors in this test."""
    assert chats.chat({"content": _TEXTS[name]}, call={"tools": TOOLS}).text == _TEXTS[name]


_ANSWERS = {
    "the arguments": '{"city": "Rome"}',
    "the arguments in a fence": '```json\n{"city": "Rome"}\n```',
    "words and the arguments": 'Here is the JSON: {"city": "Rome"}',
    "the call": ONE,
    "a marked call": f"<tool_call>{ONE}</tool_call>",
}


@pytest.mark.parametrize("name", _ANSWERS)
@pytest.mark.parametrize("choice", ["required", "weather"])
def test_json_that_fits_is_the_call_that_was_asked_for(
    chats: Chats, name: str, choice: str
) -> None:
    """A server that passes over tool_choice; agents wait for the call of their final schema."""
    pieces = [{"content": piece} for piece in pieces_of(_ANSWERS[name], 2)]
    found = chats.chat(*pieces, call={"tools": TOOLS, "tool_choice": choice})
    assert calls_of(found) == [("weather", ROME)]


def test_a_refusal_in_place_of_a_call_has_its_own_error(chats: Chats) -> None:
    """The caller sees its words, and no advice about tool_choice."""
    messages = [{"content": "", "refusal": "I will "}, {"content": "", "refusal": "not."}]
    found = chats.chat(*messages, call={"tools": TOOLS, "tool_choice": "required"})
    assert found.refusal == "I will not."


WORDS = ["It rains in Rome.", '{"town": "Rome"}', '{"city": "Rome']


@pytest.mark.parametrize("choice", ["required", "weather"])
@pytest.mark.parametrize("text", WORDS)
def test_words_in_place_of_a_call_are_an_error(chats: Chats, text: str, choice: str) -> None:
    """The error names the cause, and keeps what the model wrote and thought."""
    pieces = [{"thinking": "Hm."}, *({"content": piece} for piece in pieces_of(text, 3))]
    with pytest.raises(ToolCallMissingError, match=r"weather.*ignores tool_choice") as caught:
        chats.chat(*pieces, call={"tools": TOOLS, "tool_choice": choice})
    error = caught.value
    assert (error.text, error.thinking, error.done_reason) == (text, "Hm.", "stop")
    assert error.tools == (("weather", "add") if choice == "required" else ("weather",))
    assert not getattr(error, "is_retryable", False)


@pytest.mark.parametrize("text", WORDS)
def test_words_are_the_answer_where_that_is_wanted(chats: Chats, text: str) -> None:
    """With a warning that names the cause, or without a word."""
    pieces = [{"content": piece} for piece in pieces_of(text, 3)]
    call = {"tools": TOOLS, "tool_choice": "required"}
    with pytest.warns(ToolChoiceIgnoredWarning, match="weather or add.*tool_choice"):
        found = chats.chat(*pieces, call={**call, "on_missing_call": "warn"})
    assert (found.text, found.calls) == (text, ())
    found = chats.chat(*pieces, call={**call, "on_missing_call": "pass"})
    assert (found.text, found.calls) == (text, ())


@pytest.mark.filterwarnings("ignore::ollama_transport.OnlyThoughtsWarning")
@pytest.mark.parametrize("said", [{"thinking": "Let me see"}, {"content": "The wea"}])
def test_an_answer_cut_before_its_call_is_reported_as_cut(
    chats: Chats, said: dict[str, str]
) -> None:
    """The way out is another than for words."""
    with pytest.raises(ToolCallMissingError, match=r"cut off.*num_predict") as caught:
        chats.chat(said, reason="length", call={"tools": TOOLS, "tool_choice": "required"})
    assert caught.value.done_reason == "length"


def test_nothing_in_place_of_a_call_is_an_error(chats: Chats) -> None:
    """Never an empty list of calls in silence."""
    with pytest.raises(ToolCallMissingError, match="wrote nothing"):
        chats.chat({"content": ""}, call={"tools": TOOLS, "tool_choice": "required"})


def test_a_wrong_word_for_a_missing_call_is_refused(chats: Chats) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError, match="on_missing_call='raise'"):
        chats.chat({"content": ""}, call={"tools": TOOLS, "on_missing_call": "raise"})


def test_the_tokens_of_an_answer_without_its_call_are_counted(chats: Chats) -> None:
    """They were used: ledgers and budgets are told of them."""
    ledger = UsageLedger()
    with pytest.raises(ToolCallMissingError):
        chats.chat(
            {"content": "Words."}, call={"tools": TOOLS, "tool_choice": "required"}, ledger=ledger
        )
    assert ledger.snapshot().total.completion_tokens
