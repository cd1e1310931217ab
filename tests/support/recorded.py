"""The recordings of a real server, as values."""

import base64
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "recordings"


@dataclass(frozen=True)
class Recording:
    """One exchange: what was asked, and the bytes that came back in their HTTP chunks."""

    name: str
    method: str
    path: str
    body: Any
    status: int
    headers: Mapping[str, str]
    chunks: tuple[bytes, ...]

    @property
    def data(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def is_stream(self) -> bool:
        kind = self.headers.get("content-type", "")
        return "ndjson" in kind or "event-stream" in kind

    @property
    def objects(self) -> list[Any]:
        """Return the JSON of each line."""
        return [json.loads(line) for line in self.data.split(b"\n") if line.strip()]


@functools.cache
def recording(name: str) -> Recording:
    """Return a recording by its path below tests/recordings, without .json."""
    found = json.loads((FOLDER / f"{name}.json").read_bytes())
    asked, answered = found["request"], found["response"]
    return Recording(
        name=name,
        method=asked["method"],
        path=asked["path"],
        body=asked.get("body"),
        status=answered["status"],
        headers={name.lower(): value for name, value in answered["headers"].items()},
        chunks=tuple(_bytes(chunk) for chunk in answered["chunks"]),
    )


def all_names() -> list[str]:
    """Return the name of every recording on disk, but for those of grammars.

    The schemas of those are not what the client sends any more: tests.schema has them.
    """
    paths = (path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.json"))
    return sorted(name for name in paths if not name.startswith("grammars/"))


def grammar_names() -> list[str]:
    """Return the names of the recordings of schemas, without their folder."""
    return sorted(path.stem for path in (FOLDER / "grammars").glob("*.json"))


def grammar_schema(name: str) -> dict[str, Any]:
    """Return the schema that a recording of a grammar asked for, on either wire."""
    body = recording(f"grammars/{name}").body
    schema = (
        body["format"] if "format" in body else body["response_format"]["json_schema"]["schema"]
    )
    return dict(schema)


def _bytes(chunk: Mapping[str, str]) -> bytes:
    return chunk["text"].encode() if "text" in chunk else base64.b64decode(chunk["base64"])
