"""Files of vectors: a line of JSON for each passage, gathered beside a Parquet file."""

import importlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ollama_ext.cli._passages import Passage
from ollama_transport.errors import ConfigError

ENDINGS = (".jsonl", ".parquet")
_ROWS_AT_ONCE = 1000
_KEYS = frozenset({"file", "passage", "text", "model", "vector"})


@dataclass(frozen=True)
class VectorFile:
    """The output file, and the JSON lines it is made from.

    A Parquet file cannot be appended to: its lines are collected in a file beside it until the run
    is complete.
    """

    path: Path

    def __post_init__(self) -> None:
        if self.path.suffix not in ENDINGS:
            raise ConfigError(f"--out {self.path}: end it in {' or '.join(ENDINGS)}.")

    @property
    def is_parquet(self) -> bool:
        """Return whether the lines become a Parquet file at the end."""
        return self.path.suffix == ".parquet"

    @property
    def lines(self) -> Path:
        """Return the file of lines."""
        return self.path.with_name(self.path.name + ".part") if self.is_parquet else self.path

    def begin(self) -> None:
        """Check that the file can be written, before the server is called.

        Raises:
            ConfigError: if it cannot.
        """
        # Fail now, not after hours of embedding.
        if self.is_parquet:
            need_pyarrow()
        try:
            # Convert a finished file back to lines, so that it can be extended.
            if self.is_parquet and self.path.exists() and not self.lines.exists():
                _write_whole(self.lines, _read_parquet(self.path))
            with self.lines.open("a"):
                pass
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {error.strerror}.") from error

    def resume(self, passages: list[Passage], model: str) -> tuple[list[Passage], int | None]:
        """Return the passages that have no vector yet, and the size of the vectors that are there.

        A line cut off by an interruption, and outdated passages of the same files, are removed.

        Raises:
            ConfigError: when the file has other content, or vectors of another model.
        """
        wanted, files = set(passages), {passage.file for passage in passages}
        done: set[Passage] = set()
        length = None
        stale = False
        for row in self._rows():
            if row is None:
                stale = True
                continue
            self._check_model(row, model)
            length = len(row["vector"])
            done.add(passage := _passage(row))
            stale = stale or (passage.file in files and passage not in wanted)
        if stale:
            self._drop_stale(wanted, files)
        return [passage for passage in passages if passage not in done], length

    def _check_model(self, row: dict[str, Any], model: str) -> None:
        # Vectors of two models cannot be compared; a name without a tag means ":latest".
        if row["model"].removesuffix(":latest") != model.removesuffix(":latest"):
            raise ConfigError(
                f"{self.path} contains vectors of {row['model']}, not of {model}: "
                "give another --out or --model."
            )

    def _drop_stale(self, wanted: set[Passage], files: set[str]) -> None:
        rows = (row for row in self._rows() if row is not None)
        kept = (row for row in rows if row["file"] not in files or _passage(row) in wanted)
        _write_whole(self.lines, kept)

    def _rows(self) -> Iterator[dict[str, Any] | None]:
        """Yield the rows; None for a last line that was cut off."""
        with self.lines.open(encoding="utf-8") as file:
            for line in file:
                row = None
                with suppress(ValueError):
                    row = json.loads(line)
                # Only the last line can lack its end; damage elsewhere is another kind of file.
                if row is None and not line.endswith("\n"):
                    yield None
                elif not (isinstance(row, dict) and row.keys() >= _KEYS):
                    raise ConfigError(
                        f"{self.path} contains something other than vectors: give another --out."
                    )
                else:
                    yield row

    def finish(self) -> None:
        """Convert the lines to Parquet, if that is the requested format."""
        if not self.is_parquet:
            return
        whole = self.path.with_name(self.path.name + ".new")
        _write_parquet(whole, (row for row in self._rows() if row is not None))
        os.replace(whole, self.path)
        self.lines.unlink()


def to_line(passage: Passage, model: str, vector: list[float]) -> str:
    """Return the line of a passage."""
    row = {
        "file": passage.file,
        "passage": passage.place,
        "text": passage.text,
        "model": model,
        "vector": vector,
    }
    return json.dumps(row) + "\n"


def _passage(row: dict[str, Any]) -> Passage:
    return Passage(row["file"], row["passage"], row["text"])


def _write_whole(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Rewrite a file of lines so that an interruption leaves either the old or the new file."""
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    os.replace(new, path)


def need_pyarrow() -> None:
    """Raise ConfigError where pyarrow is missing."""
    try:
        importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Parquet needs pyarrow: `pip install pyarrow`, or write .jsonl."
        ) from error


def _read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    # pyarrow has no types and is wanted for this one format.
    parquet = importlib.import_module("pyarrow.parquet")
    pyarrow = importlib.import_module("pyarrow")
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                yield from batch.to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise ConfigError(f"{path} is not a Parquet file: give another --out.") from error


def _write_parquet(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    pyarrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    # Named, so that a file of no rows has its columns as well.
    schema = pyarrow.schema(
        [
            ("file", pyarrow.string()),
            ("passage", pyarrow.int64()),
            ("text", pyarrow.string()),
            ("model", pyarrow.string()),
            # What servers send are float32 values; wider ones would double the file.
            ("vector", pyarrow.list_(pyarrow.float32())),
        ]
    )
    with parquet.ParquetWriter(path, schema) as writer:
        while group := list(islice(rows, _ROWS_AT_ONCE)):
            writer.write_table(pyarrow.Table.from_pylist(group, schema))
