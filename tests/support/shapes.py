"""The schema of the recorded structured answers, in every form a caller may give it in."""

import json
from typing import Annotated, Any, TypedDict

import httpx
from faked import Answer, Network
from pydantic import BaseModel
from pydantic.v1 import BaseModel as BaseModelV1
from recorded import recording

from langchain_ollama_ext import ChatOllama

CANADA = {"name": "Canada", "capital": "Ottawa", "languages": ["English", "French"]}
JSON_SCHEMA: dict[str, Any] = recording("chat/tiny-chat/schema-whole").body["format"]
WHOLE = "chat/tiny-chat/schema-whole"
STREAM = "chat/tiny-chat/schema-stream"


class Country(BaseModel):
    """A country."""

    name: str
    capital: str
    languages: list[str]


class CountryV1(BaseModelV1):
    """A country."""

    name: str
    capital: str
    languages: list[str]


class CountryDict(TypedDict):
    """A country."""

    name: Annotated[str, ..., "its name"]
    capital: str
    languages: list[str]


TOOL = {
    "type": "function",
    "function": {"name": "country", "description": "A country.", "parameters": JSON_SCHEMA},
}
RESPONSE_FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "country", "schema": JSON_SCHEMA, "strict": True},
}
FORMS: dict[str, Any] = {
    "pydantic": Country,
    "pydantic v1": CountryV1,
    "typed dict": CountryDict,
    "json schema": {"title": "country", **JSON_SCHEMA},
    "untitled json schema": JSON_SCHEMA,
    "openai tool": TOOL,
    "openai function": TOOL["function"],
    "response format": RESPONSE_FORMAT,
}


def as_dict(made: Any) -> Any:
    """Return an object of any of the forms as a dict."""
    if isinstance(made, BaseModel):
        return made.model_dump()
    return made.dict() if isinstance(made, BaseModelV1) else made


def chat(*answers: Answer, **fields: Any) -> tuple[ChatOllama, Network]:
    """Return a chat model whose server plays these answers, and the network that plays them."""
    network = Network(*answers)
    given: dict[str, Any] = {"model": "tiny-chat", "base_url": "http://127.0.0.1:1"} | fields
    return ChatOllama(**given, client_kwargs={"transport": network}), network


def sent(network: Network) -> dict[str, Any]:
    """Return the body of the last request."""
    body = json.loads(network.requests[-1].content)
    assert isinstance(body, dict)
    return body


def said(content: str, *, reason: str = "stop", thinking: str = "") -> httpx.Response:
    """Return a whole answer: a recorded one with other words, and another end."""
    body = recording(WHOLE).objects[0]
    message = {"role": "assistant", "content": content} | (
        {"thinking": thinking} if thinking else {}
    )
    return httpx.Response(200, json={**body, "message": message, "done_reason": reason})


def streamed(lines: list[dict[str, Any]]) -> httpx.Response:
    """Return a stream of lines."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return httpx.Response(
        200, content=text.encode(), headers={"content-type": "application/x-ndjson"}
    )


def cut_stream(count: int) -> httpx.Response:
    """Return the first lines of the recorded stream, ended for its length."""
    lines = recording(STREAM).objects
    empty = {"role": "assistant", "content": ""}
    return streamed([*lines[:count], {**lines[-1], "message": empty, "done_reason": "length"}])
