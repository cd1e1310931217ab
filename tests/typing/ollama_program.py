"""A typed program of a user of ollama-python's forms; it is checked, and never run."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from pydantic import BaseModel

import ollama_transport as ollama

messages = [{"role": "user", "content": "Hello"}]


class Joke(BaseModel):
    setup: str


def told(*values: object) -> None:
    """Take anything that a program may print."""


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


def blocking(client: ollama.Client) -> None:
    """Whole answers and streams of the module and of a client."""
    for part in ollama.chat(model="m", messages=messages, stream=True):
        assert_type(part, ollama.ChatResponse)
        told(part["message"]["content"], part.message.content)
    assert_type(ollama.chat("m", messages, tools=[weather]), ollama.ChatResponse)
    assert_type(ollama.chat("m", messages, stream=False).message.content, str)
    parts: Iterator[ollama.ChatResponse] = client.chat("m", messages, stream=True, think="high")
    told(next(parts).done)
    for line in ollama.generate("m", "Hello", stream=True):
        assert_type(line, ollama.GenerateResponse)
    assert_type(client.generate(model="m", prompt="Hello").response, str)
    for step in ollama.pull("m", stream=True):
        assert_type(step, ollama.ProgressResponse)
    assert_type(client.pull("m").status, str)
    for step in client.push("m", stream=True):
        told(step.completed, step.total)
    for step in ollama.create("m", from_="n", stream=True):
        told(step.status)
    told(ollama.embed(model="m", input=["a", "b"]).embeddings[0][0])
    told([model.model for model in ollama.list().models], ollama.show("m").capabilities)
    told(client.chat("m", messages, format=Joke.model_json_schema(), options={"seed": 7}))
    try:
        client.chat("missing", messages)
    except ollama.ResponseError as error:
        told(error.status_code, error.error)


async def asynchronous(client: ollama.AsyncClient) -> None:
    """The same on an event loop."""
    async for part in await client.chat("m", messages, stream=True):
        assert_type(part, ollama.ChatResponse)
    assert_type(await client.chat(model="m", messages=messages), ollama.ChatResponse)
    lines: AsyncIterator[ollama.GenerateResponse] = await client.generate("m", "Hi", stream=True)
    async for line in lines:
        told(line.response)
    async for step in await client.pull("m", stream=True):
        assert_type(step, ollama.ProgressResponse)
    assert_type((await client.generate("m", "Hello")).response, str)
    told((await client.list()).models, (await client.embed("m", "a")).embeddings)
