"""Agents whose model answers the final schema without calling it (langchain's create_agent)."""

import json
from typing import Any

import pytest
from faked import Network
from langchain.agents import create_agent
from langchain.agents.structured_output import ToolStrategy
from pydantic import BaseModel
from running import Run
from wire_answers import WIRES, replied

from langchain_ollama_ext import ChatOllama
from ollama_transport import ToolCallMissingError


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    sunny: bool


ROME = Weather(city="Rome", sunny=True)


def look(city: str) -> str:
    """Look at a city."""
    return city


def asked(run: Run, wire: str, content: str, **more: str) -> dict[str, Any]:
    answer = replied(wire, [{"content": content, **more}], streams=False)
    settings: dict[str, Any] = {"client_kwargs": {"transport": Network(answer)}, **WIRES[wire]}
    model = ChatOllama(model="m", **settings)
    agent = create_agent(model, [look], response_format=ToolStrategy(Weather))
    question: Any = {"messages": [("user", "Rome?")]}
    try:
        return run(agent.ainvoke(question)) if run.is_async else agent.invoke(question)
    finally:
        run(model.aclose() if run.is_async else model.close())


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "text",
    [
        ROME.model_dump_json(),
        f"```json\n{ROME.model_dump_json(indent=1)}\n```",
        f"Here is the JSON: {ROME.model_dump_json()}",
        json.dumps({"name": "Weather", "arguments": ROME.model_dump()}),
    ],
)
def test_json_that_fits_the_final_schema_ends_the_agent(run: Run, wire: str, text: str) -> None:
    """The structured response is there, though the model never called its tool."""
    assert asked(run, wire, text)["structured_response"] == ROME


@pytest.mark.parametrize("wire", WIRES)
def test_json_among_the_thoughts_ends_the_agent(run: Run, wire: str) -> None:
    """Where the text is empty, as LM Studio and vLLM leave it at times."""
    found = asked(run, wire, "", thinking=f"Rome, then.\n{ROME.model_dump_json()}")
    assert found["structured_response"] == ROME


@pytest.mark.parametrize("wire", WIRES)
def test_prose_in_place_of_the_final_schema_is_an_error(run: Run, wire: str) -> None:
    """Langchain ends such an agent in silence: the error names the cause and keeps the text."""
    with pytest.raises(ToolCallMissingError, match=r"Weather.*structured response") as caught:
        asked(run, wire, "It is sunny in Rome.")
    assert caught.value.text == "It is sunny in Rome."
