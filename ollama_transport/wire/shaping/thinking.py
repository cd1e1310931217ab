"""Separate thoughts from an answer whose server leaves them in the text, between tags.

Tags count at the start of the text, where templates make the model write them, and again after
such thoughts; elsewhere they are text. White space around thoughts is removed, as by Ollama.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, Literal, TypeVar

from ollama_transport.settings.options import Think
from ollama_transport.settings.values import SplitThinking
from ollama_transport.wire.values.answers import ChatLine, GenerateLine

Line = TypeVar("Line", ChatLine, GenerateLine)
Tags = tuple[str, str]

KNOWN_TAGS: Sequence[Tags] = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<thoughts>", "</thoughts>"),
    ("[THINK]", "[/THINK]"),  # Mistral
    ("<seed:think>", "</seed:think>"),  # Seed
    ("<|think|>", "<|/think|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    ("◁think▷", "◁/think▷"),  # Kimi-VL
    ("<mm:think>", "</mm:think>"),  # MiniMax-M3
    ("<unused94>thought\n", "<unused95>"),  # MedGemma
    (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",  # gpt-oss
    ),
)
"""The tags that today's templates put around thoughts; the first pair is the most common."""

_QUOTES = frozenset("`'\"")


def thinking_tags(split: SplitThinking | None, think: Think | None) -> Sequence[Tags]:
    """Return the tags to look for; () if the text stays unchanged."""
    if isinstance(split, tuple):
        return (split,)
    if split == "tags" or (split is None and think not in (None, False)):
        return KNOWN_TAGS
    return ()


# QwQ, DeepSeek's R1, and Qwen's and Kimi's models named so (vllm #31045, 2025-12-19; #17144,
# 2025-04-24; open-webui #11259, 2025-03-06).
_OPENED = re.compile(r"(?i)qwq|deepseek[-_]r1|r1-distill|-thinking\b")


def is_opened(split: SplitThinking | None, model: str | None) -> bool:
    """Return whether a model's own template opens its thoughts, so that only their end comes."""
    return not isinstance(split, tuple) and _OPENED.search(model or "") is not None


def splitting(
    join: Callable[[Sequence[Line]], Line], tags: Sequence[Tags]
) -> Callable[[Sequence[Line]], Line]:
    """Return a join that also splits thoughts off by a closing tag that stands alone.

    The template opened the thoughts in the prompt then, which only a whole answer shows.
    """
    return (lambda lines: _parted(join(lines), tags)) if tags else join


def _parted(line: Line, tags: Sequence[Tags]) -> Line:
    """Return a whole answer with its thoughts separated, if it has only their closing tag."""
    for opening, closing in () if line.thinking else tags:
        before, found, after = line.text.partition(closing)
        if found and opening not in before:
            return _with(line, after.lstrip(), before.strip())
    return line


class ThinkSplitter(Generic[Line]):
    """Moves the thoughts in one answer's text to its ``thinking``; make one for each answer.

    `push` transforms each line. Text that may be the beginning of a tag is held back. An empty
    opening tag means that the template itself opened the thoughts. A closing tag at the very
    beginning is dropped. A whole answer with only a closing tag is split there as well (see
    `splitting`); in a stream that text has already been returned by then.

    ``opened`` is True for a model that is known to begin with thoughts whose tag its template
    wrote. If their end never comes, and no tag did, all of it is the text as well.
    """

    def __init__(self, tags: Sequence[Tags], *, opened: bool = False) -> None:
        self._tags = tags
        self._close = ""
        self._open = ""
        self._state: _State = "start"
        self._rest = ""
        self._eats_space = False
        self._last = ""
        self._is_first = True
        self._may_repeat = False
        if any(not opening for opening, _ in tags):
            self._begin(next(pair for pair in tags if not pair[0]))
        self._guessed: list[str] | None = [] if opened else None

    def push(self, line: Line) -> Line:
        """Return the line with its thoughts separated."""
        # Nearly all lines of an answer, once its beginning has been read.
        if self._state == "plain":
            return line
        if not (line.text or line.done):
            self._is_first = False
            if line.thinking and self._guessed == []:
                self._guessed = None
            return line
        is_whole, self._is_first = self._is_first and line.done, False
        if self._guessed is not None:
            return self._guess(line) if not is_whole else self._settle(line)
        return self._split(line, is_whole=is_whole)

    def _settle(self, line: Line) -> Line:
        """Return a whole line, or one of a server that separates thoughts, split as usual."""
        self._guessed, self._state = None, "start"
        return self._split(line, is_whole=line.done)

    def _guess(self, line: Line) -> Line:
        """Return a line of thoughts whose tag is expected to have been in the prompt."""
        assert self._guessed is not None
        if line.thinking and not self._guessed:
            return self._settle(line)
        if self._state == "start":
            self._begin(self._tags[0])
        self._guessed.append(line.text)
        text, thoughts = self._take(line.text, is_last=line.done)
        begins_so = "".join(self._guessed).lstrip().startswith(self._open) if line.done else False
        if self._state != "thinking":
            self._guessed = None
        elif line.done and not begins_so:
            text = "".join(self._guessed)
        return _with(line, text, thoughts)

    def _split(self, line: Line, *, is_whole: bool) -> Line:
        if is_whole and self._state == "start":
            parted = _parted(line, self._tags)
            if parted is not line:
                return parted
        return _with(line, *self._take(line.text, is_last=line.done))

    def _take(self, piece: str, *, is_last: bool) -> tuple[str, str]:
        """Return what is certainly text, and what is certainly thoughts, so far."""
        text, thoughts = "", ""
        self._rest += piece
        before = None
        # Each step consumes text or changes the state; when neither happens, more text is needed.
        while before != (self._state, self._rest):
            before = (self._state, self._rest)
            if self._state == "start":
                self._start(is_last)
            if self._state == "thinking":
                thoughts += self._thinking(is_last)
            elif self._state == "text":
                text += self._text(is_last)
            elif self._state == "plain":
                text, self._rest = text + self._rest, ""
        return text, thoughts

    def _start(self, is_last: bool) -> None:
        said = self._rest.lstrip()
        for pair in self._tags:
            if said.startswith(pair[0]):
                self._rest = said[len(pair[0]) :]
                self._begin(pair)
                return
            # The server has read the thoughts, and left the end of them.
            if pair[1] and said.startswith(pair[1]):
                self._open, self._close = pair
                self._rest, self._state, self._eats_space = said[len(pair[1]) :], "text", True
                return
        if is_last or not any(tag.startswith(said) for pair in self._tags for tag in pair):
            self._state = "plain"

    def _begin(self, pair: Tags) -> None:
        self._open, self._close = pair
        self._may_repeat = bool(self._open)
        self._state, self._eats_space = "thinking", True

    def _thinking(self, is_last: bool) -> str:
        self._eat_space()
        if self._may_repeat and self._repeats_tag(is_last):
            return ""
        at = self._rest.find(self._close)
        if at >= 0:
            thoughts, self._rest = self._rest[:at], self._rest[at + len(self._close) :]
            # Between two words of the text, the space behind the thoughts is all that is left.
            self._state, self._eats_space = "text", not self._last or self._last.isspace()
            return thoughts.rstrip()
        # White space before the closing tag is removed, so it is held back too.
        kept = 0 if is_last else _held(self._rest, self._close)
        stripped = self._rest[: len(self._rest) - kept].rstrip()
        thoughts, self._rest = stripped, "" if is_last else self._rest[len(stripped) :]
        return thoughts

    def _repeats_tag(self, is_last: bool) -> bool:
        """Return whether the thoughts may begin with their tag once more, which is dropped."""
        if self._rest.startswith(self._open):
            # The model wrote the tag that the template had written.
            self._rest, self._may_repeat = self._rest[len(self._open) :], False
            self._eats_space = True
            self._eat_space()
        elif self._rest and (is_last or not self._open.startswith(self._rest)):
            self._may_repeat = False
        return self._may_repeat

    def _text(self, is_last: bool) -> str:
        self._eat_space()
        at = self._find_tag()
        if at >= 0:
            text, self._rest = self._rest[:at], self._rest[at + len(self._open) :]
            self._last = text[-1:] if text else self._last
            self._state, self._eats_space = "thinking", True
            return text
        kept = 0 if is_last or not self._open else _held(self._rest, self._open)
        text = self._rest[: len(self._rest) - kept]
        self._rest = self._rest[len(text) :]
        self._last = text[-1:] if text else self._last
        return text

    def _find_tag(self) -> int:
        """Return where thoughts begin again; a quoted tag is only a mention of it."""
        at = self._rest.find(self._open) if self._open else -1
        while at >= 0 and (self._rest[at - 1] if at else self._last) in _QUOTES:
            at = self._rest.find(self._open, at + 1)
        return at

    def _eat_space(self) -> None:
        if self._eats_space:
            self._rest = self._rest.lstrip()
            self._eats_space = not self._rest


_State = Literal["start", "thinking", "text", "plain"]


def _held(text: str, tag: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a tag."""
    longest = min(len(text), len(tag) - 1)
    return next((n for n in range(longest, 0, -1) if tag.startswith(text[-n:])), 0)


def _with(line: Line, text: str, thoughts: str) -> Line:
    if text == line.text and not thoughts:
        return line
    if isinstance(line, GenerateLine):
        return replace(line, text=text, thinking=line.thinking + thoughts)
    message = replace(line.message, content=text, thinking=line.message.thinking + thoughts)
    return replace(line, message=message)
