"""Finding the question and the context in what a framework sends, and answering from it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ollama_ext.embedded.demo.find import between, enclosed, marks
from ollama_ext.embedded.demo.text import best_sentences, key_words, sentences
from ollama_ext.embedded.engine import Message

_LABEL = r"(?:Question|Query|User [Qq]uestion|[Hh]uman|[Uu]ser|Input)"
_QUESTION = re.compile(
    rf"^[ \t]{{0,20}}#{{0,6}}[ \t]{{0,20}}{_LABEL}[ \t]{{0,20}}:\s{{0,20}}", re.MULTILINE
)
# A question ends at an answer label, at an empty line, or with the text.
_QUESTION_END = re.compile(
    r"(?=\n[ \t]{0,20}(?:(?:Helpful |Original |New )?Answer|Response|AI|[Aa]ssistant)\b"
    r"[^\n]{0,200}:|\n[ \t]{0,200}\n|\Z)"
)
# Frameworks fence their context in rules, tags or labels; which one says where it ends.
_RULE, _NEXT_RULE = marks(r"^-{5,}+[^\n]*\n", r"\n-{5,}", flags=re.MULTILINE)
_TAG = re.compile(r"<(context|documents?|sources?)>", re.IGNORECASE)
_LABELLED, _LABELLED_END = marks(
    r"^[ \t]{0,20}#{0,6}[ \t]{0,20}(?:New )?(?:Context|Documents|Sources)\b[^\n:]{0,200}:\s{0,20}",
    rf"(?=\n[ \t]{{0,20}}#{{0,6}}[ \t]{{0,20}}{_LABEL}[ \t]{{0,20}}:|"
    r"\n[ \t]{0,20}Instruction:|\Z)",
    flags=re.IGNORECASE | re.MULTILINE,
)
_DOCUMENTS, _DOCUMENTS_END = marks(
    r"relevant documents for the context:", r"(?=\n[ \t]{0,20}Instruction:|\Z)"
)
# Instructions hold the words of a question too, and would be quoted as its answer.
_INSTRUCTION = re.compile(
    r"(?:You are|You're|Your task|Answer|Use |Using|Given|If |Do not|Don't|Please|Always|Never|"
    r"Instruction|The following|Only |Keep|Think|Respond|Reply|Be |Based on|We have|The original|"
    r"The assistant|Here (?:are|is)|I will|Context|Refined|Rewrite|\d\. )",
)
_REFINE = marks("New Context:", r"\nQuery:", r"\nOriginal Answer:", r"\nNew Answer:")
_REFINE_CHAT = marks(
    r"original query is as follows:",
    r"\nWe have provided an existing answer:",
    r"\nWe have the opportunity",
    r"\n-{5,}\n",
    r"\n-{5,}",
)
_EXISTING = marks("Existing Answer:", r"\n[ \t]{0,20}(?:-{5,}|Instruction:)")
_ROLES = re.compile(r"^(system|user|human|assistant|ai): ?", re.IGNORECASE | re.MULTILINE)
_ROLE_NAMES = {"human": "user", "ai": "assistant"}
NO_ANSWER = "The context does not say."


@dataclass(frozen=True, slots=True)
class Question:
    """What a conversation asks."""

    question: str  # the question itself
    context: str  # the text to answer from; "" when there is none
    # Whether the prompt marks its context as such; then there is no other answer.
    given: bool = False
    existing: str = ""  # an earlier answer to refine; "" for none


def unfolded(messages: Sequence[Message]) -> Sequence[Message]:
    """Split a conversation that a framework wrote as one text, with lines of ``user: …``."""
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


def find_question(messages: Sequence[Message]) -> Question:
    """Take the question and the context out of a conversation."""
    text = last_user(messages)
    # Prompts of a known form first: they hold the question and the context in known places.
    if (found := between(text, _REFINE)) is not None:
        context, question, existing = found[1]
        return Question(question, context, given=True, existing=existing)
    if (found := between(text, _REFINE_CHAT)) is not None:
        question, existing, _, context = found[1]
        return Question(question, context, given=True, existing=existing)
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
        existing = next((e[1][0] for o in others if (e := between(o, _EXISTING))), "")
        return Question(question, "\n\n".join(marked), given=True, existing=existing)
    spoken = "\n\n".join(_without_instructions(part) for part in [*others, rest] if part)
    return Question(question, spoken.strip())


def _labelled_question(text: str) -> tuple[str, str]:
    labelled = [one for one in enclosed(_QUESTION, _QUESTION_END, text) if one[1].strip()]
    if labelled:
        label, question = labelled[-1]
        return question.strip(), f"{text[: label.start()]}\n{text[label.end() + len(question) :]}"
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
        parts = [inner for _, inner in enclosed(_RULE, _NEXT_RULE, text)]
        parts += _tagged(text)
        parts += [inner for _, inner in enclosed(_DOCUMENTS, _DOCUMENTS_END, text)]
        if not parts:
            parts += [inner for _, inner in enclosed(_LABELLED, _LABELLED_END, text)]
        found += [part.strip() for part in parts if part.strip()]
    return found


def _tagged(text: str) -> Iterator[str]:
    at = 0
    unclosed: set[str] = set()
    while (tag := _TAG.search(text, at)) is not None:
        at = tag.end()
        name = tag[1].lower()
        # A tag that is not closed after this place is not searched again.
        end = None if name in unclosed else re.compile(f"</{name}>", re.I).search(text, at)
        if end is None:
            unclosed.add(name)
        else:
            yield text[at : end.start()]
            at = end.end()


def _without_instructions(text: str) -> str:
    return "\n".join(s for s in sentences(text) if not _INSTRUCTION.match(s))


def quote_answer(asked: Question) -> str | None:
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
