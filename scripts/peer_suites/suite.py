"""A peer's suite: where it comes from, how it meets ours, and what is expected to differ."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


def _unchanged(_name: str, text: str) -> str:
    return text


@dataclass(frozen=True)
class Suite:
    """One peer's test suite.

    Attributes:
        requirement: The peer's source distribution, as pip names it.
        tests: Its test files or folders, relative to the distribution's folder.
        plugin: The module of this package that puts ours in the peer's place before a test is
            imported; its fixtures and hooks are pytest's.
        differs: What is meant to differ: by the end of a test's id, the words that the reason's row
            of docs/guides/migrating.md begins with.
        arguments: Further arguments for pytest.
        published: False where the distribution has no tests, and a checkout's folder is given.
        rewrite: What is changed in a test file's text before it is run, given its name and text.
    """

    requirement: str
    tests: Sequence[str]
    plugin: str
    differs: Mapping[str, str]
    arguments: Sequence[str] = ()
    published: bool = True
    rewrite: Callable[[str, str], str] = _unchanged
