"""LlamaIndex's prompts that want ``Thought / Action / Action Input`` as text (ReAct)."""

import json
from collections.abc import Iterator, Sequence

from ollama_ext.embedded.demo.find import enclosed, marks, objects_in
from ollama_ext.embedded.demo.text import brief
from ollama_ext.embedded.demo.tools import Tool, plan_calls
from ollama_ext.embedded.engine import Message

_TOOL, _TOOL_END = marks(
    r"> Tool Name: ([^\n]{1,200})\nTool Description: ", r"(?=\n> Tool Name: |\Z)"
)
_OBSERVATION, _OBSERVATION_END = marks("Observation:", r"(?=\n[ \t]{0,20}(?:Thought|Action)\b|\Z)")
_NO_TOOL = "I am the demo model of ollama-ext, and none of the tools fits what was said."


def react_answer(messages: Sequence[Message]) -> str | None:
    """Answer a ReAct prompt with an action or, once it was observed, with the answer.

    Returns:
        None when the conversation is not a ReAct prompt, or shows no tools.
    """
    whole = "\n".join(message.content for message in messages)
    # Both words occur in every ReAct prompt, and hardly anywhere else.
    if "Action Input:" not in whole or "Thought:" not in whole:
        return None
    tools = list(_described_tools(whole))
    if not tools:
        return None
    # Observations come as messages of the user, who did not write them.
    asked = [
        index
        for index, message in enumerate(messages)
        if message.role == "user" and not message.content.startswith("Observation:")
    ]
    at = asked[-1] if asked else len(messages) - 1
    question = messages[at].content
    later = "\n".join(message.content for message in messages[at + 1 :])
    observed = [inner.strip() for _, inner in enclosed(_OBSERVATION, _OBSERVATION_END, later)]
    if observed:
        # Agents repeat themselves, and then so do the tools.
        return _final(brief(question, " ".join(dict.fromkeys(observed))))
    calls = plan_calls(question, tools)
    if not calls:
        return _final(_NO_TOOL)
    arguments = json.dumps(dict(calls[0].arguments), ensure_ascii=False)
    return (
        "Thought: The current language of the user is: English. I need to use a tool to help me "
        f"answer the question.\nAction: {calls[0].name}\nAction Input: {arguments}"
    )


def _final(answer: str) -> str:
    return (
        "Thought: I can answer without using any more tools. I'll use the user's language to "
        f"answer\nAnswer: {answer}"
    )


def _described_tools(text: str) -> Iterator[Tool]:
    for name, inner in enclosed(_TOOL, _TOOL_END, text):
        description, _, rest = inner.partition("\nTool Args: ")
        for parameters in objects_in(rest.partition("\n")[0])[:1]:
            yield Tool(name[1].strip(), description.strip(), parameters)
