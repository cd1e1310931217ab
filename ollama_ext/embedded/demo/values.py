"""What a text offers to fill in a tool's arguments or a JSON schema: numbers, quotes, names."""

import re
from collections.abc import Iterable

from ollama_ext.embedded.demo.text import STOP_WORDS, sentences, word_set, words

_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?)?\b")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++\.[\w.-]*\w")
_URL = re.compile(r"https?://[^\s\"'<>)]+")
# At most 18 digits: Python refuses to convert very long ones.
_NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3}){1,6}|\d{1,18})(?:\.\d{1,18}+)?(?!\w)")
_QUOTED = re.compile(
    r'"([^"\n]+)"|“([^“”\n]+)”|`([^`\n]+)`|(?<!\w)\'([^\'\n]+)\'(?!\w)|‘([^‘’\n]+)’|「([^「」\n]+)」'
)
_NAME = re.compile(
    r"[A-Z][\w'’-]*(?:(?:\s+(?:de|of|la|the|van|von|del)\s+|\s+)[A-Z][\w'’-]*)*(?:,\s[A-Z]{2}\b)?"
)
_SPELLED = "zero one two three four five six seven eight nine ten eleven twelve"
_NUMBER_WORDS = {word: number for number, word in enumerate(_SPELLED.split())}
# Words that open a request with a capital letter and name nothing.
_OPENERS = word_set(
    """add answer ask book call calculate check compute convert count create describe divide explain
    extract fetch find generate get give good hello help hey hi list look make multiply name now ok
    open order please pick play question read remind remove repeat reply respond return run say
    search send set show subtract sum summarize tell thanks thank then translate turn use weather
    write yes no reserve schedule buy delete update answer using today tomorrow"""
)


def find_numbers(text: str) -> list[int | float]:
    """Return the numbers in a text, in order, without dates."""
    # 2024-05-17 holds no number to multiply.
    bare = _DATE.sub(" ", text)
    found = [_number(match.group()) for match in _NUMBER.finditer(bare)]
    if found:
        return found
    spelled = [_NUMBER_WORDS[w.lower()] for w in words(text) if w.lower() in _NUMBER_WORDS]
    # A lone "one" is hardly ever a number.
    return [] if spelled == [1] else list(spelled)


def _number(text: str) -> int | float:
    plain = text.replace(",", "")
    return float(plain) if "." in plain else int(plain)


def find_quoted(text: str) -> list[str]:
    """Return the texts in quotes of any kind, in order."""
    return [next(filter(None, match.groups())) for match in _QUOTED.finditer(text)]


def find_names(text: str) -> list[str]:
    """Return the capitalised names of a text, in order, each once."""
    names = (_without_opener(match.group()) for match in _NAME.finditer(text))
    return list(dict.fromkeys(name for name in names if len(name) > 1))


def _without_opener(name: str) -> str:
    # A request begins with a capital letter too.
    parts = name.split()
    while parts and parts[0].lower().strip("'’").split("'")[0] in _OPENERS | STOP_WORDS | {"i"}:
        parts.pop(0)
    return " ".join(parts).removesuffix("'s").removesuffix("’s")


def find_keyed(text: str, key: str) -> str | None:
    """Return what a text gives for a key: ``key=value``, ``key: value`` or ``key is value``."""
    spoken = re.escape(key).replace("_", "[ _]")
    value = r"\"([^\"]+)\"|'([^']+)'|([^\s,;.!?)]+(?:\.\d+)?)"
    verb = r"(?:=|:|\bis\b|\bof\b|\bto\b|\bnamed\b|\bcalled\b)"
    pattern = rf"\b{spoken}[\"']?\s{{0,20}}{verb}\s{{0,20}}(?:{value})"
    match = re.search(pattern, text, re.IGNORECASE)
    return next(filter(None, match.groups())) if match else None


class Values:
    """The values of one text, handed out in order; made for one filling and then dropped.

    Args:
        text: Where the values come from.
        hints: Values by field name that are known already.
    """

    def __init__(self, text: str, hints: dict[str, object] | None = None) -> None:
        self.text = text.strip()
        self.hints = hints if hints is not None else {}
        self.numbers = find_numbers(text)
        self.quoted = find_quoted(text)
        # A name in quotes is a quoted text already.
        self.names = find_names(_QUOTED.sub(" ", text))
        self.dates = _DATE.findall(text)
        self.emails = _EMAIL.findall(text)
        self.urls = _URL.findall(text)
        self._sentences = sentences(text)

    def keyed(self, key: str) -> str | None:
        """Return what the text gives for a key, or None."""
        return find_keyed(self.text, key)

    def mentioned(self, options: Iterable[object]) -> list[object]:
        """Return the options that occur in the text."""
        lowered = self.text.lower()
        return [
            option
            for option in options
            if re.search(rf"(?<!\w){re.escape(str(option).lower())}(?!\w)", lowered)
        ]

    def take_number(self, low: float, high: float, *, integer: bool) -> int | float | None:
        """Return the next number within bounds and take it away, or None."""
        for number in self.numbers:
            if low <= number <= high and (not integer or float(number).is_integer()):
                self.numbers.remove(number)
                return int(number) if integer else number
        return None

    def take_quoted(self) -> str | None:
        """Return the next quoted text and take it away, or None."""
        return self.quoted.pop(0) if self.quoted else None

    def take_name(self) -> str | None:
        """Return the next capitalised name and take it away, or None."""
        return self.names.pop(0) if self.names else None

    def take_sentence(self) -> str | None:
        """Return the next sentence and take it away, or None."""
        return self._sentences.pop(0) if self._sentences else None
