"""Prompts with a fixed form of answer: selectors, rankers, condensers, sub-questions, keywords."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ollama_ext.embedded._demo_context import last_user
from ollama_ext.embedded._demo_text import best_sentences, key_words, sentences
from ollama_ext.embedded._engine import Message

# The default prompts of LangChain's and LlamaIndex's parts have fixed sentences, and their parsers
# take no other form of answer than the one asked for there.
_CHOICE = re.compile(r"(?:^|\n)\((\d+)\)\s*(.*?)(?=\n\(\d+\)|\n-{5,}|\Z)", re.DOTALL)
_ABOUT = re.compile(
    r"(?:relevant to the\s+question|to the question):\s*'(.*?)'\s*(?:\n|\Z)", re.DOTALL
)
_AT_MOST = re.compile(r"no more than (\d+)")
_DOCUMENT = re.compile(
    r"(?:^|\n)Document (\d+):\n(.*?)(?=\n+Document \d+:|\nQuestion:|\Z)", re.DOTALL
)
_PASSAGE = re.compile(r"\[(\d+)\]\s*(.*)", re.DOTALL)
_TOOLS = re.compile(r"<Tools>\s*```json\s*(\{.*?\})\s*```", re.DOTALL)
_USER_QUESTION = re.compile(r"<User Question>\s*(.*?)\s*(?:\n\n|<Output>|\Z)", re.DOTALL)
_CONDENSE = (
    re.compile(
        r"Chat History:\s*(?P<h>.*?)\n\s*Follow[- ]?Up (?:Input|question):\s*(?P<q>.*?)\n\s*"
        r"Standalone question:",
        re.DOTALL | re.IGNORECASE,
    ),
    re.compile(
        r"<Chat History>\s*(?P<h>.*?)\n\s*<Follow Up Message>\s*(?P<q>.*?)\n\s*"
        r"<Standalone question>",
        re.DOTALL,
    ),
)
_POINTER = re.compile(
    r"\b(?:it|its|they|them|their|this|that|these|those|he|him|his|she|her|there)\b", re.IGNORECASE
)
_KEYWORDS = re.compile(r"extract up to (\d+) keywords.*?-{5,}\n(.*?)\n-{5,}", re.DOTALL)
_QUERIES = re.compile(r"generate (\d+) search queries.*?Query:\s*(.*?)\nQueries:", re.DOTALL | re.I)
_SUMMARY = re.compile(r"Write a summary of the following\..*?\n\n+(.*?)\n\n+SUMMARY:", re.DOTALL)
_PASSAGE_FOR = re.compile(
    r"write a passage to answer the question.*?\n\n+(.*?)\n\n+Passage:", re.DOTALL
)
_REPEAT = re.compile(
    r"\b(?:say|repeat|echo|write|print|output|(?:respond|reply|answer)(?: only)? with)\b"
    r"[^\"“`'\n]{0,60}[\"“`'](?P<t>.+?)[\"”`'](?:[.!]|\s|\Z)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Shaped:
    """An answer in the form a prompt asks for.

    Attributes:
        text: The answer as text.
        hints: Its values by field name, for a JSON schema that asks for the same.
    """

    text: str
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
    about = _ABOUT.search(text)
    if "Some choices are given below" not in text or about is None:
        return None
    ranked = _rank(about[1], {int(m[1]): m[2] for m in _CHOICE.finditer(text)})
    if not ranked:
        return None
    limit = _AT_MOST.search(text)
    # At least one has to be chosen, even when none fits.
    fitting = [item for item in ranked if item[1] > 0][: int(limit[1]) if limit else 1]
    chosen = fitting or ranked[:1]
    reasons = [f"it shares {shared} key words with the question" for _, shared in chosen]
    # LlamaIndex's tree index asks for a line, its selectors ask for JSON.
    if "ANSWER: <number" in text:
        numbers = ", ".join(str(number) for number, _ in chosen)
        return Shaped(f"ANSWER: {numbers}, because {reasons[0]}.")
    answers = [
        {"choice": number, "reason": reason}
        for (number, _), reason in zip(chosen, reasons, strict=True)
    ]
    # One choice and several are two schemas, with other names for the same.
    first = {"index": chosen[0][0], "choice": chosen[0][0], "reason": reasons[0]}
    selections = [{"index": a["choice"], "reason": a["reason"]} for a in answers]
    return Shaped(json.dumps(answers), {**first, "selections": selections})


def _ranked_documents(text: str) -> Shaped | None:
    if "A list of documents is shown below" not in text:
        return None
    # Before that stands an example, which must not be ranked.
    body = text.split("Let's try this now:", 1)[-1]
    question = body.rsplit("Question:", 1)[-1].split("\nAnswer:")[0]
    ranked = _rank(question, {int(m[1]): m[2] for m in _DOCUMENT.finditer(body)})
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
    asked = re.search(r"Search Query:\s*(.*?)\.?\s*\nRank the \d+ passages above", text, re.DOTALL)
    if asked is None:
        return None
    found = [m for message in messages if (m := _PASSAGE.match(message.content))]
    ranked = _rank(asked[1], {int(m[1]): m[2] for m in found})
    return Shaped(" > ".join(f"[{number}]" for number, _ in ranked))


def _sub_questions(text: str) -> Shaped | None:
    tools, asked = _TOOLS.findall(text), _USER_QUESTION.findall(text)
    if not tools or not asked or "<Output>" not in text:
        return None
    # The first pair is the example.
    question = asked[-1]
    named: dict[str, str] = json.loads(tools[-1])
    wanted = set(key_words(question))
    related = [n for n, about in named.items() if wanted & set(key_words(f"{n} {about}"))]
    items = [
        {"sub_question": _for_tool(question, named[name]), "tool_name": name}
        for name in related or named
    ]
    fenced = "```json\n" + json.dumps({"items": items}, indent=4) + "\n```"
    return Shaped(fenced, {"items": items})


def _for_tool(question: str, about: str) -> str:
    shared = [word for word in re.findall(r"\w+", about) if word in question and word[0].isupper()]
    return f"{question.rstrip('?')} for {shared[0]}?" if shared else question


def _standalone(text: str) -> Shaped | None:
    for pattern in _CONDENSE:
        found = pattern.search(text)
        if found:
            question = found["q"].strip()
            # A question that points nowhere stands alone as it is.
            if not _POINTER.search(question) and len(key_words(question)) > 1:
                return Shaped(question)
            earlier = re.findall(r"(?:user|human):\s*(.*)", found["h"], re.IGNORECASE)
            return Shaped(f"{question} ({earlier[-1].strip()})" if earlier else question)
    return None


def _keywords(text: str) -> Shaped | None:
    found = _KEYWORDS.search(text)
    if found is None:
        return None
    kept = dict.fromkeys(w.lower() for w in re.findall(r"\w+", found[2]) if key_words(w))
    return Shaped("KEYWORDS: " + ", ".join(list(kept)[: int(found[1])]))


def _queries(text: str) -> Shaped | None:
    found = _QUERIES.search(text)
    if found is None:
        return None
    query = found[2].strip()
    forms = [query, " ".join(key_words(query)), f"What is known about {query.rstrip('?')}?"]
    wanted = int(found[1])
    return Shaped("\n".join((forms * (wanted // len(forms) + 1))[:wanted]))


def _summary(text: str) -> Shaped | None:
    found = _SUMMARY.search(text)
    return Shaped(" ".join(sentences(found[1])[:2])) if found else None


def _passage(text: str) -> Shaped | None:
    found = _PASSAGE_FOR.search(text)
    return Shaped(f"This passage is about: {found[1].strip()}") if found else None


def _repeated(text: str) -> Shaped | None:
    found = _REPEAT.search(text)
    return Shaped(found["t"]) if found else None


_RULES: tuple[Callable[[str], Shaped | None], ...] = (
    _choices,
    _ranked_documents,
    _sub_questions,
    _standalone,
    _keywords,
    _queries,
    _summary,
    _passage,
    _repeated,
)


def schema_in_prompt(text: str) -> Mapping[str, object] | None:
    """Return the last JSON schema of an object that a prompt shows, or None."""
    shown = _schemas(text)
    # LlamaIndex doubles the braces of the schemas it shows.
    shown = shown or _schemas(text.replace("{{", "{").replace("}}", "}"))
    # In LangChain's instructions the first one is an example.
    return shown[-1] if shown else None


def _schemas(text: str) -> list[Mapping[str, object]]:
    found: list[Mapping[str, object]] = []
    reader = json.JSONDecoder()
    at = 0
    while (start := text.find("{", at)) >= 0:
        at = start + 1
        try:
            value, end = reader.raw_decode(text, start)
        except json.JSONDecodeError:
            continue
        at = end
        if isinstance(value, dict) and isinstance(value.get("properties"), dict):
            found.append(value)
    return found


def keys_in_prompt(text: str) -> list[str]:
    """Return the JSON keys a prompt asks for by name, in order."""
    example = re.findall(r"[{,]\s*[\"'](\w+)[\"']\s*:", text)
    quoted = r"[\"'`]?(\w+)[\"'`]?"
    listed = re.search(
        rf"\b(?:keys?|fields?)\b\s*(?:named|called|:|of)?\s*((?:{quoted}(?:,\s*(?:and\s+)?|\s+and\s+)?)+)",
        text,
    )
    before = re.search(
        r"((?:[\"'`]\w+[\"'`](?:,\s*(?:and\s+)?|\s+and\s+)?)+)\s*(?:keys|fields)", text
    )
    if example:
        return list(dict.fromkeys(example))
    found = before or listed
    if found is None:
        return []
    return [word for word in re.findall(r"\w+", found[1]) if word != "and"]


def about_sentences(question: str, text: str) -> str:
    """Return the best sentence of a text for a question, or the start of the text."""
    return " ".join(best_sentences(question, text, most=1)) or text[:200]
