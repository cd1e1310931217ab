"""Prompts with a fixed form of answer: selectors, rankers, condensers, sub-questions."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ollama_ext.embedded.demo.context import last_user
from ollama_ext.embedded.demo.find import between, enclosed, marks, objects_in
from ollama_ext.embedded.demo.text import best_sentences, key_words
from ollama_ext.embedded.engine import Message

# The default prompts of LangChain's and LlamaIndex's parts have fixed sentences, and their parsers
# take no other form of answer than the one asked for there.
_CHOICE, _CHOICE_END = marks(
    r"^\((\d{1,9})\)\s{0,20}", r"(?=\n\(\d{1,9}\)|\n-{5}|\Z)", flags=re.MULTILINE
)
_ABOUT, _ABOUT_END = marks(
    r"(?:relevant to the\s{1,20}question|to the question):\s{0,20}'", r"'[ \t]{0,200}(?:\n|\Z)"
)
_AT_MOST = re.compile(r"no more than (\d{1,9})")
_DOCUMENT, _DOCUMENT_END = marks(
    r"^Document (\d{1,9}):\n", r"(?=\nDocument \d{1,9}:|\nQuestion:|\Z)", flags=re.MULTILINE
)
_PASSAGE = re.compile(r"\[(\d{1,9})\]\s*(.*)", re.DOTALL)
_SEARCH_QUERY = marks("Search Query:", r"\.?\s{0,20}\nRank the \d{1,9} passages above")
_TOOLS, _TOOLS_END = marks(r"<Tools>\s{0,20}```json", "```")
_USER_QUESTION, _USER_QUESTION_END = marks("<User Question>", r"\n\n|<Output>|\Z")
_CONDENSE = (
    marks(
        "Chat History:",
        r"\n\s{0,20}Follow[- ]?Up (?:Input|question):",
        r"\n\s{0,20}Standalone question:",
        flags=re.IGNORECASE,
    ),
    marks("<Chat History>", r"\n\s{0,20}<Follow Up Message>", r"\n\s{0,20}<Standalone question>"),
)
_POINTER = re.compile(
    r"\b(?:it|its|they|them|their|this|that|these|those|he|him|his|she|her|there)\b", re.IGNORECASE
)
_REPEAT, _REPEAT_END = marks(
    r"\b(?:say|repeat|echo|write|print|output|(?:respond|reply|answer)(?: only)? with)\b"
    r"[^\"“`'\n]{0,60}[\"“`'](?=.)",
    r"(?<=.)[\"”`'](?:[.!]|\s|\Z)",
    flags=re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Shaped:
    """An answer in the form a prompt asks for."""

    text: str  # the answer as text
    # Its values by field name, for a JSON schema that asks for the same.
    hints: Mapping[str, object] = field(default_factory=dict)


def shaped_answer(messages: Sequence[Message]) -> Shaped | None:
    """Answer a prompt that fixes the form of its answer; None when this one does not."""
    text = last_user(messages)
    for rule in _RULES:
        shaped = rule(text)
        if shaped is not None:
            return shaped
    return _ranked_passages(messages, text)


def _rank(question: str, texts: Mapping[int, str]) -> list[tuple[int, int]]:
    """Return (number, shared key words) of each text, best first."""
    asked = set(key_words(question))
    scored = [(number, len(asked & set(key_words(text)))) for number, text in texts.items()]
    return sorted(scored, key=lambda item: (-item[1], item[0]))


def _choices(text: str) -> Shaped | None:
    about = between(text, (_ABOUT, _ABOUT_END))
    if "Some choices are given below" not in text or about is None:
        return None
    listed = enclosed(_CHOICE, _CHOICE_END, text)
    ranked = _rank(about[1][0], {int(number[1]): said for number, said in listed})
    if not ranked:
        return None
    limit = _AT_MOST.search(text)
    # At least one has to be chosen, even when none fits.
    fitting = [item for item in ranked if item[1] > 0][: int(limit[1]) if limit else 1]
    chosen = fitting or ranked[:1]
    answers = [
        {"choice": number, "reason": f"it shares {shared} key words with the question"}
        for number, shared in chosen
    ]
    # One choice and several are two schemas, with other names for the same.
    selections = [{"index": one["choice"], "reason": one["reason"]} for one in answers]
    return Shaped(json.dumps(answers), {**answers[0], **selections[0], "selections": selections})


def _ranked_documents(text: str) -> Shaped | None:
    if "A list of documents is shown below" not in text:
        return None
    # The example before that must not be ranked.
    body = text.split("Let's try this now:", 1)[-1]
    question = body.rsplit("Question:", 1)[-1].split("\nAnswer:")[0]
    listed = enclosed(_DOCUMENT, _DOCUMENT_END, body)
    ranked = _rank(question, {int(number[1]): said for number, said in listed})
    if not ranked:
        return None
    relevant = [item for item in ranked if item[1] > 0] or [(ranked[0][0], 1)]
    top = relevant[0][1]
    # Relevance goes from 1 to 10, the best gets 9.
    scores = [(number, max(1, round(9 * shared / top))) for number, shared in relevant]
    documents = [{"document_number": n, "relevance": s} for n, s in scores]
    lines = [f"Doc: {number}, Relevance: {score}" for number, score in scores]
    return Shaped("\n".join(lines), {"documents": documents})


def _ranked_passages(messages: Sequence[Message], text: str) -> Shaped | None:
    asked = between(text, _SEARCH_QUERY)
    if asked is None:
        return None
    found = [m for message in messages if (m := _PASSAGE.match(message.content))]
    ranked = _rank(asked[1][0], {int(m[1]): m[2] for m in found})
    return Shaped(" > ".join(f"[{number}]" for number, _ in ranked))


def _sub_questions(text: str) -> Shaped | None:
    tools = [inner for _, inner in enclosed(_TOOLS, _TOOLS_END, text)]
    asked = [inner for _, inner in enclosed(_USER_QUESTION, _USER_QUESTION_END, text)]
    # The first pair is the example.
    named = objects_in(tools[-1]) if tools and asked and "<Output>" in text else []
    if not named:
        return None
    question, about = asked[-1].strip(), {name: str(said) for name, said in named[0].items()}
    wanted = set(key_words(question))
    related = [n for n, said in about.items() if wanted & set(key_words(f"{n} {said}"))]
    items = [
        {"sub_question": _for_tool(question, about[name]), "tool_name": name}
        for name in related or about
    ]
    fenced = "```json\n" + json.dumps({"items": items}, indent=4) + "\n```"
    return Shaped(fenced, {"items": items})


def _for_tool(question: str, about: str) -> str:
    shared = [word for word in re.findall(r"\w+", about) if word in question and word[0].isupper()]
    return f"{question.rstrip('?')} for {shared[0]}?" if shared else question


def _standalone(text: str) -> Shaped | None:
    found = between(text, _CONDENSE[0]) or between(text, _CONDENSE[1])
    if found is None:
        return None
    history, question = found[1]
    # A question without references to earlier turns is already standalone.
    if not _POINTER.search(question) and len(key_words(question)) > 1:
        return Shaped(question)
    earlier = re.findall(r"(?:user|human):\s*(.*)", history, re.IGNORECASE)
    return Shaped(f"{question} ({earlier[-1].strip()})" if earlier else question)


def _repeated(text: str) -> Shaped | None:
    # Not `between`: white space inside the quotes is part of the text.
    found = next(enclosed(_REPEAT, _REPEAT_END, text), None)
    return Shaped(found[1]) if found else None


_RULES: tuple[Callable[[str], Shaped | None], ...] = (
    _choices,
    _ranked_documents,
    _sub_questions,
    _standalone,
    _repeated,
)


def schema_in_prompt(text: str) -> Mapping[str, object] | None:
    """Return the last JSON schema of an object that a prompt shows, or None."""
    # LlamaIndex doubles the braces of the schemas it shows.
    shown = _schemas(text) or _schemas(text.replace("{{", "{").replace("}}", "}"))
    # In LangChain's instructions the first one is an example.
    return shown[-1] if shown else None


def _schemas(text: str) -> list[dict[str, Any]]:
    return [found for found in objects_in(text) if isinstance(found.get("properties"), dict)]


_EXAMPLE_KEY = re.compile(r"[{,]\s{0,20}[\"'](\w{1,64})[\"']\s{0,20}:")
_NEXT = r"(?:,\s{0,20}(?:and\s{1,20})?|\s{1,20}and\s{1,20})"
_NAMED_KEYS = re.compile(
    r"\b(?:keys?|fields?)\b\s{0,20}(?:named|called|:|of)?\s{0,20}"
    rf"([\"'`]?\w{{1,64}}[\"'`]?(?:{_NEXT}[\"'`]?\w{{1,64}}[\"'`]?){{0,50}})"
)
_KEYS_BEFORE = re.compile(
    rf"([\"'`]\w{{1,64}}[\"'`](?:{_NEXT}[\"'`]\w{{1,64}}[\"'`]){{0,50}})\s{{1,20}}(?:keys|fields)"
)


def keys_in_prompt(text: str) -> list[str]:
    """Return the JSON keys a prompt asks for by name, in order."""
    if example := _EXAMPLE_KEY.findall(text):
        return list(dict.fromkeys(example))
    found = _KEYS_BEFORE.search(text) or _NAMED_KEYS.search(text)
    return [] if found is None else [w for w in re.findall(r"\w+", found[1]) if w != "and"]


def about_sentences(question: str, text: str) -> str:
    """Return the best sentence of a text for a question, or the start of the text."""
    return " ".join(best_sentences(question, text, most=1)) or text[:200]
