"""`structured_predict` and its kin, in all program modes and all four ways to call."""

import json
import pickle
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.prompts.base import SelectorPromptTemplate
from llama_index.core.prompts.utils import is_chat_model
from llama_index.core.types import PydanticProgramMode
from llama_ways import Played, Way, chat_lines
from pydantic import ValidationError
from recorded import recording
from structured_ways import CANADA, JSON, PROMPT, Country, predict, replied, said

from llamaindex_ollama_ext import Ollama, StructuredOutputError
from ollama_ext.embedded import EmbeddedOllama
from ollama_transport import ConfigError, StreamTruncatedError, UnsupportedCapabilityError

Make = Callable[..., Ollama]
BY_FORMAT = ["default", "guidance", "lm-format-enforcer"]
BY_CALL = ["function", "openai"]


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
def test_every_mode_returns_the_object(
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


@pytest.mark.parametrize("mode", BY_FORMAT)
def test_the_model_is_shown_the_schema_when_asked(ollama: Make, way: Way, mode: str) -> None:
    """D8: what fields mean reaches the model, and servers without `format` are told in words."""
    network = Played(said(way, JSON))
    llm = ollama(
        network, pydantic_program_mode=mode, schema_in_prompt=True, system_prompt="You know maps."
    )
    assert predict(way, llm)[-1] == CANADA
    system, user = network.body["messages"]
    assert system == {"role": "system", "content": "You know maps."}
    assert user["content"].startswith("Tell me about Canada.")
    assert json.dumps(Country.model_json_schema()) in user["content"]
    assert network.body["format"] == Country.model_json_schema()


@pytest.mark.parametrize("mode", BY_CALL)
def test_a_schema_that_is_a_tool_is_not_shown_twice(ollama: Make, way: Way, mode: str) -> None:
    """A tool brings its schema along."""
    network = Played(said(way, json.dumps({"name": "Country", "arguments": CANADA.model_dump()})))
    predict(way, ollama(network, pydantic_program_mode=mode, schema_in_prompt=True))
    assert network.body["messages"] == [{"role": "user", "content": "Tell me about Canada."}]


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


def test_a_model_without_tools_is_reported_early(ollama: Make, way: Way) -> None:
    """FUNCTION mode on a model that calls no tools says which mode works."""
    llm = ollama(
        Played(said(way, JSON)), pydantic_program_mode="function", is_function_calling_model=False
    )
    with pytest.raises(ConfigError, match="DEFAULT"):
        predict(way, llm)


def test_a_refusal_of_tools_arrives(ollama: Make, way: Way) -> None:
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


@pytest.mark.filterwarnings("ignore::ollama_transport.OnlyThoughtsWarning")  # beside the error
def test_thinking_up_to_the_limit_warns(ollama: Make, way: Way) -> None:
    """A model that spent all its tokens on thinking says how much it thought."""
    message = {"content": "", "thinking": "Hm. " * 10}
    with pytest.raises(StructuredOutputError, match="40 characters of thinking"):
        predict(way, ollama(Played(replied(way, message, done_reason="length"))))


def test_whole_json_at_the_limit_is_accepted(ollama: Make, way: Way) -> None:
    """An object that is complete is returned, whatever ended the answer."""
    assert predict(way, ollama(Played(said(way, JSON, done_reason="length"))))[-1] == CANADA


@pytest.mark.parametrize(
    ("message", "match"),
    [
        ({"content": "", "thinking": "Hm, Canada…"}, "only reasoned.*think=False"),
        ({"content": ""}, "wrote nothing"),
        ({"content": "I do not know."}, "not fit Country.*I do not know"),
        ({"content": '{"name": "Canada"}'}, "capital: Field required"),
        ({"content": '```json\n{"name": 3}\n```'}, "name: Input should be a valid string"),
        ({"content": "[]"}, "not fit Country"),
        ({"content": "[" * 2000}, r"not fit Country.*2000 characters"),
        ({"content": '{"languages": [1, 2, 3, 4, 5, 6]}'}, "and 3 more errors"),
    ],
)
def test_an_answer_without_an_object_names_the_reason(
    ollama: Make, way: Way, message: dict[str, str], match: str
) -> None:
    """D8: the error says what is missing and shows the text; pydantic's finding is its cause."""
    with pytest.raises(StructuredOutputError, match=f"(?s){match}") as caught:
        predict(way, ollama(Played(replied(way, message))))
    assert isinstance(caught.value, ValueError)
    said = message["content"].removeprefix("```json\n").removesuffix("\n```")
    assert caught.value.text == said  # a fence is no part of the answer
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
