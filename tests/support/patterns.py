"""Every regular expression of a package, and texts that are hostile to each."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Python's own parser of patterns; there is no public one.
_parser: Any = importlib.import_module("re._parser")
_op: Any = importlib.import_module("re._constants")

_REPEATS = (_op.MAX_REPEAT, _op.MIN_REPEAT, _op.POSSESSIVE_REPEAT)
_CATEGORIES = {
    _op.CATEGORY_DIGIT: r"\d",
    _op.CATEGORY_NOT_DIGIT: r"\D",
    _op.CATEGORY_SPACE: r"\s",
    _op.CATEGORY_NOT_SPACE: r"\S",
    _op.CATEGORY_WORD: r"\w",
    _op.CATEGORY_NOT_WORD: r"\W",
}
_CHARACTERS = "a1 -\n" + "".join(map(chr, range(33, 127)))
_LONG_REPEAT = 1000
"""A repeat that may go so far is one without bounds."""

Pattern = re.Pattern[Any]


def patterns_of(*packages: str) -> dict[str, Pattern]:
    """Return the patterns of all modules of these packages, by the place that holds them."""
    found: dict[Pattern, str] = {}
    for name in _module_names(packages):
        module = importlib.import_module(name)
        for label, value in vars(module).items():
            for pattern in _compiled(value):
                found.setdefault(pattern, f"{name}.{label}")
        for line, pattern in _written(Path(str(module.__file__)).read_text()):
            found.setdefault(pattern, f"{name}:{line}")
    return {f"{place} {pattern.pattern!r:.60}": pattern for pattern, place in found.items()}


def _module_names(packages: tuple[str, ...]) -> Iterator[str]:
    for package in packages:
        yield package
        inside = importlib.import_module(package).__path__
        # Ray is an extra that few have; a package without it is not imported.
        left_out = () if find_spec("ray") else ("ollama_ext.ray",)
        for found in pkgutil.walk_packages(inside, f"{package}.", onerror=lambda _: None):
            if not found.name.endswith("__main__") and not found.name.startswith(left_out):
                yield found.name


def _compiled(value: object) -> Iterator[Pattern]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from _compiled([*value, *value.values()])
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from _compiled(item)


def _written(source: str) -> Iterator[tuple[int, Pattern]]:
    """Yield the patterns that stand in calls such as re.search("…", text)."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re.")):
            continue
        text = _constant(node.args[0]) if node.args else None
        if text is not None and ast.unparse(node.func) != "re.escape":
            names = {ast.unparse(part).partition(".")[2] for part in ast.walk(node)}
            flags = re.NOFLAG
            for flag in re.RegexFlag:
                flags |= flag if flag.name in names else re.NOFLAG
            yield node.lineno, re.compile(text, flags)


def _constant(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "name" for part in node.values)
        return "".join(map(str, parts))
    return None


def hostile_texts(pattern: Pattern, length: int) -> Iterator[Any]:
    """Yield texts of about a length, made to be nearly found by a pattern over and over.

    Each begins like a match and repeats a beginning of it, or what one of its repeats takes.
    """
    for lead, unit in sorted(set(_attacks(list(_tree(pattern)), ""))):
        for end in ("", "\0"):
            text = lead + unit * (length // len(unit)) + end
            yield text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text


def _tree(pattern: Pattern) -> Any:
    return _parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)


def _attacks(items: list[Any], before: str) -> Iterator[tuple[str, str]]:
    for item in items:
        kind, argument = item
        if kind in _REPEATS:
            if argument[1] >= _LONG_REPEAT:
                for unit in ("a", "1", " ", "\n", "-", _sample(argument[2])):
                    yield from _around(before, unit)
            yield from _attacks(list(argument[2]), before)
        for part in _parts(item):
            yield from _attacks(list(part), before)
        before += _sample([item])
        yield from _around(before, "")


def _around(before: str, unit: str) -> Iterator[tuple[str, str]]:
    yield from ((lead, body) for lead, body in ((before, unit), ("", before + unit)) if body)


def _parts(item: Any) -> list[Any]:
    kind, argument = item
    if kind is _op.SUBPATTERN:
        return [argument[3]]
    if kind is _op.ATOMIC_GROUP:
        return [argument]
    return list(argument[1]) if kind is _op.BRANCH else []


def _sample(items: Any) -> str:
    """Return a short text that the parts of a pattern match, as far as that is easy to tell."""
    return "".join(_sample_of(item) for item in items)


def _sample_of(item: Any) -> str:
    kind, argument = item
    if kind is _op.LITERAL:
        return chr(argument)
    if kind in (_op.ANY, _op.NOT_LITERAL):
        return "b" if argument == ord("a") else "a"
    if kind is _op.IN:
        return next((text for text in _CHARACTERS if _is_in(argument, text)), "a")
    if kind in _REPEATS:
        return _sample(argument[2]) * (argument[0] if argument[0] or argument[1] == 1 else 1)
    parts = _parts(item)
    return _sample(parts[0]) if parts else ""


def _is_in(members: Any, text: str) -> bool:
    inverted = any(kind is _op.NEGATE for kind, _ in members)
    return inverted != any(_is(kind, argument, text) for kind, argument in members)


def _is(kind: Any, argument: Any, text: str) -> bool:
    if kind is _op.LITERAL:
        return bool(ord(text) == argument)
    if kind is _op.RANGE:
        return bool(argument[0] <= ord(text) <= argument[1])
    return kind is _op.CATEGORY and re.match(_CATEGORIES[argument], text) is not None
