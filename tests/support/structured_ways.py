"""A class to predict, and answers that hold it or do not."""

import json
from typing import Any

import httpx
from llama_index.core.prompts import PromptTemplate
from llama_ways import Way, chat_lines
from pydantic import BaseModel

PROMPT = PromptTemplate("Tell me about {land}.")


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
