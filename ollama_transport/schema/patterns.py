"""Regular expressions as trees, rewritten so that the engine's grammar enforces them.

The grammar inserts a pattern unchanged between the quotes of a JSON string, so each match must be
valid JSON: quotes, backslashes and control characters are removed from all classes here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

Ranges = tuple[tuple[int, int], ...]
"""Code points as sorted ranges that do not touch, both ends included."""

_TOP = 0x10FFFF


class UnfitPatternError(ValueError):
    """The pattern has a part without an equivalent in the grammar; the message names it."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Edge:
    """The beginning or the end of the text."""

    start: bool


@dataclass(frozen=True, slots=True)
class Repeat:
    """A node ``low`` to ``high`` times; None means no upper bound."""

    node: "Node"
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Sequence:
    """Nodes one after the other."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several nodes."""

    nodes: tuple["Node", ...]


Node = Chars | Edge | Repeat | Sequence | Choice


def joined_ranges(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return ranges sorted and joined where they touch."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def without(ranges: Ranges, taken: Ranges) -> Ranges:
    """Return ``ranges`` less the code points of ``taken``."""
    found: list[tuple[int, int]] = []
    for low, high in ranges:
        at = low
        for first, last in taken:
            if last < at or first > high:
                continue
            if first > at:
                found.append((at, first - 1))
            at = max(at, last + 1)
        if at <= high:
            found.append((at, high))
    return tuple(found)


def _points(text: str) -> Ranges:
    return joined_ranges((ord(one), ord(one)) for one in text)


_ALL: Ranges = ((0, _TOP),)
# Surrogates are not characters, and cannot be encoded as UTF-8.
_UNFIT = joined_ranges([(0, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F), (0xD800, 0xDFFF)])
_DIGITS: Ranges = ((0x30, 0x39),)
_WORD = joined_ranges([*_DIGITS, (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)])
_SPACES: Ranges = (
    *((9, 13), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
)
# Beyond these, regex engines disagree about digits and letters: use the part they agree on.
_SURE_DIGIT_LESS: Ranges = ((0, 0x5FF),)
_SURE_WORD_LESS: Ranges = ((0, 0x7F),)
_ANY_CHARACTER = without(_ALL, joined_ranges([(10, 10), (13, 13), (0x85, 0x85), (0x2028, 0x2029)]))
_CLASSES: dict[str, Ranges] = {
    "d": _DIGITS,
    "w": _WORD,
    "s": ((9, 13), (0x20, 0x20)),
    "D": without(_SURE_DIGIT_LESS, _DIGITS),
    "W": without(_SURE_WORD_LESS, _WORD),
    "S": without(_ALL, _SPACES),
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_HEX_LENGTHS = {"x": 2, "u": 4, "U": 8}
_MAX_GROUPS = 50
"""Limit of nested groups."""


def parse_pattern(pattern: str) -> Node:
    """Parse a pattern; lazy quantifiers are treated like greedy ones, which match the same texts.

    Raises:
        UnfitPatternError: for lookarounds, back references, word boundaries, Unicode properties,
            flags, and invalid patterns.
    """
    reader = _Reader(pattern)
    node = reader.choice()
    if not reader.is_over():
        raise UnfitPatternError(f"a bracket too many at {reader.at}")
    return node


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def is_over(self) -> bool:
        return self.at >= len(self.text)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        if self.is_over():
            raise UnfitPatternError("it ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def skip(self, prefix: str) -> bool:
        found = self.text.startswith(prefix, self.at)
        self.at += len(prefix) if found else 0
        return found

    def choice(self) -> Node:
        nodes = [self._sequence()]
        while self.skip("|"):
            nodes.append(self._sequence())
        return nodes[0] if len(nodes) == 1 else Choice(tuple(nodes))

    def _sequence(self) -> Node:
        nodes: list[Node] = []
        while not self.is_over() and self.peek() not in "|)":
            nodes.append(self._counted(self._atom()))
        return nodes[0] if len(nodes) == 1 else Sequence(tuple(nodes))

    def _atom(self) -> Node:
        character = self.take()
        if character in "^$":
            return Edge(start=character == "^")
        if character == "(":
            return self._group()
        if character == "[":
            return Chars(self._class())
        if character == "\\":
            return self._escape()
        if character in "*+?":
            raise UnfitPatternError(f"nothing to repeat at {self.at}")
        return Chars(_ANY_CHARACTER if character == "." else _points(character))

    def _group(self) -> Node:
        if self.skip("?") and not self.skip(":"):
            # Named groups match like plain ones.
            named = self.skip("P<") or (self.skip("<") and self.peek() not in ("=", "!"))
            if not named:
                raise UnfitPatternError("a lookaround or a flag")
            while self.take() != ">":
                pass
        self.depth += 1
        if self.depth > _MAX_GROUPS:
            raise UnfitPatternError(f"groups nested deeper than {_MAX_GROUPS}")
        node = self.choice()
        if not self.skip(")"):
            raise UnfitPatternError("a group without its end")
        self.depth -= 1
        return node

    def _escape(self) -> Node:
        character = self.peek()
        if character == "A" or (character and character in "Zz"):
            self.at += 1
            return Edge(start=character == "A")
        return Chars(self._escaped())

    def _escaped(self) -> Ranges:
        character = self.take()
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _CONTROLS:
            return _points(_CONTROLS[character])
        if character in _HEX_LENGTHS:
            return self._code(_HEX_LENGTHS[character])
        if character.isalnum():
            raise UnfitPatternError(f"\\{character}")
        return _points(character)

    def _code(self, length: int) -> Ranges:
        if self.skip("{"):
            end = self.text.find("}", self.at)
            digits = self.text[self.at : end] if end >= 0 else ""
            self.at += len(digits) + 1
        else:
            digits = self.text[self.at : self.at + length]
            self.at += length
        try:
            code = int(digits, 16)
        except ValueError:
            raise UnfitPatternError("an escape without its digits") from None
        # No character has a larger code, so the class is empty.
        return ((code, code),) if code <= _TOP else ()

    def _class(self) -> Ranges:
        negated = self.skip("^")
        # For some regex engines this bracket ends the class, for others it is a member.
        if self.peek() == "]":
            raise UnfitPatternError("a class that begins with a bracket")
        found: list[tuple[int, int]] = []
        while not self.skip("]"):
            found += self._member()
        ranges = joined_ranges(found)
        return without(_ALL, ranges) if negated else ranges

    def _member(self) -> Ranges:
        low = self._single()
        following = self.text[self.at + 1 : self.at + 2]
        if self.peek() != "-" or following in ("]", "") or len(low) != 1 or low[0][0] != low[0][1]:
            return low
        self.at += 1
        high = self._single()
        if len(high) != 1 or high[0][0] != high[0][1] or high[0][0] < low[0][0]:
            raise UnfitPatternError("a range without its end")
        return ((low[0][0], high[0][0]),)

    def _single(self) -> Ranges:
        character = self.take()
        # Some regex engines support nested classes, others read these literally.
        if character == "[" or (character == "&" and self.peek() == "&"):
            raise UnfitPatternError("a class in a class")
        return self._escaped() if character == "\\" else _points(character)

    def _counted(self, node: Node) -> Node:
        counts = self._counts()
        if counts is None:
            return node
        if isinstance(node, Edge):
            raise UnfitPatternError("a counted anchor")
        self.skip("?")
        if self.peek() in ("+", "*") or (self.peek() == "{" and self._counts() is not None):
            raise UnfitPatternError("a count of a count")
        low, high = counts
        if high is not None and high < low:
            raise UnfitPatternError("a count that ends before it begins")
        return Repeat(node, low, high)

    def _counts(self) -> tuple[int, int | None] | None:
        for sign, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.skip(sign):
                return counts
        end = self.text.find("}", self.at)
        if self.peek() != "{" or end < 0:
            return None
        low, comma, high = self.text[self.at + 1 : end].partition(",")
        if not low.isdecimal() or (high and not high.isdecimal()):
            # Some regex engines read a brace without numbers literally, others refuse it.
            raise UnfitPatternError("a brace without a count")
        self.at = end + 1
        return int(low), (int(high) if high else None if comma else int(low))


def fit_tree(pattern: str) -> Node:
    """Return the tree of an anchored pattern whose characters need no escape in JSON.

    Every text it matches is also matched by the original pattern.

    Raises:
        UnfitPatternError: see parse_pattern; also if a quote or control character is required.
    """
    return _fit(_whole(parse_pattern(pattern)))


def _whole(node: Node) -> Node:
    """Return a tree without anchors; a missing anchor becomes "any text"."""
    if isinstance(node, Choice):
        return Choice(tuple(_whole(one) for one in node.nodes))
    nodes = list(node.nodes) if isinstance(node, Sequence) else [node]
    anything = Repeat(Chars(_ANY_CHARACTER), 0, None)
    before: list[Node] = [anything]
    after: list[Node] = [anything]
    while nodes and nodes[0] == Edge(start=True):
        # Anchored: nothing may come before. Repeated anchors count once.
        before = [nodes.pop(0)][:0]
    while nodes and nodes[-1] == Edge(start=False):
        after = [nodes.pop()][:0]
    # The branches may have anchors of their own.
    if before and after and len(nodes) == 1 and isinstance(nodes[0], Choice):
        return _whole(nodes[0])
    return Sequence((*before, *nodes, *after))


def _fit(node: Node) -> Node:
    if isinstance(node, Edge):
        raise UnfitPatternError("an anchor inside of it")
    if isinstance(node, Chars):
        ranges = without(node.ranges, _UNFIT)
        if not ranges:
            raise UnfitPatternError("a character that JSON writes as an escape")
        return Chars(ranges)
    if isinstance(node, Repeat):
        return Repeat(_fit(node.node), node.low, node.high)
    return type(node)(tuple(_fit(one) for one in node.nodes))


def count_sum(node: Node) -> int:
    """Return the sum of all repeat counts in a tree."""
    if isinstance(node, Chars | Edge):
        return 0
    if isinstance(node, Repeat):
        # The engine writes a node out as often as it is counted, so the counts add up.
        return (node.low if node.high is None else node.high) + count_sum(node.node)
    return sum(count_sum(one) for one in node.nodes)


def write_pattern(node: Node) -> str:
    """Return a tree as a pattern from ``^`` to ``$`` that all engines read alike."""
    return f"^{_written(node, alone=False)}$"


def _written(node: Node, *, alone: bool) -> str:
    """Return the text of a node; ``alone`` if a quantifier follows it."""
    if isinstance(node, Chars):
        return _written_class(node.ranges, alone=alone)
    if isinstance(node, Repeat):
        text = _written(node.node, alone=True) + _written_count(node.low, node.high)
        return f"({text})" if alone else text
    if isinstance(node, Choice):
        return f"({'|'.join(_written(one, alone=False) for one in node.nodes)})"
    assert isinstance(node, Sequence)
    text = "".join(_written(one, alone=False) for one in node.nodes)
    return f"({text})" if alone else text


def _written_count(low: int, high: int | None) -> str:
    short = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((low, high))
    if short is not None:
        return short
    return f"{{{low}}}" if low == high else f"{{{low},{'' if high is None else high}}}"


def _written_class(ranges: Ranges, *, alone: bool) -> str:
    single = chr(ranges[0][0]) if len(ranges) == 1 and ranges[0][0] == ranges[0][1] else ""
    # The engine repeats the whole literal before a quantifier, so use a class there.
    if single.isascii() and single and not alone and (single.isalnum() or single in " -_/:@,#=%"):
        return single
    # Negated classes reach to the last character: written negated again, they are short.
    if ranges[-1][1] < _TOP:
        return f"[{_members(ranges)}]"
    return f"[^{_members(without(without(_ALL, ranges), ((0xD800, 0xDFFF),)))}]"


def _members(ranges: Ranges) -> str:
    # Not every version of the engine supports an escaped "-", so put it last.
    dash = ((0x2D, 0x2D),)
    members = [
        _member_text(low) if low == high else f"{_member_text(low)}-{_member_text(high)}"
        for low, high in without(ranges, dash)
    ]
    return "".join([*members, "-"] if without(dash, ranges) == () else members)


def _member_text(code: int) -> str:
    character = chr(code)
    if character in "[]\\":
        return f"\\{character}"
    return f"\\x{code:02X}" if code < 0x20 or code == 0x7F or character == "^" else character
