"""Core's programs and tool calls over this model, and the spans and events around each call."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from engine_ways import ask
from llama_index.core.chat_engine.types import AgentChatResponse
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.program import FunctionCallingProgram, LLMTextCompletionProgram
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_ways import Played, Way, answer
from pydantic import BaseModel, PrivateAttr
from recorded import recording
from running import Run
from versions import needs

from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import ModelNotFoundError

Make = Callable[..., Ollama]


class Country(BaseModel):
    """A country."""

    name: str
    capital: str


CANADA = Country(name="Canada", capital="Ottawa")
PERU = Country(name="Peru", capital="Lima")
PROMPT = PromptTemplate("Tell me about {land}.")


def program(llm: Ollama, **how: Any) -> FunctionCallingProgram:
    made = FunctionCallingProgram.from_defaults(Country, prompt=PROMPT, llm=llm, **how)
    assert isinstance(made, FunctionCallingProgram)
    return made


def called(run: Run, thing: Any, **kwargs: Any) -> Any:
    """Return what a program returns, called or awaited."""
    return run(thing.acall(**kwargs)) if run.is_async else thing(**kwargs)


def calls(*countries: Country | dict[str, Any]) -> dict[str, Any]:
    """Return the message of a model that calls the class with these."""
    arguments = [c.model_dump() if isinstance(c, Country) else c for c in countries]
    return {
        "content": "",
        "tool_calls": [{"function": {"name": "Country", "arguments": a}} for a in arguments],
    }


def forced(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the message of a model that was made to call the class."""
    return {"content": json.dumps({"name": "Country", "arguments": arguments})}


def test_words_instead_of_a_call_are_an_error(ollama: Make, run: Run) -> None:
    """A program that forces nothing tells what the model said instead of calling."""
    llm = ollama(Played(answer({"content": "No idea."}, streams=False)))
    with pytest.raises(ValueError, match="No idea"):
        called(run, program(llm, tool_required=False), land="Canada")


@needs("llama-index-core", "0.14.20", "a program hides what the class refused")
@pytest.mark.parametrize("required", [True, False])
def test_arguments_that_do_not_fit_are_an_error(ollama: Make, run: Run, required: bool) -> None:
    """A call that the class refuses is an error that says what is missing."""
    message = forced({"name": "Canada"}) if required else calls({"name": "Canada"})
    llm = ollama(Played(answer(message, streams=False)))
    with pytest.raises(ValueError, match=r"(?s)Country.*capital"):
        called(run, program(llm, tool_required=required), land="Canada")


@needs("llama-index-core", "0.14.16", "a program forces its tool whatever tool_choice says")
@pytest.mark.parametrize("choice", ["Country", "auto", None])
def test_a_programs_tool_choice_is_forwarded(ollama: Make, run: Run, choice: str | None) -> None:
    """D9: tool_choice reaches the request: a name forces that call, "auto" leaves it free."""
    forces = choice != "auto"
    message = forced(CANADA.model_dump()) if forces else calls(CANADA)
    network = Played(answer(message, streams=False))
    found = called(run, program(ollama(network), tool_choice=choice), land="Canada")
    assert found == CANADA
    assert ("format" in network.body) == forces
    assert network.body["messages"][-1]["content"] == "Tell me about Canada."
    assert network.body["tools"][0]["function"]["name"] == "Country"


def test_a_program_may_bring_several_objects(ollama: Make, run: Run) -> None:
    """Parallel calls are one object each, in the model's order."""
    llm = ollama(Played(answer(calls(CANADA, PERU), streams=False)))
    how: dict[str, Any] = {"allow_parallel_tool_calls": True, "tool_required": False}
    assert called(run, program(llm, **how), land="Canada") == [CANADA, PERU]


def test_arguments_of_a_programs_call_are_sent(ollama: Make, run: Run) -> None:
    """What a program is given for the model reaches the server."""
    network = Played(answer(forced(CANADA.model_dump()), streams=False))
    called(run, program(ollama(network)), land="Canada", llm_kwargs={"temperature": 0})
    assert network.body["options"] == {"temperature": 0}


def text_program(llm: Ollama) -> Any:
    return LLMTextCompletionProgram.from_defaults(
        PydanticOutputParser(Country), prompt_template_str="Tell me about {land}.", llm=llm
    )


def test_a_text_program_needs_an_object(ollama: Make, run: Run) -> None:
    """Words without an object in them are an error of a program that reads text."""
    llm = ollama(Played(answer({"content": "No idea."}, streams=False)))
    with pytest.raises(ValueError, match="No idea"):
        called(run, text_program(llm), land="Canada")


def test_a_text_program_keeps_the_system_prompt(ollama: Make, run: Run) -> None:
    """D8: the model's system prompt comes first, and the prompt carries the schema."""
    network = Played(answer({"content": CANADA.model_dump_json()}, streams=False))
    found = called(run, text_program(ollama(network, system_prompt="Be brief.")), land="Canada")
    assert found == CANADA
    system, user = network.body["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert '"capital"' in user["content"]


def fast(city: str) -> str:
    """Answer at once."""
    return f"fast {city}"


FAST = FunctionTool.from_defaults(fast)


def tool_calls(*cities: str) -> dict[str, Any]:
    made = [{"function": {"name": "fast", "arguments": {"city": city}}} for city in cities]
    return {"content": "", "tool_calls": made}


@needs("llama-index-core", "0.14.25", "the record of a call has no arguments")
def test_predict_and_call_makes_parallel_calls(ollama: Make, run: Run) -> None:
    """All calls are made when that is allowed, their outputs in the model's order."""
    llm = ollama(Played(answer(tool_calls("Rome", "Oslo"), streams=False)))
    found: AgentChatResponse = ask(
        run, llm, "predict_and_call", [FAST], "Go.", allow_parallel_tool_calls=True
    )
    assert found.response == "fast Rome\n\nfast Oslo"
    assert [source.raw_input["kwargs"] for source in found.sources] == [
        {"city": "Rome"},
        {"city": "Oslo"},
    ]


def test_predict_and_call_makes_one_call(ollama: Make, run: Run) -> None:
    """Of several calls the first is made when only one is allowed."""
    llm = ollama(Played(answer(tool_calls("Rome", "Oslo"), streams=False)))
    found = ask(run, llm, "predict_and_call", [FAST], "Go.")
    assert found.response == "fast Rome"


def test_predict_and_call_without_a_call(ollama: Make, run: Run) -> None:
    """Words are the answer when no call is needed, else an error that has them."""
    llm = ollama(Played(answer({"content": "No need."}, streams=False)))
    found = ask(run, llm, "predict_and_call", [FAST], "Go.", error_on_no_tool_call=False)
    assert (found.response, found.sources) == ("No need.", [])
    with pytest.raises(ValueError, match="No need"):
        ask(run, llm, "predict_and_call", [FAST], "Go.")


@pytest.fixture
def spans() -> Iterator[SimpleSpanHandler]:
    """Keep the spans of LlamaIndex's instrumentation."""
    handler, root = SimpleSpanHandler(), get_dispatcher()
    root.add_span_handler(handler)
    yield handler
    root.span_handlers.remove(handler)


def name(span: Any) -> str:
    text: str = span.id_.partition("-")[0]
    return text


def public(found: list[Any]) -> list[str]:
    return [name(span) for span in found if not name(span).startswith("Ollama._")]


def name_of(way: Way, kind: str) -> str:
    return f"Ollama.{'a' if way.run.is_async else ''}{'stream_' if way.streams else ''}{kind}"


def spoken(ollama: Make, way: Way, kind: str) -> tuple[Any, dict[str, Any]]:
    """Call a model that says what was recorded; return its response and the last line of that."""
    ending = "stream" if way.streams else "whole"
    recorded = f"chat/tiny-chat/sky-{ending}" if kind == "chat" else f"generate/{ending}"
    response = getattr(way, kind)(ollama(Played(recorded)), "hello")[-1]
    return response, recording(recorded).objects[-1]


@pytest.mark.parametrize("kind", ["chat", "complete"])
def test_each_call_has_one_span(
    ollama: Make, way: Way, spans: SimpleSpanHandler, kind: str
) -> None:
    """Tracers see one span of each call, a completion too, and it is closed at the end."""
    spoken(ollama, way, kind)
    assert public(spans.completed_spans) == [name_of(way, kind)]
    assert spans.open_spans == {}
    assert spans.dropped_spans == []


@pytest.mark.parametrize("kind", ["chat", "complete"])
def test_helpers_have_no_spans(ollama: Make, way: Way, spans: SimpleSpanHandler, kind: str) -> None:
    """Tracers are not shown how a call is made inside."""
    spoken(ollama, way, kind)
    assert [name(span) for span in spans.completed_spans] == [name_of(way, kind)]


def test_a_failed_call_drops_its_span(ollama: Make, run: Run, spans: SimpleSpanHandler) -> None:
    """Tracers see that a call failed."""
    way = Way(run, streams=False)
    with pytest.raises(ModelNotFoundError):
        way.chat(ollama(Played("errors/missing-model")), "hello")
    assert public(spans.dropped_spans) == [name_of(way, "chat")]
    assert public(spans.completed_spans) == []
    assert spans.open_spans == {}


def test_the_span_of_a_chat_is_a_child(ollama: Make, run: Run, spans: SimpleSpanHandler) -> None:
    """A chat that another method of the model makes is a child of that method's span."""
    llm = ollama(Played(answer(tool_calls("Rome"), streams=False)))
    ask(run, llm, "predict_and_call", [FAST], "Go.")
    by_name = {name(span): span for span in spans.completed_spans}
    a = "a" if run.is_async else ""
    outer = by_name[f"Ollama.{a}predict_and_call"]
    assert outer.parent_id is None
    assert by_name[f"Ollama.{a}chat"].parent_id == outer.id_


async def test_spans_of_calls_at_once_stay_apart(
    server: EmbeddedOllama, spans: SimpleSpanHandler
) -> None:
    """Calls that run together have a span each, and none is taken for the other's child."""
    async with Ollama("demo", server.url) as llm:
        await asyncio.gather(*[llm.acomplete(f"Say '{n}'.") for n in range(4)])
    found = [span for span in spans.completed_spans if name(span) == "Ollama.acomplete"]
    assert len({span.id_ for span in found}) == 4
    assert {span.parent_id for span in found} == {None}


class Meddler(BaseEventHandler):
    """Dump every event and empty what the dump holds, as exporters may."""

    _seen: int = PrivateAttr(default=0)

    def handle(self, event: Any, **kwargs: Any) -> None:
        response = event.model_dump().get("response") or {}
        for value in (response.get("raw"), response.get("additional_kwargs"), response):
            if isinstance(value, dict):
                self._seen += 1
                value.clear()


@pytest.fixture
def meddler() -> Iterator[Meddler]:
    handler, root = Meddler(), get_dispatcher()
    root.add_event_handler(handler)
    yield handler
    root.event_handlers.remove(handler)


@pytest.mark.parametrize("kind", ["chat", "complete"])
def test_dumping_an_event_leaves_the_answer_alone(
    ollama: Make, way: Way, meddler: Meddler, kind: str
) -> None:
    """What an exporter does to the dump of an event is not seen by the caller."""
    found, last = spoken(ollama, way, kind)
    assert meddler._seen > 0
    assert found.raw["eval_count"] == last["eval_count"]
    assert found.raw["usage"]["completion_tokens"] == last["eval_count"]
