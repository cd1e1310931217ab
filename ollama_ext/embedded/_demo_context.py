"""Finding the question and the context in what a framework sends, and answering from it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ollama_ext.embedded._demo_text import best_sentences, key_words, sentences
from ollama_ext.embedded._engine import Message

_LABEL = r"(?:Question|Query|User [Qq]uestion|[Hh]uman|[Uu]ser|Input)"
# The last labelled question of a prompt, up to an answer label or the end.
_QUESTION = re.compile(
    rf"(?:^|\n)\s*#*\s*{_LABEL}\s*:\s*(?P<q>.+?)"
    r"(?=\n\s*(?:Answer|Helpful Answer|Original Answer|New Answer|Response|AI|[Aa]ssistant)\b.*:|"
    r"\n\s*\n|\Z)",
    re.DOTALL,
)
# Frameworks fence their context in rules, tags or labels; which one says where it ends.
_RULES = re.compile(r"\n-{5,}[^\n]*\n(.*?)\n-{5,}", re.DOTALL)
_TAGGED = re.compile(r"<(context|documents?|sources?)>(.*?)</\1>", re.DOTALL | re.IGNORECASE)
_LABELLED = re.compile(
    rf"(?:^|\n)\s*#*\s*(?:New )?(?:Context|Documents|Sources)\b[^\n:]*:\s*"
    rf"(.*?)(?=\n\s*#*\s*{_LABEL}\s*:|\n\s*Instruction:|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_DOCUMENTS = re.compile(
    r"relevant documents for the context:\s*(.*?)(?=\n\s*Instruction:|\Z)", re.DOTALL
)
# Instructions hold the words of a question too, and would be quoted as its answer.
_INSTRUCTION = re.compile(
    r"(?:You are|You're|Your task|Answer|Use |Using|Given|If |Do not|Don't|Please|Always|Never|"
    r"Instruction|The following|Only |Keep|Think|Respond|Reply|Be |Based on|We have|The original|"
    r"The assistant|Here (?:are|is)|I will|Context|Refined|Rewrite|\d\. )",
)
_REFINE = (
    re.compile(
        r"New Context:\s*(?P<c>.*?)\nQuery:\s*(?P<q>.*?)\nOriginal Answer:\s*(?P<a>.*?)\n"
        r"New Answer:",
        re.DOTALL,
    ),
    re.compile(
        r"original query is as follows:\s*(?P<q>.*?)\nWe have provided an existing answer:\s*"
        r"(?P<a>.*?)\nWe have the opportunity.*?\n-{5,}\n(?P<c>.*?)\n-{5,}",
        re.DOTALL,
    ),
)
_EXISTING = re.compile(r"Existing Answer:\s*(.*?)\n\s*(?:-{5,}|Instruction:)", re.DOTALL)
_ROLES = re.compile(r"^(system|user|human|assistant|ai): ?", re.IGNORECASE | re.MULTILINE)
_ROLE_NAMES = {"human": "user", "ai": "assistant"}
NO_ANSWER = "The context does not say."


@dataclass(frozen=True, slots=True)
class Asked:
    """What a conversation asks.

    Attributes:
        question: The question itself.
        context: The text to answer from; "" when there is none.
        given: Whether the prompt marks its context as such; then there is no other answer.
        existing: An earlier answer that is to be refined; "" for none.
    """

    question: str
    context: str
    given: bool = False
    existing: str = ""


def unfolded(messages: Sequence[Message]) -> Sequence[Message]:
    """Take a conversation apart that a framework wrote into one text, ``user: …`` by line."""
    text = messages[-1].content if messages else ""
    if len(messages) != 1 or not _ROLES.match(text):
        return messages
    parts = _ROLES.split(text)[1:]
    found = [
        Message(_ROLE_NAMES.get(role.lower(), role.lower()), said.strip())
        for role, said in zip(parts[::2], parts[1::2], strict=True)
    ]
    return found if any(message.role == "user" for message in found) else messages


def last_user(messages: Sequence[Message]) -> str:
    """Return the text of the last user message, "" when there is none."""
    return next((m.content for m in reversed(messages) if m.role == "user"), "")


def find_question(messages: Sequence[Message]) -> Asked:
    """Take the question and the context out of a conversation."""
    text = last_user(messages)
    # Prompts of a known form first: they hold the question and the context in known places.
    for pattern in _REFINE:
        found = pattern.search(text)
        if found:
            question, context, existing = (found[name].strip() for name in "qca")
            return Asked(question, context, given=True, existing=existing)
    question, rest = _labelled_question(text)
    others = [m.content for m in messages if m.role in ("system", "user", "tool")]
    # The message that asks is no source, but an equal one before it may be.
    if text in others:
        others.reverse()
        others.remove(text)
        others.reverse()
    # A marked context is all there is to answer from; an unmarked one may be small talk.
    marked = _marked_context([rest, *others])
    if marked:
        existing = next((e[1].strip() for o in others if (e := _EXISTING.search(o))), "")
        return Asked(question, "\n\n".join(marked), given=True, existing=existing)
    spoken = "\n\n".join(_without_instructions(part) for part in [*others, rest] if part)
    return Asked(question, spoken.strip())


def _labelled_question(text: str) -> tuple[str, str]:
    found = list(_QUESTION.finditer(text))
    if found:
        last = found[-1]
        return last["q"].strip(), text[: last.start()] + "\n" + text[last.end() :]
    paragraphs = [part.strip() for part in text.split("\n\n") if part.strip()]
    if len(paragraphs) > 1:
        asking = [part for part in paragraphs if part.endswith("?") and len(part) < 400]
        question = asking[-1] if asking else paragraphs[-1]
        return question, "\n\n".join(part for part in paragraphs if part != question)
    spoken = sentences(text)
    asking = [part for part in spoken if part.endswith("?")]
    if len(spoken) > 1 and len(asking) == 1:
        return asking[0], " ".join(part for part in spoken if part != asking[0])
    return text.strip(), ""


def _marked_context(texts: Sequence[str]) -> list[str]:
    found: list[str] = []
    for text in texts:
        parts = [match[1] for match in _RULES.finditer("\n" + text)]
        parts += [match[2] for match in _TAGGED.finditer(text)]
        parts += [match[1] for match in _DOCUMENTS.finditer(text)]
        if not parts:
            parts += [match[1] for match in _LABELLED.finditer(text)]
        found += [part.strip() for part in parts if part.strip()]
    return found


def _without_instructions(text: str) -> str:
    return "\n".join(s for s in sentences(text) if not _INSTRUCTION.match(s))


def quote_answer(asked: Asked) -> str | None:
    """Answer with sentences of the context; None when it has no answer and was not marked."""
    best = best_sentences(asked.question, asked.context)
    if asked.existing:
        # The old answer stays unless the new one covers more of the question.
        wanted = set(key_words(asked.question))
        better = len(wanted & set(key_words(" ".join(best))))
        if better <= len(wanted & set(key_words(asked.existing))):
            return asked.existing
    if best:
        return " ".join(best)
    return NO_ANSWER if asked.given else None
