"""Where JSON was asked for, the text of an answer is JSON alone: what stands around it goes."""

import json
from typing import Any

import pytest
from both_chats import Chats
from faked import Network
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from pydantic import BaseModel
from running import Run
from wire_answers import WIRES, pieces_of, replied

from langchain_ollama_ext import ChatOllama


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    sunny: bool


ROME = Weather(city="Rome", sunny=True)
JSON = '{"city": "Rome", "sunny": true}'
SCHEMA = Weather.model_json_schema()
AROUND = {
    "alone": JSON,
    "a fence": f"```json\n{JSON}\n```",
    "a fence without backticks": f"json\n{JSON}",
    "words": f"Here is {{the}} JSON [1]:\n{JSON}",
    "words and a fence": f"Here you are:\n```json\n{JSON}\n```\nEnjoy!",
    "words behind": f"{JSON}\nEnjoy!",
    "thoughts": f"<think>A {{city}}?</think>\n{JSON}",
    "a mark behind": f"{JSON}<|im_end|>",
}


@pytest.mark.parametrize("name", AROUND)
def test_json_comes_alone(chats: Chats, name: str) -> None:
    """Whole, and in pieces that cut it anywhere."""
    pieces = [{"content": piece} for piece in pieces_of(AROUND[name], 3)]
    assert chats.chat(*pieces, call={"format": SCHEMA}).text == JSON


@pytest.mark.parametrize(
    "text",
    [
        "It is sunny in [Rome] {Italy}.",
        "```python\nprint({'city': 'Rome'})\n```",
        f"{JSON}\n{JSON}",
        '{"city": "Ro',
        'I think {"city": "Rome"} is all that I know.',
    ],
)
def test_what_is_not_certain_stays_as_it_is(chats: Chats, text: str) -> None:
    """Nothing of an answer without such JSON is lost, nor of one with two."""
    pieces = [{"content": piece} for piece in pieces_of(text, 3)]
    assert chats.chat(*pieces, call={"format": SCHEMA}).text == text


def test_without_a_format_nothing_is_left_out(chats: Chats) -> None:
    """Words are the answer then."""
    text = AROUND["words and a fence"]
    assert chats.chat({"content": text}).text == text


def test_a_line_end_in_a_text_is_escaped(chats: Chats) -> None:
    """Strict readers refuse it."""
    pieces = pieces_of(JSON.replace("Rome", "Ro\nme"), 2)
    found = chats.chat(*({"content": piece} for piece in pieces), call={"format": "json"})
    assert json.loads(found.text) == {"city": "Ro\nme", "sunny": True}


@pytest.mark.parametrize("thoughts", [JSON, f"Rome, then.\n{JSON}"])
def test_json_among_the_thoughts_is_the_text(chats: Chats, thoughts: str) -> None:
    """LM Studio and vLLM put the whole answer there."""
    found = chats.chat({"content": "", "thinking": thoughts}, call={"format": SCHEMA})
    assert (found.text, found.thinking) == (JSON, thoughts)


def test_a_draft_among_the_thoughts_is_none(chats: Chats) -> None:
    """What does not fit, or was cut, was not meant as the answer."""
    for thoughts in (f"Say {JSON}, or not?", JSON[:-5], '{"city": "Rome"}'):
        found = chats.chat({"content": "", "thinking": thoughts}, call={"format": SCHEMA})
        assert found.text == ""


def agreed(run: Run, wire: str, text: str, streams: bool, **message: Any) -> Any:
    """Return what an agent of LangChain has for its schema, of which the server only knows JSON."""
    answer = replied(wire, [{"content": text, **message}], streams=streams)
    model = ChatOllama(
        model="m",
        streaming=streams,
        client_kwargs={"transport": Network(answer)},
        **WIRES[wire],
    )
    agent = create_agent(model, [], response_format=ProviderStrategy(Weather))
    question: Any = {"messages": [("user", "Rome?")]}
    try:
        found = run(agent.ainvoke(question)) if run.is_async else agent.invoke(question)
    finally:
        run(model.aclose() if run.is_async else model.close())
    return found["structured_response"]


REPAIRED = {
    "a comma too many": '{"city": "Rome", "sunny": true,}',
    "Python": "{'city': 'Rome', 'sunny': True}",
    "a list of one": f"[{JSON}]",
    "its name around it": f'{{"Weather": {JSON}}}',
    "a call": f'{{"name": "Weather", "arguments": {JSON}}}',
    "JSON in JSON": json.dumps(JSON),
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", ["a fence", "words and a fence", "words behind", "thoughts"])
def test_langchains_provider_strategy_reads_it(
    run: Run, wire: str, streams: bool, name: str
) -> None:
    """It parses the text strictly, and failed for everything around the JSON."""
    assert agreed(run, wire, AROUND[name], streams) == ROME


@pytest.mark.parametrize("name", REPAIRED)
def test_a_whole_answer_is_repaired_where_that_is_certain(run: Run, name: str) -> None:
    """For LangChain's ProviderStrategy, which takes nothing but strict JSON."""
    assert agreed(run, "openai", REPAIRED[name], False) == ROME


@pytest.mark.parametrize("name", REPAIRED)
def test_structured_output_reads_it_too(run: Run, name: str) -> None:
    """Whole and streamed, by the one reader of both frameworks."""
    for streams in (False, True):
        answer = replied("openai", [{"content": REPAIRED[name]}], streams=streams)
        model = ChatOllama(
            model="m", client_kwargs={"transport": Network(answer)}, **WIRES["openai"]
        )
        bound = model.with_structured_output(Weather)
        if streams:
            assert [*bound.stream("Rome?")][-1] == ROME
        else:
            assert (run(bound.ainvoke("hi")) if run.is_async else bound.invoke("hi")) == ROME
        run(model.aclose() if run.is_async else model.close())
