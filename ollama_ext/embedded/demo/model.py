"""The demo model: it follows rules instead of running weights, and says so."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ollama_ext.embedded.demo.context import (
    find_question,
    last_user,
    quote_answer,
    unfolded,
)
from ollama_ext.embedded.demo.prompts import (
    Shaped,
    about_sentences,
    keys_in_prompt,
    schema_in_prompt,
    shaped_answer,
)
from ollama_ext.embedded.demo.react import react_answer
from ollama_ext.embedded.demo.schema import fill_schema
from ollama_ext.embedded.demo.text import LONG, brief
from ollama_ext.embedded.demo.tools import Tool, best_call, plan_calls, tools_of
from ollama_ext.embedded.demo.values import Values
from ollama_ext.embedded.engine import Answer, Message, Prompt

WHO = (
    "I am the demo model of ollama-ext: I follow rules, there is no neural network behind me. "
    "Give me a context and a question, tools, or a JSON schema."
)
_GREETING = re.compile(r"\s{0,20}(?:hello|hi|hey|good (?:morning|day|evening))\b", re.IGNORECASE)
_PICTURES = (
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"RIFF", "WebP"),
    (b"%PDF", "PDF"),
)
# How LangChain and LlamaIndex introduce the schema they want.
_FORMAT_INSTRUCTIONS = re.compile(
    r"\n[ \t]{0,20}(?:Here'?s? (?:is )?(?:a|the) (?:output |JSON )?schema|STRICT OUTPUT FORMAT|"
    r"The output should be formatted|\{)"
)
_NUMERIC_KEYS = frozenset({"age", "amount", "count", "number", "price", "total", "year"})


def answer(prompt: Prompt) -> Answer:
    """Answer a prompt: JSON, tool results, tool calls, pictures, fixed forms, quotes."""
    prompt = replace(prompt, messages=unfolded(prompt.messages))
    text = last_user(prompt.messages)
    # A format applies to the whole answer, with or without tools (wire reference 14).
    if prompt.format is not None:
        content = json.dumps(_formatted(prompt, text), ensure_ascii=False)
        return Answer(content, thinking=_thought(prompt, text, "I fill in the JSON."))
    tools = tools_of(prompt.tools)
    # Results are followed by an answer, or an agent would never end.
    if tools and not _results(prompt.messages):
        calls = plan_calls(text, tools)
        if calls:
            names = ", ".join(call.name for call in calls)
            return Answer(tool_calls=calls, thinking=_thought(prompt, text, f"I call {names}."))
    return Answer(_said(prompt, text), thinking=_thought(prompt, text, "I look for the answer."))


def _thought(prompt: Prompt, text: str, plan: str) -> str:
    # Ollama's models think unless told not to, and so does this one (wire reference 3.3).
    if prompt.think is False:
        return ""
    return f"The user says: {text[:120].strip()} {plan}\n"


def _said(prompt: Prompt, text: str) -> str:
    messages = prompt.messages
    results = _results(messages)
    if results:
        return _from_results(text, results)
    # The text around a gap is too little for rules to fill it.
    if prompt.suffix:
        return "..."
    pictures = next((m.images for m in reversed(messages) if m.role == "user"), ())
    if pictures:
        return _seen(pictures)
    # Fixed forms before quotes: their prompts hold context too.
    shaped = shaped_answer(messages)
    if shaped is not None:
        return shaped.text
    acted = react_answer(messages)
    if acted is not None:
        return acted
    schema = schema_in_prompt(text)
    if schema is not None:
        return json.dumps(fill_schema(schema, Values(_without_schema(text))), ensure_ascii=False)
    return _quoted(messages, text)


def _quoted(messages: Sequence[Message], text: str) -> str:
    found = quote_answer(find_question(messages))
    if found is not None:
        return found
    greeting = "Hello! " if _GREETING.match(text) else ""
    return f"{greeting}{WHO}"


def _results(messages: Sequence[Message]) -> list[Message]:
    """Return the tool results that end the conversation, in order."""
    count = 0
    while count < len(messages) and messages[-1 - count].role == "tool":
        count += 1
    return list(messages[len(messages) - count :])


def _from_results(question: str, results: Sequence[Message]) -> str:
    said = [message.content.strip() for message in results if message.content.strip()]
    if len(" ".join(said)) > LONG:
        return brief(question, "\n\n".join(said))
    if not said:
        return "The tools returned nothing."
    # A bare number reads better in a sentence.
    parts = [text if text[-1] in ".!?]}" else f"The result is {text}." for text in said]
    return " ".join(dict.fromkeys(parts))


def _seen(pictures: Sequence[bytes]) -> str:
    kinds = [f"{_kind(data)} of {len(data)} bytes" for data in pictures]
    noun = "picture" if len(pictures) == 1 else "pictures"
    return f"I see {len(pictures)} {noun}: {', '.join(kinds)}. I cannot tell what they show."


def _kind(data: bytes) -> str:
    return next((name for magic, name in _PICTURES if data.startswith(magic)), "unknown format")


def _formatted(prompt: Prompt, text: str) -> object:
    shaped = shaped_answer(prompt.messages)
    if isinstance(prompt.format, Mapping):
        return _by_schema(prompt, prompt.format, shaped)
    schema = schema_in_prompt(text)
    if schema is not None:
        return _by_schema(prompt, schema, shaped)
    keys = keys_in_prompt(text)
    if keys:
        return _by_keys(keys, text)
    quoted = quote_answer(find_question(prompt.messages))
    return {"answer": text.strip() if quoted is None else quoted}


def _by_keys(keys: Sequence[str], text: str) -> object:
    kinds = {key: "number" if key in _NUMERIC_KEYS else "string" for key in keys}
    properties = {key: {"type": kind} for key, kind in kinds.items()}
    # The keys themselves are often quoted, and are not what to fill in.
    unquoted = re.sub(rf"[\"'`]({'|'.join(map(re.escape, keys))})[\"'`]", r"\1", text)
    schema = {"type": "object", "properties": properties, "required": list(keys)}
    return fill_schema(schema, Values(unquoted))


def _by_schema(prompt: Prompt, schema: Mapping[str, Any], shaped: Shaped | None) -> object:
    text = _filling_text(prompt)
    tools, answers = _forced_tools(schema)
    if tools and answers:
        # A call or an answer of the caller's shape: call until the results are there.
        calls = [] if _results(prompt.messages) else plan_calls(text, tools)
        tools, schema = (tools, schema) if calls else ([], {**schema, "anyOf": answers})
    if tools:
        # An agent that forces a call each time ends only if another tool gets its turn.
        called = [c.name for m in prompt.messages for c in m.tool_calls]
        call = best_call(text, tools, called)
        return {"name": call.name, "arguments": dict(call.arguments)}
    return fill_schema(schema, Values(text, dict(shaped.hints) if shaped else {}))


def _filling_text(prompt: Prompt) -> str:
    """Return the text to take values from: the request, tool results, and the best of a context."""
    asked = find_question(prompt.messages)
    text = _without_schema(asked.question)
    results = "\n".join(message.content for message in _results(prompt.messages))
    context = about_sentences(asked.question, asked.context) if asked.context else ""
    return "\n".join(part for part in (text, results, context) if part)


def _without_schema(text: str) -> str:
    return _FORMAT_INSTRUCTIONS.split(text)[0]


def _forced_tools(schema: Mapping[str, Any]) -> tuple[list[Tool], list[Mapping[str, Any]]]:
    """Return the tools of a schema that stands for a forced call, and its other options."""
    options = schema.get("anyOf") or schema.get("oneOf") or [schema]
    tools: list[Tool] = []
    others: list[Mapping[str, Any]] = []
    for option in options:
        properties = option.get("properties") or {}
        name = (properties.get("name") or {}).get("const")
        if name is None or "arguments" not in properties:
            others.append(option)
            continue
        arguments = {"$defs": schema.get("$defs", {}), **properties["arguments"]}
        tools.append(Tool(name, option.get("description", ""), arguments))
    return tools, others
