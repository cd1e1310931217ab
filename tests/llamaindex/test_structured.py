"""`structured_predict` and its kin, in all program modes and all four ways to call."""

import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMStructuredPredictEndEvent,
    LLMStructuredPredictInProgressEvent,
    LLMStructuredPredictStartEvent,
)
from llama_index.core.llms import ChatMessage
from llama_index.core.program.utils import FlexibleModel
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.prompts.base import SelectorPromptTemplate
from llama_index.core.prompts.utils import is_chat_model
from llama_index.core.types import PydanticProgramMode
from llama_index_instrumentation import get_dispatcher
from llama_ways import Played, Way, chat_lines
from pydantic import BaseModel, PrivateAttr, ValidationError
from recorded import recording

from llamaindex_ollama_ext import Ollama, StructuredOutputError
from ollama_transport import ConfigError, StreamTruncatedError, UnsupportedCapabilityError
from ollama_transport.embedded import EmbeddedOllama, Gate, Reply

Make = Callable[..., Ollama]
PROMPT = PromptTemplate("Tell me about {land}.")
BY_FORMAT = ["default", "guidance", "lm-format-enforcer"]
BY_CALL = ["function", "openai"]


class Country(BaseModel):
    """A country."""

    name: str
    capital: str
    languages: list[str]


CANADA = Country(name="Canada", capital="Ottawa", languages=["English", "French"])
JSON = CANADA.model_dump_json()


def predict(way: Way, llm: Any, prompt: Any = PROMPT, **more: Any) -> list[Any]:
    """Return all objects, of a stream or the one of a whole answer."""
    more = {"land": "Canada", **more}
    return way._call(llm, "structured_predict", more.pop("output_cls", Country), prompt, **more)


def said(way: Way, *texts: str, **last: Any) -> httpx.Response:
    """Return an answer that says these texts, each on a line of its own when it is streamed."""
    pieces = texts if way.streams else ("".join(texts),)
    return replied(way, *({"content": text} for text in pieces), **last)


def replied(way: Way, *messages: dict[str, Any], **last: Any) -> httpx.Response:
    data = "".join(json.dumps(line) + "\n" for line in chat_lines(*messages, **last))
    kind = "application/x-ndjson" if way.streams else "application/json"
    return httpx.Response(200, content=data, headers={"content-type": kind})


@pytest.mark.parametrize("model", ["tiny-chat", "tiny-think"])
def test_a_recorded_answer_becomes_its_object(ollama: Make, way: Way, model: str) -> None:
    """What a real server wrote under a schema arrives as the object, thinking passed over."""
    kind = "stream" if way.streams or model == "tiny-think" else "whole"
    if kind == "stream" and not way.streams:
        pytest.skip("this answer was recorded as a stream alone")
    network = Played(f"chat/{model}/schema-{kind}")
    assert predict(way, ollama(network, model))[-1] == CANADA
    asked = recording(f"chat/{model}/schema-{kind}").body
    assert network.body["messages"] == asked["messages"]
    assert set(network.body["format"]["properties"]) == set(asked["format"]["properties"])


@pytest.mark.parametrize("mode", list(PydanticProgramMode))
def test_every_mode_brings_the_object(
    server: EmbeddedOllama, way: Way, mode: PydanticProgramMode
) -> None:
    """D8: whatever the mode, the last object is a whole one of the class."""
    llm = Ollama("demo", server.url, pydantic_program_mode=mode)
    prompt = PromptTemplate("name: {land}, capital: 'Ottawa', languages: English, French.")
    objects = predict(way, llm, prompt)
    assert type(objects[-1]) is Country
    assert objects[-1].name == "Canada"
    assert way.streams == (len(objects) > 1)


@pytest.mark.parametrize("mode", BY_FORMAT)
def test_the_schema_is_sent_as_format(ollama: Make, way: Way, mode: str) -> None:
    """Modes that constrain the answer have the server do it."""
    network = Played(said(way, JSON))
    predict(way, ollama(network, pydantic_program_mode=mode))
    assert network.body["format"] == Country.model_json_schema()
    assert "tools" not in network.body


@pytest.mark.parametrize("mode", BY_CALL)
def test_a_call_of_the_class_is_forced(ollama: Make, way: Way, mode: str) -> None:
    """D8, D9: modes that call a function offer the class as the one tool, and force it."""
    network = Played(said(way, json.dumps({"name": "Country", "arguments": CANADA.model_dump()})))
    assert predict(way, ollama(network, pydantic_program_mode=mode))[-1] == CANADA
    (tool,) = network.body["tools"]
    assert tool["function"]["name"] == "Country"
    assert network.body["format"]["properties"]["name"] == {"const": "Country"}


def test_the_schema_stands_in_the_prompt_of_llm_mode(ollama: Make, way: Way) -> None:
    """LLM mode constrains nothing, and its schema is JSON as it is, braces not doubled."""
    network = Played(said(way, JSON))
    predict(way, ollama(network, pydantic_program_mode="llm"))
    text = network.body["messages"][0]["content"]
    assert text.startswith("Tell me about Canada.")
    assert json.dumps(Country.model_json_schema()) in text
    assert "format" not in network.body
    assert "tools" not in network.body


@pytest.mark.parametrize("mode", [*BY_FORMAT, *BY_CALL, "llm"])
def test_the_system_prompt_is_kept(ollama: Make, way: Way, mode: str) -> None:
    """D8: the model's system prompt comes first in every mode, where the peer leaves it out."""
    llm = ollama(
        Played(said(way, JSON)), pydantic_program_mode=mode, system_prompt="You know maps."
    )
    predict(way, llm)
    network = llm.client_kwargs["transport"]
    first, second = network.body["messages"]
    assert first == {"role": "system", "content": "You know maps."}
    assert second["content"].startswith("Tell me about Canada.")


def test_the_prompt_for_chat_models_is_taken(ollama: Make, way: Way) -> None:
    """D8: a prompt that depends on the model is asked for with the model at hand."""
    chat = ChatPromptTemplate([ChatMessage("As a chat: {land}")])
    prompt = SelectorPromptTemplate(PROMPT, [(is_chat_model, chat)])
    network = Played(said(way, JSON))
    predict(way, ollama(network), prompt)
    assert network.body["messages"][0]["content"] == "As a chat: Canada"


@pytest.mark.parametrize("mode", ["default", "function", "llm"])
def test_arguments_stay_untouched(ollama: Make, way: Way, mode: str) -> None:
    """D8: neither llm_kwargs nor the prompt are changed by a call."""
    llm_kwargs = {"temperature": 0.5, "think": False}
    prompt = PromptTemplate("Tell me about {land}.")
    network = Played(said(way, JSON))
    predict(way, ollama(network, pydantic_program_mode=mode), prompt, llm_kwargs=llm_kwargs)
    assert llm_kwargs == {"temperature": 0.5, "think": False}
    assert prompt.output_parser is None
    assert network.body["options"] == {"temperature": 0.5}
    assert network.body["think"] is False


class Fixed(ChatPromptTemplate):
    """A prompt that hands out its own messages."""

    def format_messages(self, llm: Any = None, **kwargs: Any) -> list[ChatMessage]:
        return self.message_templates


@pytest.mark.parametrize("mode", ["default", "function", "llm"])
def test_messages_of_a_prompt_stay_untouched(ollama: Make, way: Way, mode: str) -> None:
    """D8: what a prompt hands out is its own, and is not written into."""
    prompt = Fixed([ChatMessage("Tell me about Canada.")])
    predict(way, ollama(Played(said(way, JSON)), pydantic_program_mode=mode), prompt)
    assert prompt.message_templates == [ChatMessage("Tell me about Canada.")]


def test_a_format_of_the_callers_wins(ollama: Make, way: Way) -> None:
    """What a caller says himself goes over what is made of the class."""
    network = Played(said(way, JSON))
    predict(way, ollama(network), llm_kwargs={"format": "json"})
    assert network.body["format"] == "json"


def test_an_unknown_argument_is_an_error(ollama: Make, way: Way) -> None:
    """D10: an argument nobody knows is not swallowed here either."""
    with pytest.raises(ConfigError, match="did you mean 'temperature'"):
        predict(way, ollama(Played(said(way, JSON))), llm_kwargs={"temperatur": 1})


@pytest.mark.parametrize(
    "text",
    [
        JSON,
        f"  {JSON}\n",
        f"```json\n{JSON}\n```",
        f"```\n{JSON}\n```",
        f"Here it is:\n```json\n{JSON}\n```\nAnything else?",
        f"<think>Is it {{Canada}}? Yes.</think>\n{JSON}",
        f"Is it {{Canada}}? Yes.</think>{JSON}",
        f"<think>\nhm\n</think>\n\n```json\n{JSON}\n```",
        f"Sure! {JSON} I hope that helps.",
        CANADA.model_dump_json(indent=2),
    ],
)
@pytest.mark.parametrize("mode", ["default", "llm", "function"])
def test_fences_thinking_and_words_are_passed_over(
    ollama: Make, way: Way, text: str, mode: str
) -> None:
    """D8: models that wrap their JSON are understood, where the peer raises ValidationError."""
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    llm = ollama(Played(said(way, *pieces)), pydantic_program_mode=mode)
    assert predict(way, llm)[-1] == CANADA


def test_a_real_call_is_read(ollama: Make, way: Way) -> None:
    """A model that calls the tool by itself, beside the constraint, is understood too."""
    call = {"function": {"name": "Country", "arguments": CANADA.model_dump()}}
    network = Played(replied(way, {"content": "", "tool_calls": [call]}))
    assert predict(way, ollama(network, pydantic_program_mode="function"))[-1] == CANADA


def test_a_model_without_tools_is_told_early(ollama: Make, way: Way) -> None:
    """FUNCTION mode on a model that calls no tools says which mode works."""
    llm = ollama(
        Played(said(way, JSON)), pydantic_program_mode="function", is_function_calling_model=False
    )
    with pytest.raises(ConfigError, match="DEFAULT"):
        predict(way, llm)


def test_a_model_found_to_have_no_tools_is_told(ollama: Make, way: Way) -> None:
    """What only the server knows arrives as its own refusal."""
    llm = ollama(Played("errors/no-tools"), pydantic_program_mode="function")
    with pytest.raises(UnsupportedCapabilityError):
        predict(way, llm)


@pytest.mark.parametrize("mode", ["default", "function"])
def test_an_answer_cut_off_is_an_error_with_its_text(ollama: Make, way: Way, mode: str) -> None:
    """D8: num_predict too small is told as such, with what was written."""
    text = JSON[:30] if mode == "default" else f'{{"name": "Country", "arguments": {JSON[:30]}'
    llm = ollama(Played(said(way, text, done_reason="length")), pydantic_program_mode=mode)
    with pytest.raises(StructuredOutputError, match="raise num_predict") as caught:
        predict(way, llm)
    assert caught.value.text == JSON[:30]
    assert caught.value.done_reason == "length"


def test_a_recorded_answer_cut_off(ollama: Make, way: Way) -> None:
    """A real model that lost itself and hit the limit ends in the same error."""
    network = Played(f"chat/tiny-native/schema-{'stream' if way.streams else 'whole'}")
    with pytest.raises(StructuredOutputError) as caught:
        predict(way, ollama(network, "tiny-native"))
    assert caught.value.done_reason == "length"
    assert caught.value.text.startswith('{"capital":"Canada"')


def test_thinking_up_to_the_limit_is_told(ollama: Make, way: Way) -> None:
    """A model that spent all its tokens on thinking says how much it thought."""
    message = {"content": "", "thinking": "Hm. " * 10}
    with pytest.raises(StructuredOutputError, match="40 characters of thinking"):
        predict(way, ollama(Played(replied(way, message, done_reason="length"))))


def test_whole_json_at_the_limit_is_no_error(ollama: Make, way: Way) -> None:
    """An object that is complete is returned, whatever ended the answer."""
    assert predict(way, ollama(Played(said(way, JSON, done_reason="length"))))[-1] == CANADA


@pytest.mark.parametrize(
    ("message", "match"),
    [
        ({"content": "", "thinking": "Hm, Canada…"}, "wrote nothing.*think=False"),
        ({"content": ""}, "wrote nothing"),
        ({"content": "I do not know."}, "no Country.*I do not know"),
        ({"content": '{"name": "Canada"}'}, "capital: Field required"),
        ({"content": '```json\n{"name": 3}\n```'}, "name: Input should be a valid string"),
        ({"content": "[]"}, "no Country"),
        ({"content": "[" * 2000}, r"no Country.*2000 characters"),
        ({"content": '{"languages": [1, 2, 3, 4, 5, 6]}'}, "and 3 more faults"),
    ],
)
def test_what_is_no_object_says_why(
    ollama: Make, way: Way, message: dict[str, str], match: str
) -> None:
    """D8: the error says what is missing and shows the text; pydantic's finding is its cause."""
    with pytest.raises(StructuredOutputError, match=f"(?s){match}") as caught:
        predict(way, ollama(Played(replied(way, message))))
    assert isinstance(caught.value, ValueError)
    assert caught.value.text == message["content"]
    assert caught.value.thinking == message.get("thinking", "")
    if message["content"]:
        assert isinstance(caught.value.__cause__, ValidationError)


def test_the_error_travels() -> None:
    """The error pickles with all it knows, as errors from workers do."""
    error = StructuredOutputError("no", text="t", thinking="h", done_reason="length")
    other = pickle.loads(pickle.dumps(error))
    assert (str(other), vars(other)) == (str(error), vars(error))


def test_a_broken_stream_is_an_error(ollama: Make, way: Way) -> None:
    """D8: a stream that ends without its last line raises, where the peer yields what it has."""
    if not way.streams:
        pytest.skip("a whole answer has no lines to lose")
    (line,) = chat_lines({"content": JSON}, done=False)
    network = Played(httpx.Response(200, content=json.dumps(line) + "\n"))
    with pytest.raises(StreamTruncatedError):
        predict(way, ollama(network))


class Events(BaseEventHandler):
    """Keep every event."""

    _seen: list[Any] = PrivateAttr(default_factory=list)

    def handle(self, event: Any, **kwargs: Any) -> None:
        self._seen.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self._seen if isinstance(event, kind)]


@pytest.fixture
def events() -> Iterator[Events]:
    handler, root = Events(), get_dispatcher()
    root.add_event_handler(handler)
    yield handler
    root.event_handlers.remove(handler)


@pytest.mark.parametrize("mode", ["default", "function", "llm"])
def test_events_are_fired_once(ollama: Make, way: Way, mode: str, events: Events) -> None:
    """D8: tracers see one structured call with one chat in it, and each object of a stream."""
    text = JSON if mode != "function" else f'{{"name": "Country", "arguments": {JSON}}}'
    llm = ollama(Played(said(way, text[:30], text[30:])), pydantic_program_mode=mode)
    objects = predict(way, llm)
    (start,) = events.of(LLMStructuredPredictStartEvent)
    (end,) = events.of(LLMStructuredPredictEndEvent)
    assert (start.output_cls, start.template, start.template_args) == (
        Country,
        PROMPT,
        {"land": "Canada"},
    )
    assert end.output == CANADA
    shown = [event.output for event in events.of(LLMStructuredPredictInProgressEvent)]
    assert shown == (objects if way.streams else [])
    assert len(events.of(LLMChatStartEvent)) == len(events.of(LLMChatEndEvent)) == 1
    assert len(events.of(LLMChatInProgressEvent)) == (2 if way.streams else 0)
    (chat_end,) = events.of(LLMChatEndEvent)
    assert chat_end.response.raw["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("mode", ["default", "function", "llm"])
def test_usage_is_counted_once(ollama: Make, way: Way, mode: str) -> None:
    """D12: the server's counts reach the token counter once, in every mode."""
    counter = TokenCountingHandler(tokenizer=str.split)
    text = JSON if mode != "function" else f'{{"name": "Country", "arguments": {JSON}}}'
    llm = ollama(
        Played(said(way, text)),
        pydantic_program_mode=mode,
        callback_manager=CallbackManager([counter]),
    )
    predict(way, llm)
    (count,) = counter.llm_token_counts
    assert (count.prompt_token_count, count.completion_token_count) == (7, 3)


def test_a_failure_is_told_to_the_callbacks(ollama: Make, way: Way) -> None:
    """A chat that fails ends its event, so that counters and tracers do not wait for it."""
    counter = TokenCountingHandler(tokenizer=str.split)
    llm = ollama(Played("errors/missing-model"), callback_manager=CallbackManager([counter]))
    with pytest.raises(Exception, match="ollama pull"):
        predict(way, llm)
    assert len(counter.llm_token_counts) <= 1


class Limiter:
    def __init__(self) -> None:
        self.acquired = 0

    def acquire(self) -> None:
        self.acquired += 1

    async def async_acquire(self) -> None:
        self.acquired += 1


def test_the_rate_limiter_is_asked_once(ollama: Make, way: Way) -> None:
    """A structured call is one call."""
    limiter = Limiter()
    predict(way, ollama(Played(said(way, JSON)), rate_limiter=limiter))
    assert limiter.acquired == 1


def test_leaving_a_stream_stops_the_server(server: EmbeddedOllama) -> None:
    """Closing the generator closes the connection at once."""
    lines = chat_lines({"content": JSON[:40]}, {"content": JSON[40:]})
    server.script("POST", "/api/chat", Reply.lines(lines, gate=Gate(), hold_at=1))
    llm = Ollama("demo", server.url)
    with closing(llm.stream_structured_predict(Country, PROMPT, land="Canada")) as objects:
        assert isinstance(next(iter(objects)), FlexibleModel)
    assert server.wait_for_disconnects()


async def test_leaving_an_async_stream_stops_the_server(server: EmbeddedOllama) -> None:
    """The same, asynchronously."""
    lines = chat_lines({"content": JSON[:40]}, {"content": JSON[40:]})
    server.script("POST", "/api/chat", Reply.lines(lines, gate=Gate(), hold_at=1))
    async with Ollama("demo", server.url) as llm:
        objects = await llm.astream_structured_predict(Country, PROMPT, land="Canada")
        assert isinstance(await anext(objects), FlexibleModel)
        await objects.aclose()
        assert server.wait_for_disconnects()
