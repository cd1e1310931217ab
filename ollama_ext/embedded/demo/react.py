"""Prompts that want ``Thought / Action / Action Input`` as text (ReAct), in two dialects."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ollama_ext.embedded.demo.find import enclosed, marks, objects_in
from ollama_ext.embedded.demo.text import brief
from ollama_ext.embedded.demo.tools import Tool, plan_calls
from ollama_ext.embedded.engine import Message, ToolCall

_LLAMA_TOOL, _LLAMA_TOOL_END = marks(
    r"> Tool Name: ([^\n]{1,200})\nTool Description: ", r"(?=\n> Tool Name: |\Z)"
)
_NAMES = re.compile(r"(?:one of|among)\s{0,20}\[?([\w, -]{1,500}?)\]?[)\n]")
_OBSERVATION, _OBSERVATION_END = marks(
    "Observation:", r"(?=\n[ \t]{0,20}(?:Thought|Action|Question|Final Answer)\b|\Z)"
)
_QUESTION, _QUESTION_END = marks("Question:", r"(?=\n[ \t]{0,20}Thought:|\Z)")
# Tools of LangChain's first agents take one text, and show no schema.
_TEXT_PARAMETERS: dict[str, object] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
_TYPES = {"int": "integer", "float": "number", "bool": "boolean"}
_NO_TOOL = "I am the demo model of ollama-ext, and none of the tools fits what was said."


@dataclass(frozen=True, slots=True)
class _Task:
    question: str
    tools: list[Tool]
    observations: list[str]
    final_label: str
    structured: bool


def react_answer(messages: Sequence[Message]) -> str | None:
    """Answer a ReAct prompt with an action or, once it was observed, with the answer.

    Returns:
        None when the conversation is not a ReAct prompt, or shows no tools.
    """
    task = _read(messages)
    if task is None:
        return None
    if task.observations:
        return _finish(task, _from_observations(task))
    calls = plan_calls(task.question, task.tools)
    return _act(task, calls[0]) if calls else _finish(task, _NO_TOOL)


def _act(task: _Task, call: ToolCall) -> str:
    given: object = dict(call.arguments)
    if not task.structured:
        # A tool of LangChain's text form takes one text.
        given = next(iter(call.arguments.values()), task.question)
    written = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return (
        "Thought: The current language of the user is: English. I need to use a tool to help me "
        f"answer the question.\nAction: {call.name}\nAction Input: {written}"
    )


def _finish(task: _Task, answer: str) -> str:
    if task.final_label == "Final Answer":
        return f"Thought: I now know the final answer\nFinal Answer: {answer}"
    return (
        "Thought: I can answer without using any more tools. I'll use the user's language to "
        f"answer\nAnswer: {answer}"
    )


def _from_observations(task: _Task) -> str:
    # Agents repeat themselves, and then so do the tools.
    return brief(task.question, " ".join(dict.fromkeys(t.strip() for t in task.observations)))


def _read(messages: Sequence[Message]) -> _Task | None:
    whole = "\n".join(message.content for message in messages)
    # Both words occur in every ReAct prompt, and hardly anywhere else.
    if "Action Input:" not in whole or "Thought:" not in whole:
        return None
    # LangChain's dialect against LlamaIndex's.
    final = "Final Answer" if "Final Answer" in whole else "Answer"
    described = list(_described_tools(whole))
    tools = described or _listed_tools(whole)
    if not tools:
        return None
    question, after = _question(messages)
    observations = [inner for _, inner in enclosed(_OBSERVATION, _OBSERVATION_END, after)]
    return _Task(question, tools, observations, final, structured=bool(described))


def _question(messages: Sequence[Message]) -> tuple[str, str]:
    last = messages[-1].content
    found = list(enclosed(_QUESTION, _QUESTION_END, last)) if "Action Input:" in last else []
    if found:
        label, question = found[-1]
        return question.strip(), last[label.end() + len(question) :]
    asked = [
        index
        for index, message in enumerate(messages)
        if message.role == "user" and not message.content.startswith("Observation:")
    ]
    at = asked[-1] if asked else len(messages) - 1
    later = "\n".join(message.content for message in messages[at + 1 :])
    return messages[at].content, later


def _described_tools(text: str) -> Iterator[Tool]:
    for name, inner in enclosed(_LLAMA_TOOL, _LLAMA_TOOL_END, text):
        description, _, rest = inner.partition("\nTool Args: ")
        for parameters in objects_in(rest.partition("\n")[0])[:1]:
            yield Tool(name[1].strip(), description.strip(), parameters)


def _listed_tools(text: str) -> list[Tool]:
    listed = _NAMES.search(text)
    names = [name.strip() for name in listed[1].split(",")] if listed else []
    tools = []
    for name in filter(None, names):
        pattern = rf"^[>\- ]{{0,9}}{re.escape(name)}\b(?:\(([^\n]*?)\))?[^\n]*?[:-] {{1,9}}([^\n]+)"
        about = re.search(pattern, text, re.MULTILINE)
        if about:
            tools.append(Tool(name, about[2], _parameters(about[1] or "")))
    return tools


def _parameters(signature: str) -> dict[str, object]:
    # LangChain shows a tool by its signature: get_weather(city: str) -> str - Get the weather.
    names = re.findall(r"\b(\w{1,64})\s{0,9}:\s{0,9}(\w{1,64})", signature)
    if not names:
        return _TEXT_PARAMETERS
    properties = {name: {"type": _TYPES.get(kind, "string")} for name, kind in names}
    return {"type": "object", "properties": properties, "required": list(properties)}
