"""Both frameworks on a real llama.cpp engine, over both wires.

What the tiny model says is learned by heart (tests/models/README.md); everything else is real.
"""

from typing import Literal

import pytest
from langchain_core.messages import AIMessageChunk
from llama_index.core.llms import ChatMessage
from pydantic import BaseModel

from langchain_ollama_ext import ChatOllama, OllamaEmbeddings
from llamaindex_ollama_ext import Ollama, OllamaEmbedding
from ollama_transport import (
    ChatRequest,
    Client,
    ContextOverflowError,
    GenerateRequest,
    Message,
    StatusError,
)

HELLO = "Hello! How can I help you today?"
OPTIONS = {"temperature": 0, "num_predict": 160}
WEATHER = "What is the weather in Paris?"


class Country(BaseModel):
    """A country."""

    name: str
    capital: str
    languages: list[str]


def get_current_weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    """Get the current weather in a city."""
    return f"12 degrees {unit} in {city}"


def test_langchain_chat_has_text_usage_and_reason(engine_url: str) -> None:
    """A whole answer has the model's text, the engine's token counts and its reason to stop."""
    with ChatOllama(model="tiny-chat", base_url=engine_url, **OPTIONS) as model:
        answer = model.invoke("Hello!")
    assert answer.content == HELLO
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == (
        10,
        11,
    )
    assert answer.response_metadata["done_reason"] == "stop"


def test_langchain_streams_the_same_text(engine_url: str) -> None:
    """The pieces of a stream add up to the whole answer, and come in more than one piece."""
    with ChatOllama(model="tiny-chat", base_url=engine_url, **OPTIONS) as model:
        chunks = list(model.stream("Hello!"))
    assert "".join(str(chunk.content) for chunk in chunks) == HELLO
    assert sum(bool(chunk.content) for chunk in chunks) > 1
    assert isinstance(chunks[-1], AIMessageChunk)


async def test_langchain_is_the_same_from_asyncio(engine_url: str) -> None:
    """An asynchronous stream says what the blocking one says."""
    async with ChatOllama(model="tiny-chat", base_url=engine_url, **OPTIONS) as model:
        text = "".join([str(chunk.content) async for chunk in model.astream("Hello!")])
    assert text == HELLO


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_langchain_calls_a_tool(engine_url: str, stream: bool) -> None:
    """A forced tool is called once, with arguments of the schema's shape."""
    with ChatOllama(model="tiny-chat", base_url=engine_url, **OPTIONS) as model:
        bound = model.bind_tools([get_current_weather], tool_choice="get_current_weather")
        if stream:
            chunks = list(bound.stream(WEATHER))
            calls = sum(chunks[1:], chunks[0]).tool_calls
        else:
            calls = bound.invoke(WEATHER).tool_calls
    assert [call["name"] for call in calls] == ["get_current_weather"]
    assert calls[0]["args"]["city"] == "Paris"
    assert calls[0]["id"]


def test_langchain_fills_a_schema(engine_url: str) -> None:
    """Structured output comes back as the object."""
    with ChatOllama(model="tiny-chat", base_url=engine_url, **OPTIONS) as model:
        found = model.with_structured_output(Country).invoke("Tell me about Canada.")
    assert found == Country(name="Canada", capital="Ottawa", languages=["English", "French"])


def test_langchain_embeds(engine_url: str) -> None:
    """Vectors come in the order of the texts, and like texts are nearer than unlike ones."""
    texts = ["The sky is blue.", "The blue sky.", "Cats eat fish."]
    with OllamaEmbeddings(model="tiny-embed", base_url=engine_url) as embeddings:
        sky, blue, cats = embeddings.embed_documents(texts)
        again = embeddings.embed_query(texts[0])
    assert len(sky) == len(blue) == len(cats) > 1
    assert again == pytest.approx(sky, abs=1e-4)
    assert _cosine(sky, blue) > _cosine(sky, cats)


def _cosine(one: list[float], other: list[float]) -> float:
    def norm(vector: list[float]) -> float:
        return sum(x * x for x in vector) ** 0.5

    return sum(a * b for a, b in zip(one, other, strict=True)) / (norm(one) * norm(other))


def test_llamaindex_chat_has_text_and_usage(engine_url: str) -> None:
    """LlamaIndex gets the same text, and the counts where its token counter looks."""
    with Ollama(model="tiny-chat", base_url=engine_url, **OPTIONS) as llm:
        answer = llm.chat([ChatMessage(role="user", content="Hello!")])
    assert answer.message.content == HELLO
    assert answer.raw["usage"]["completion_tokens"] == 11


async def test_llamaindex_streams_from_asyncio(engine_url: str) -> None:
    """Deltas add up to the text that the last chunk holds."""
    async with Ollama(model="tiny-chat", base_url=engine_url, **OPTIONS) as llm:
        stream = await llm.astream_chat([ChatMessage(role="user", content="Hello!")])
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.delta for chunk in chunks) == chunks[-1].message.content == HELLO


def test_llamaindex_calls_a_tool(engine_url: str) -> None:
    """A required tool is called, with arguments of the schema's shape."""
    from llama_index.core.tools import FunctionTool

    tool = FunctionTool.from_defaults(get_current_weather)
    with Ollama(model="tiny-chat", base_url=engine_url, **OPTIONS) as llm:
        answer = llm.chat_with_tools([tool], user_msg=WEATHER, tool_required=True)
        calls = llm.get_tool_calls_from_response(answer)
    assert [call.tool_name for call in calls] == ["get_current_weather"]
    assert calls[0].tool_kwargs["city"] == "Paris"


def test_llamaindex_fills_a_schema(engine_url: str) -> None:
    """A structured LLM gives the object."""
    with Ollama(model="tiny-chat", base_url=engine_url, **OPTIONS) as llm:
        found = llm.as_structured_llm(Country).complete("Tell me about Canada.").raw
    assert found == Country(name="Canada", capital="Ottawa", languages=["English", "French"])


def test_llamaindex_embeds(engine_url: str) -> None:
    """Both frameworks get the same vectors for the same texts."""
    with OllamaEmbedding(model_name="tiny-embed", base_url=engine_url) as embedding:
        vectors = embedding.get_text_embedding_batch(["The sky is blue.", "Cats eat fish."])
    with OllamaEmbeddings(model="tiny-embed", base_url=engine_url) as embeddings:
        same = embeddings.embed_documents(["The sky is blue.", "Cats eat fish."])
    assert vectors[0] == pytest.approx(same[0], abs=1e-4)
    assert vectors[1] == pytest.approx(same[1], abs=1e-4)


def test_the_transport_completes_and_lists(engine_url: str) -> None:
    """Raw completion and the list of models work on this wire as well."""
    prompt = "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n"
    with Client(engine_url) as client:
        answer = client.generate(
            GenerateRequest("tiny-chat", prompt, options={"temperature": 0, "num_predict": 20})
        )
        names = [model.name for model in client.list()]
    assert answer.text.startswith(HELLO)
    assert {"tiny-chat:latest", "tiny-embed:latest"} <= set(names)


def test_a_prompt_that_is_too_long_is_an_overflow(engine_url: str) -> None:
    """The engine's refusal of a long prompt is the one error that frameworks recover from."""
    with Client(engine_url, max_retries=0) as client:
        request = ChatRequest("tiny-chat", [Message("user", "Why is the sky blue? " * 500)])
        with pytest.raises(ContextOverflowError) as caught:
            client.chat(request)
    assert caught.value.context_length == 2048
    assert caught.value.prompt_tokens is not None
    assert caught.value.prompt_tokens > 2048


def test_leaving_a_stream_frees_the_engine(engine_url: str) -> None:
    """A stream that is left early does not keep the next call waiting or break it."""
    with Client(engine_url) as client:
        request = ChatRequest("tiny-chat", [Message("user", "Tell me a story.")])
        stream = client.chat_stream(request)
        next(stream)
        stream.close()
        answer = client.chat(
            ChatRequest("tiny-chat", [Message("user", "Hello!")], options={"temperature": 0})
        )
    assert answer.text == HELLO


def test_a_bad_value_is_refused_with_the_servers_words(engine_url: str) -> None:
    """What the server refuses comes back as one of our errors, with its text."""
    with Client(engine_url, max_retries=0) as client:
        request = ChatRequest(
            "tiny-chat", [Message("user", "Hello!")], extra={"top_logprobs": "many"}
        )
        with pytest.raises(StatusError) as caught:
            client.chat(request)
    assert "top_logprobs" in caught.value.error
