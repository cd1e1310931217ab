"""`as_structured_llm`, and core's programs, over this model."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, TokenCountingHandler
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.program import FunctionCallingProgram, LLMTextCompletionProgram
from llama_index.core.program.utils import FlexibleModel
from llama_index.core.prompts import PromptTemplate
from llama_ways import Way, chat_lines
from pydantic import BaseModel
from versions import needs

from llamaindex_ollama_ext import Ollama
from ollama_ext.embedded import EmbeddedOllama, Reply
from ollama_transport import ToolCallMissingError


class Country(BaseModel):
    """A country."""

    name: str
    capital: str


CANADA = Country(name="Canada", capital="Ottawa")
JSON = CANADA.model_dump_json()
CALL = f'{{"name": "Country", "arguments": {JSON}}}'
PROMPT = PromptTemplate("Tell me about {land}.")


@pytest.fixture
def talking(server: EmbeddedOllama) -> EmbeddedOllama:
    """Run a server that says the same country for ever, on one line, which is whole as well."""
    server.script("POST", "/api/chat", Reply.lines(chat_lines({"content": JSON})), repeat=True)
    return server


@pytest.fixture
def counter() -> TokenCountingHandler:
    return TokenCountingHandler(tokenizer=str.split)


@pytest.fixture
def llm(server: EmbeddedOllama) -> Iterator[Ollama]:
    with Ollama("demo", server.url) as model:
        yield model


QUESTION = "name: Canada, capital: Ottawa. Which {country} is it?"


def test_chats_and_completions_answer_with_objects(llm: Ollama, way: Way) -> None:
    """Every way to call ends with a whole object in raw, and its JSON as the text."""
    structured: Any = llm.as_structured_llm(Country)
    assert isinstance(structured, StructuredLLM)
    chats = way.chat(structured, QUESTION)
    completions = way.complete(structured, QUESTION)
    assert chats[-1].raw == completions[-1].raw == CANADA
    assert chats[-1].message.content == completions[-1].text == JSON
    assert way.streams == (len(chats) > 1)
    assert all(isinstance(response.raw, FlexibleModel) for response in chats[:-1])


def test_usage_is_counted_once(llm: Ollama, way: Way, counter: TokenCountingHandler) -> None:
    """D12: with a shared counter each call counts once, with the server's numbers."""
    llm.callback_manager = CallbackManager([counter])
    structured: Any = llm.as_structured_llm(Country)
    way.chat(structured, QUESTION)
    way.complete(structured, QUESTION)
    assert len(counter.llm_token_counts) == 2
    first, second = counter.llm_token_counts
    assert first.prompt_token_count == second.prompt_token_count > 0
    assert first.completion_token_count == second.completion_token_count > 0


def test_callbacks_given_later_are_used(
    llm: Ollama, way: Way, counter: TokenCountingHandler
) -> None:
    """Engines put their own callbacks on a model: the chat inside tells those."""
    structured: Any = llm.as_structured_llm(Country)
    structured.callback_manager = CallbackManager([counter])
    way.chat(structured, QUESTION)
    (count,) = counter.llm_token_counts
    assert count.completion_token_count > 0
    assert llm.callback_manager.handlers == []


def test_arguments_reach_the_server(talking: EmbeddedOllama, way: Way) -> None:
    """What a chat is given goes to the chat inside."""
    structured: Any = Ollama("demo", talking.url).as_structured_llm(Country)
    way.chat(structured, "hi", temperature=0)
    body: Any = talking.requests[-1].json
    assert body["options"] == {"temperature": 0}
    assert body["format"] == Country.model_json_schema()


def test_braces_in_a_message_stay(talking: EmbeddedOllama, way: Way) -> None:
    """A message is no template: its braces arrive as they are."""
    structured: Any = Ollama("demo", talking.url).as_structured_llm(Country)
    way.chat(structured, [ChatMessage('Fill {this} in: {"a": 1}')])
    body: Any = talking.requests[-1].json
    assert body["messages"][0]["content"] == 'Fill {this} in: {"a": 1}'


def test_predict_returns_json(llm: Ollama) -> None:
    """Core's predict works over a structured model."""
    structured = llm.as_structured_llm(Country)
    prompt = PromptTemplate("name: {name}, capital: Ottawa.")
    assert structured.predict(prompt, name="Canada") == JSON
    assert asyncio.run(structured.apredict(prompt, name="Canada")) == JSON


def function_program(llm: Ollama) -> Any:
    return FunctionCallingProgram.from_defaults(Country, prompt=PROMPT, llm=llm)


def text_program(llm: Ollama) -> Any:
    return LLMTextCompletionProgram.from_defaults(
        PydanticOutputParser(Country), prompt_template_str="Tell me about {land}.", llm=llm
    )


@pytest.mark.parametrize(
    ("make", "text"), [(function_program, CALL), (text_program, JSON)], ids=["function", "text"]
)
def test_programs_of_core_return_the_object(
    server: EmbeddedOllama, counter: TokenCountingHandler, make: Any, text: str
) -> None:
    """The programs, which engines use directly, work and count once, blocking and async."""
    server.script("POST", "/api/chat", Reply.lines(chat_lines({"content": text})), repeat=True)
    llm = Ollama("demo", server.url, callback_manager=CallbackManager([counter]))
    program = make(llm)
    assert program(land="Canada") == CANADA
    assert asyncio.run(program.acall(land="Canada")) == CANADA
    assert [count.completion_token_count for count in counter.llm_token_counts] == [3, 3]


@needs("llama-index-core", "0.14.22", "text programs do not stream")
def test_a_text_program_streams(server: EmbeddedOllama) -> None:
    """Core's text program reads the growing text of this model."""
    lines = chat_lines({"content": JSON[:20]}, {"content": JSON[20:]})
    server.script("POST", "/api/chat", Reply.lines(lines), repeat=True)
    objects = list(text_program(Ollama("demo", server.url)).stream_call(land="Canada"))
    assert objects[-1] == CANADA


def test_a_forced_tool_that_is_not_called_is_an_error(server: EmbeddedOllama) -> None:
    """A model that answers in words makes a program fail with those words."""
    server.script("POST", "/api/chat", Reply.lines(chat_lines({"content": "No idea."})))
    with pytest.raises(ToolCallMissingError, match=r"Country.*No idea"):
        function_program(Ollama("demo", server.url))(land="Canada")


def test_the_kind_of_event_is_a_models(llm: Ollama, counter: TokenCountingHandler) -> None:
    """Callbacks see the structured stream as one model event."""
    seen: list[CBEventType] = []

    class Seeing(TokenCountingHandler):
        def on_event_start(self, event_type: CBEventType, *args: Any, **kwargs: Any) -> str:
            seen.append(event_type)
            return ""

    llm.callback_manager = CallbackManager([Seeing(tokenizer=str.split)])
    list(llm.stream_structured_predict(Country, PROMPT, land="Canada"))
    assert seen == [CBEventType.LLM]
