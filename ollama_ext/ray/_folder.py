"""The answers of a run on disk: rows that are there are not sent again."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.fs as pafs
import pyarrow.parquet as pq

ANSWERED, FAILED = "answered", "failed"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of Parquet files: ``answered-….parquet`` for good, ``failed-….parquet`` until later.

    ``key`` is the column that identifies a row. Files appear whole or not at all.
    """

    place: str
    key: str

    def files(self, *kinds: str) -> list[str]:
        """Return the paths of the files of some kinds, in the terms of `system`."""
        system, folder = self._opened()
        found = system.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
        return sorted(
            info.path
            for info in found
            if info.base_name.startswith(tuple(f"{kind}-" for kind in kinds))
            and info.base_name.endswith(".parquet")
        )

    @property
    def system(self) -> Any:
        """Return the file system of the folder."""
        return self._opened()[0]

    def keys(self) -> Any:
        """Return the keys of all rows that have an answer, as an Arrow array; None without one."""
        files = self.files(ANSWERED)
        if not files:
            return None
        dataset = pads.dataset(files, format="parquet", filesystem=self.system)
        return dataset.to_table(columns=[self.key])[self.key].combine_chunks()

    def forget_failures(self) -> None:
        """Delete the rows that failed in earlier runs: they are asked again."""
        system = self.system
        for path in self.files(FAILED):
            system.delete_file(path)

    def write(self, table: Any, failed: Sequence[bool]) -> None:
        """Write a batch: its answered rows into one file, its failed ones into another."""
        system, folder = self._opened()
        system.create_dir(folder, recursive=True)
        mask = pa.array(failed, pa.bool_())
        # Named by its rows: a batch that Ray repeats replaces its own files.
        name = hashlib.blake2b(repr(table[self.key].to_pylist()).encode(), digest_size=16)
        for kind, rows in ((ANSWERED, table.filter(pc.invert(mask))), (FAILED, table.filter(mask))):
            file = f"{kind}-{name.hexdigest()}.parquet"
            path = f"{folder}/{file}"
            if rows.num_rows:
                # Readers of Parquet folders pass over names with a dot.
                pq.write_table(rows, f"{folder}/.{file}", filesystem=system)
                system.move(f"{folder}/.{file}", path)
            elif kind == FAILED and system.get_file_info(path).type != pafs.FileType.NotFound:
                system.delete_file(path)

    def _opened(self) -> tuple[Any, str]:
        system, folder = pafs.FileSystem.from_uri(self.place)
        return system, folder.rstrip("/")


def absolute(place: str) -> str:
    """Return a place that means the same in every process: an address, or an absolute path."""
    return place if "://" in place else os.path.abspath(place)


def without(table: Any, key: str, known: Any) -> Any:
    """Return the rows of a table whose key is not among the known ones."""
    # The stored key may have another Arrow type than the dataset's, such as large_string.
    return table.filter(pc.invert(pc.is_in(table[key], value_set=known.cast(table[key].type))))
