"""Read text files and split them into passages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ollama_transport.errors import ConfigError

# About 250 tokens of English, which fit into the context of the smallest embedding models.
PASSAGE_CHARACTERS = 1000
ENDINGS = (".md", ".txt")


@dataclass(frozen=True)
class Passage:
    """A piece of a file: its index, counted from 0, and its text."""

    file: str
    place: int
    text: str


def read_text(file: Path) -> str:
    """Return the text of a file in UTF-8.

    Raises:
        ConfigError: for a file that is not text, or cannot be read.
    """
    try:
        # Editors on Windows begin files with a byte order mark.
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not text in UTF-8.") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error
    # UTF-16 and binary files may decode, but no text has a null byte.
    if "\0" in text:
        raise ConfigError(f"{file} is not text: it contains null bytes.")
    return text


def read_passages(file: Path, length: int = PASSAGE_CHARACTERS) -> list[Passage]:
    """Return the passages of a text file, each at most ``length`` characters long.

    Raises:
        ConfigError: for a file that is not text, or cannot be read.
    """
    texts = split_text(read_text(file), length)
    return [Passage(str(file), place, text) for place, text in enumerate(texts)]


def split_text(text: str, length: int) -> Iterator[str]:
    """Yield paragraphs joined up to ``length`` characters; a longer one is cut between words."""
    gathered = ""
    for paragraph in text.split("\n\n"):
        for piece in _cut(paragraph.strip(), length):
            if gathered and len(gathered) + 2 + len(piece) > length:
                yield gathered
                gathered = ""
            gathered = f"{gathered}\n\n{piece}" if gathered else piece
    if gathered:
        yield gathered


def _cut(text: str, length: int) -> Iterator[str]:
    while len(text) > length:
        # Without spaces, as in Chinese, any place is as good.
        end = max(text.rfind(" ", 0, length + 1), text.rfind("\n", 0, length + 1))
        end = end if end > 0 else length
        yield text[:end].rstrip()
        text = text[end:].lstrip()
    if text:
        yield text


def text_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files, with each folder replaced by its .md and .txt files.

    Raises:
        ConfigError: for a folder without any.
    """
    return [file for path in paths for file in _files(path)]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix in ENDINGS and file.is_file())
    if not found:
        raise ConfigError(f"{path} contains no {' or '.join(ENDINGS)} files.")
    return found
