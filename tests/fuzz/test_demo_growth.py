"""The demo model answers hostile prompts and schemas in bounded time."""

import time
from typing import Any

import pytest

from ollama_ext.embedded import Message, Prompt
from ollama_ext.embedded.demo.model import answer

SHORT, FACTOR = 10_000, 4
MOST_GROWTH = 10
"""Between the growth of a rule that is linear (4) and that of one that is quadratic (16)."""
NEGLIGIBLE_S = 0.05

PIECES = (
    "\n",
    "\n ",
    "\n-----\n",
    "-",
    "1",
    "1,",
    "1,111",
    "a",
    "a@",
    "“",
    "'a' ",
    "Ab ",
    "Say 'a",
    "<context>",
    "<Tools>```json{",
    "{",
    '{"a":[',
    "New Context: a\nQuery: b\n",
    "original query is as follows: a\nWe have provided an existing answer: b\n",
    "Question: ",
    "\nAnswer",
    "Existing Answer: ",
    "\n(1) a",
    "Document 1:\nA list of documents is shown below\n",
    "to the question: 'a\nSome choices are given below",
    "Chat History: a\nFollow Up Input: b\n",
    "> Tool Name: a\nTool Description: b\nAction Input: Thought: ",
    "> Tool Name: a\nAction Input: Thought: Observation: a Question: ",
    "Context: a\nA cat sleeps. Does it? ",
    "add(",
    "add 1 plus ",
    "Paris and ",
)
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers of a city.",
        "parameters": {
            "properties": {"a": {"type": "integer"}, "city": {"type": "string"}},
            "required": ["a", "city"],
        },
    },
}
SCHEMA = {
    "properties": {"name": {"type": "string"}, "ages": {"items": {"type": "integer"}}},
    "required": ["name", "ages"],
}
ASKED: dict[str, dict[str, Any]] = {
    "text": {},
    "tools": {"tools": (TOOL,)},
    "json": {"format": "json"},
    "schema": {"format": SCHEMA},
}


def seconds(text: str, asked: dict[str, Any]) -> float:
    """Return the CPU time of this thread for an answer: other processes do not count."""
    begun = time.thread_time()
    answer(Prompt([Message("user", text)], **asked))
    return time.thread_time() - begun


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("piece", PIECES)
def test_a_longer_prompt_takes_no_more_than_its_share(piece: str, asked: dict[str, Any]) -> None:
    """Four times the prompt takes about four times as long, whatever its text."""
    short, long = (piece * (size // len(piece)) for size in (SHORT, SHORT * FACTOR))
    if seconds(long, asked) < NEGLIGIBLE_S:
        return
    taken = min(seconds(long, asked) for _ in range(3))
    assert taken / min(seconds(short, asked) for _ in range(3)) < MOST_GROWTH


def test_a_schema_that_contains_itself_has_an_end() -> None:
    """Ten fields of its own class in each object would be 10**12 objects within the depth."""
    fields = {f"f{number}": {"$ref": "#/$defs/Node"} for number in range(10)}
    node = {"type": "object", "properties": fields, "required": list(fields)}
    schema = {**node, "$defs": {"Node": node}}
    assert answer(Prompt([Message("user", "Fill it in.")], format=schema)).content
