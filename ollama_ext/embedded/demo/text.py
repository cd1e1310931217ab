"""Words and sentences: what the demo models know about text."""

import re
from collections import Counter
from functools import lru_cache

# Results of tools up to this many characters are quoted whole.
LONG = 400
_WORD = re.compile(r"\w+", re.UNICODE)
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"')\]]*\s+(?=[\"'(\[]*[^\Wa-z_])")
# Frameworks write these above each chunk; they are no part of the text.
_METADATA = re.compile(
    r"\s{0,20}(?:(?:file|page|doc|document|node|ref|creation|last)_\w{1,64}|sources?|url|title)"
    r"\s{0,20}[:=]",
    re.IGNORECASE,
)
_HEADING = re.compile(r"\s{0,20}#{1,6}\s{1,20}(.*)")
_ITEM = re.compile(r"\s{0,20}(?:[-*+•]|\d{1,9}[.)])\s{1,20}")


def word_set(text: str) -> frozenset[str]:
    """Return the words of a list written as one text."""
    return frozenset(text.split())


STOP_WORDS = word_set(
    """a about all also am an and any are as at be been but by can could did do does for from had
    has have he her him his how i if in into is it its just me my no not of on or our she should so
    some such than that the their them then there these they this to us was we were what when
    where which who whom whose why will with would you your"""
)


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return a word without its commonest English endings, lower-cased."""
    word = word.lower()
    # Crude on purpose: both sides are stemmed, so it has to be stable, not correct.
    for ending, least, put in (("ies", 5, "y"), ("ing", 6, ""), ("ed", 5, ""), ("es", 5, "")):
        if word.endswith(ending) and len(word) >= least:
            return _single(word[: -len(ending)] + put)
    return _single(word[:-1]) if word.endswith("s") and len(word) > 3 else _single(word)


def _single(word: str) -> str:
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiousl":
        return word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def words(text: str) -> list[str]:
    """Return the words of a text, in order, as written."""
    return _WORD.findall(text)


def key_words(text: str) -> list[str]:
    """Return the stems of the words that carry meaning, in order."""
    return [stem(word) for word in words(text) if word.lower() not in STOP_WORDS]


def sentences(text: str) -> list[str]:
    """Split a text into sentences: hard-wrapped lines joined, headings and metadata left out."""
    return [sentence for _, sentence in titled_sentences(text)]


def titled_sentences(text: str) -> list[tuple[str, str]]:
    """Split a text into sentences, each with the heading it stands under ("" for none)."""
    found: list[tuple[str, str]] = []
    heading = ""
    for block in _blocks(text):
        title = _HEADING.match(block)
        if title:
            # A heading is not quoted, but the text below it is about it.
            heading = title.group(1).strip()
            continue
        found += [(heading, part.strip()) for part in _SENTENCE_END.split(block) if part.strip()]
    return found


def _blocks(text: str) -> list[str]:
    blocks: list[list[str]] = [[]]
    for line in text.replace("\r", "\n").split("\n"):
        bare = line.strip()
        is_rule = len(bare) > 2 and not bare.strip("-=*_#`")
        if not bare or is_rule or _METADATA.match(line):
            blocks.append([])
        elif _HEADING.match(line):
            blocks += [[bare], []]
        elif _ITEM.match(line):
            blocks.append([_ITEM.sub("", line, count=1).strip()])
        else:
            blocks[-1].append(bare)
    return [" ".join(block) for block in blocks if block]


def best_sentences(question: str, context: str, *, most: int = 2) -> list[str]:
    """Return the sentences of a context that answer a question best, in the context's order.

    Args:
        question: The question; its key words are looked for.
        context: The text to quote from.
        most: How many sentences at most.

    Returns:
        No sentence when none shares a key word with the question.
    """
    asked = set(key_words(question))
    # Overlapping chunks repeat sentences.
    candidates = list(dict.fromkeys(titled_sentences(context)))
    stems = [set(key_words(sentence)) for _, sentence in candidates]
    # A word in every sentence distinguishes none of them.
    spread = Counter(word for found in stems for word in asked & found)
    rarity = {word: 1 / (1 + spread[word]) ** 0.5 for word in asked}
    titles = {title: asked & set(key_words(title)) for title in {t for t, _ in candidates}}
    scores = [
        _score(asked, rarity, found, titles[title], sentence)
        for (title, sentence), found in zip(candidates, stems, strict=True)
    ]
    ranked = sorted(range(len(candidates)), key=lambda i: -scores[i])
    chosen = [i for i in ranked[:1] if scores[i] > 0]
    covered = asked & stems[chosen[0]] if chosen else set()
    for i in ranked[1:]:
        # A second sentence must add something new.
        news = (asked & stems[i]) - covered
        if len(chosen) < most and news and scores[i] >= 0.5 * scores[ranked[0]]:
            chosen.append(i)
            covered |= news
    return list(dict.fromkeys(candidates[i][1] for i in sorted(chosen)))


def brief(question: str, text: str) -> str:
    """Return a text of up to ``LONG`` characters whole, of a longer one what answers a question."""
    if len(text) <= LONG:
        return text
    return " ".join(best_sentences(question, text)) or text[:LONG]


def _score(
    asked: set[str], rarity: dict[str, float], found: set[str], title: set[str], sentence: str
) -> float:
    direct = sum(rarity[word] for word in asked & found)
    titled = sum(rarity[word] for word in title - found) / 2
    if not direct and not titled:
        return 0.0
    # A statement answers; a question that repeats the words does not.
    return (direct + titled) * (0.3 if sentence.endswith("?") else 1.0) / (1 + len(found) / 60)
