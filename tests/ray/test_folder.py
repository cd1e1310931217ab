"""The folder of a run: what has an answer there is not asked again."""

from pathlib import Path

import pytest

pytest.importorskip("ray", reason='no Ray: pip install -e ".[test-ray]"')

import pyarrow as pa
import pyarrow.parquet as pq

from ollama_ext.ray._folder import ANSWERED, FAILED, Folder, absolute, without


def rows_of(*keys: int) -> pa.Table:
    return pa.table({"id": list(keys), "text": [f"text {key}" for key in keys]})


def written(folder: Folder) -> dict[str, list[int]]:
    return {
        kind: sorted(
            key
            for path in folder.files(kind)
            for key in pq.read_table(path, filesystem=folder.system)["id"].to_pylist()
        )
        for kind in (ANSWERED, FAILED)
    }


@pytest.fixture(params=["path", "address", "relative"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Folder:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "done"
    return Folder(
        {"path": str(path), "address": path.as_uri(), "relative": absolute("done")}[request.param],
        "id",
    )


def test_a_folder_that_is_not_there_is_empty(folder: Folder) -> None:
    """A first run asks for every row."""
    assert folder.keys() is None
    folder.forget_failures()
    assert written(folder) == {ANSWERED: [], FAILED: []}


def test_answered_rows_are_known_and_failed_ones_are_not(folder: Folder) -> None:
    """A later run asks for those that failed, and for new ones."""
    folder.write(rows_of(1, 2, 3), [False, True, False])
    folder.write(rows_of(4, 5), [False, False])
    assert written(folder) == {ANSWERED: [1, 3, 4, 5], FAILED: [2]}
    assert without(rows_of(1, 2, 5, 6), "id", folder.keys())["id"].to_pylist() == [2, 6]
    folder.forget_failures()
    assert written(folder) == {ANSWERED: [1, 3, 4, 5], FAILED: []}


def test_a_batch_that_is_written_twice_replaces_itself(folder: Folder) -> None:
    """Ray repeats a batch when its worker dies after writing."""
    folder.write(rows_of(1, 2), [False, True])
    folder.write(rows_of(1, 2), [False, False])
    assert written(folder) == {ANSWERED: [1, 2], FAILED: []}
    folder.write(rows_of(1, 2), [False, False])
    assert written(folder) == {ANSWERED: [1, 2], FAILED: []}


def test_a_file_that_was_being_written_is_no_answer(folder: Folder) -> None:
    """A run that is killed leaves half a file, which no later run reads."""
    folder.write(rows_of(1), [False])
    (path,) = folder.files(ANSWERED)
    Path(path).with_name(f".{ANSWERED}-half.parquet").write_bytes(b"PAR1 half")
    assert folder.keys().to_pylist() == [1]
    assert pq.read_table(str(Path(path).parent))["id"].to_pylist() == [1]


def test_other_files_of_the_folder_are_left_alone(folder: Folder) -> None:
    """A note beside the answers is neither read nor deleted."""
    folder.write(rows_of(1), [True])
    note = Path(folder.files(FAILED)[0]).parent / "failed-notes.txt"
    note.write_text("ask again")
    folder.forget_failures()
    assert note.exists()
    assert folder.files(ANSWERED, FAILED) == []


def test_keys_of_another_width_are_the_same(folder: Folder) -> None:
    """A later run may read its keys from another kind of file."""
    folder.write(rows_of(1, 2), [False, False])
    table = pa.table({"id": pa.array([1, 3], pa.int32())})
    assert without(table, "id", folder.keys())["id"].to_pylist() == [3]
