"""Turning files into vectors."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from recorded import recording
from terminals import Ext, Opens

from ollama_ext.cli._passages import split_text
from ollama_ext.embedded import EmbeddedModel, EmbeddedOllama, Reply

TEXTS = {
    "tea.md": "Green tea.\n\n" + "Oolong " * 150 + "\n\nBlack tea.",
    "tides.txt": "The moon pulls at the sea.",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with two texts."""
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _asked(server: EmbeddedOllama) -> list[str]:
    return [text for r in server.requests if r.path == "/api/embed" for text in r.json["input"]]


def test_a_line_for_each_passage(ext: Ext, server: EmbeddedOllama, folder: Path) -> None:
    """Each passage of each file becomes a line with its place, its text, model and vector."""
    found = ext("embed", "tea.md", "tides.txt", "--out", "v.jsonl", host=server.url)
    rows = _rows(folder / "v.jsonl")
    assert (found.code, found.err) == (0, "")
    assert found.out == f"{len(rows)} vectors of 256 by demo-embed:latest are in v.jsonl\n"
    assert [(row["file"], row["passage"]) for row in rows] == [
        ("tea.md", 0),
        ("tea.md", 1),
        ("tea.md", 2),
        ("tides.txt", 0),
    ]
    assert rows[-1]["text"] == TEXTS["tides.txt"]
    assert {row["model"] for row in rows} == {"demo-embed:latest"}
    assert all(math.isclose(math.hypot(*row["vector"]), 1, rel_tol=1e-4) for row in rows)


def test_vectors_belong_to_their_texts(ext: Ext, server: EmbeddedOllama, folder: Path) -> None:
    """Each vector is the one that the server makes of that very text."""
    ext("embed", "tea.md", "--out", "v.jsonl", "--batch", "2", host=server.url)
    ext("embed", "tea.md", "--out", "w.jsonl", "--batch", "1", host=server.url)
    assert _rows(folder / "v.jsonl") == _rows(folder / "w.jsonl")


def test_batches(ext: Ext, server: EmbeddedOllama, folder: Path) -> None:
    """--batch is the most passages of one request."""
    ext("embed", "tea.md", "tides.txt", "-o", "v.jsonl", "--batch", "3", host=server.url)
    sizes = [len(r.json["input"]) for r in server.requests if r.path == "/api/embed"]
    assert sizes == [3, 1]


def test_dimensions(ext: Ext, server: EmbeddedOllama, folder: Path) -> None:
    """--dimensions cuts the vectors."""
    ext("embed", "tides.txt", "-o", "v.jsonl", "--dimensions", "8", host=server.url)
    assert len(_rows(folder / "v.jsonl")[0]["vector"]) == 8


def test_json_output_lists_the_embeddings(ext: Ext, server: EmbeddedOllama, folder: Path) -> None:
    """--json writes what was made, and of what, as one object."""
    found = ext("embed", "tides.txt", "-o", "v.jsonl", "--json", host=server.url)
    told = json.loads(found.out)
    assert (told["passages"], told["there"], told["made"]) == (1, 0, 1)
    assert (told["dimensions"], told["out"]) == (256, "v.jsonl")
    assert told["model"] == "demo-embed:latest"
    assert told["prompt_tokens"] > 0


def test_second_run_asks_nothing(ext: Ext, server: EmbeddedOllama, folder: Path) -> None:
    """What is there already is not made again, under either spelling of the model's name."""
    ext("embed", "tea.md", "-o", "v.jsonl", host=server.url)
    before, asked = (folder / "v.jsonl").read_bytes(), len(_asked(server))
    found = ext("embed", "tea.md", "-o", "v.jsonl", "--model", "demo-embed", host=server.url)
    assert found.code == 0
    assert "3 of 3 passages are there already" in found.err
    assert len(_asked(server)) == asked
    assert (folder / "v.jsonl").read_bytes() == before


def test_broken_run_goes_on(ext: Ext, server: EmbeddedOllama, folder: Path) -> None:
    """After a failure the next run makes what is missing, and that alone."""
    whole = ("embed", "tea.md", "tides.txt", "--batch", "1")
    ext(*whole, "-o", "whole.jsonl", host=server.url)
    server.reset()
    server.script("POST", "/api/embed", Reply.json({"embeddings": [[0.5] * 256]}))
    server.script("POST", "/api/embed", Reply.error(500, "out of memory"))
    found = ext(*whole, "-o", "v.jsonl", host=server.url)
    assert (found.code, found.out) == (1, "")
    assert "1 of 4 vectors are kept; run the same command to resume" in found.err
    asked = len(_asked(server))
    found = ext(*whole, "-o", "v.jsonl", host=server.url)
    assert found.code == 0
    assert len(_asked(server)) == asked + 3
    assert _rows(folder / "v.jsonl")[1:] == _rows(folder / "whole.jsonl")[1:]


def test_line_that_was_cut_off_is_made_again(
    ext: Ext, server: EmbeddedOllama, folder: Path
) -> None:
    """A last line that an interruption cut in two is replaced, not kept."""
    ext("embed", "tea.md", "-o", "v.jsonl", host=server.url)
    whole = (folder / "v.jsonl").read_bytes()
    (folder / "v.jsonl").write_bytes(whole[:-100])
    found = ext("embed", "tea.md", "-o", "v.jsonl", host=server.url)
    assert found.code == 0
    assert "2 of 3" in found.err
    assert (folder / "v.jsonl").read_bytes() == whole


def test_text_that_changed_replaces_the_old_one(
    ext: Ext, server: EmbeddedOllama, folder: Path
) -> None:
    """A file that was edited has its new passages alone; other files keep theirs."""
    ext("embed", "tea.md", "-o", "v.jsonl", host=server.url)
    ext("embed", "tides.txt", "-o", "v.jsonl", host=server.url)
    (folder / "tea.md").write_text("No tea any more.")
    ext("embed", "tea.md", "-o", "v.jsonl", host=server.url)
    assert [(row["file"], row["text"]) for row in _rows(folder / "v.jsonl")] == [
        ("tides.txt", TEXTS["tides.txt"]),
        ("tea.md", "No tea any more."),
    ]


def test_vectors_of_two_models_do_not_mix(ext: Ext, folder: Path) -> None:
    """A file of one model's vectors takes none of another's, even if they are of one size."""
    with EmbeddedOllama([EmbeddedModel("other", ("embedding",))]) as server:
        ext("embed", "tides.txt", "-o", "v.jsonl", "--model", "demo-embed", host=server.url)
        before, asked = (folder / "v.jsonl").read_bytes(), _asked(server)
        found = ext("embed", "tea.md", "-o", "v.jsonl", "--model", "other", host=server.url)
        assert found.code == 2
        assert "contains vectors of demo-embed, not of" in found.err
        assert _asked(server) == asked
    assert (folder / "v.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("first", "second"), [([], ["--dimensions", "8"]), (["--dimensions", "8"], [])]
)
def test_vectors_of_two_sizes_do_not_mix(
    ext: Ext, server: EmbeddedOllama, folder: Path, first: list[str], second: list[str]
) -> None:
    """A file of vectors of one size takes none of another; what is known is told unasked."""
    ext("embed", "tides.txt", "-o", "v.jsonl", *first, host=server.url)
    before, asked = (folder / "v.jsonl").read_bytes(), _asked(server)
    found = ext("embed", "tea.md", "-o", "v.jsonl", *second, host=server.url)
    assert found.code == 2
    assert "contains vectors of" in found.err
    assert (folder / "v.jsonl").read_bytes() == before
    assert not second or _asked(server) == asked


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_other_files_are_not_overwritten(
    ext: Ext, server: EmbeddedOllama, folder: Path, suffix: str
) -> None:
    """A file that holds other things stays as it is."""
    _need_pyarrow(suffix)
    (folder / f"mine.{suffix}").write_text('{"my": "notes"}\n')
    found = ext("embed", "tea.md", "-o", f"mine.{suffix}", host=server.url)
    assert found.code == 2
    assert "give another --out" in found.err
    assert (folder / f"mine.{suffix}").read_text() == '{"my": "notes"}\n'


def _need_pyarrow(suffix: str = "parquet") -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet is written by pyarrow, which is optional")


def test_parquet(ext: Ext, server: EmbeddedOllama, folder: Path) -> None:
    """A Parquet file has the same rows as the lines, and nothing is left beside it."""
    _need_pyarrow()
    from pyarrow import parquet

    ext("embed", "tea.md", "-o", "v.jsonl", host=server.url)
    found = ext("embed", "tea.md", "-o", "v.parquet", "--batch", "1", host=server.url)
    assert found.code == 0
    rows = parquet.read_table(folder / "v.parquet").to_pylist()
    for row, line in zip(rows, _rows(folder / "v.jsonl"), strict=True):
        assert row["vector"] == pytest.approx(line["vector"], abs=1e-7)
        assert {**row, "vector": 0} == {**line, "vector": 0}
    assert sorted(path.name for path in folder.iterdir()) == [
        "tea.md", "tides.txt", "v.jsonl", "v.parquet",
    ]  # fmt: skip


def test_parquet_goes_on_and_grows(ext: Ext, server: EmbeddedOllama, folder: Path) -> None:
    """A Parquet file goes on after a break, and takes more files later, without asking twice."""
    _need_pyarrow()
    from pyarrow import parquet

    server.script("POST", "/api/embed", Reply.json({"embeddings": [[0.5] * 256]}))
    server.script("POST", "/api/embed", Reply.error(500, "out of memory"))
    broken = ext("embed", "tea.md", "-o", "v.parquet", "--batch", "1", host=server.url)
    assert broken.code == 1
    assert not (folder / "v.parquet").exists()
    assert ext("embed", "tea.md", "-o", "v.parquet", host=server.url).code == 0
    assert ext("embed", "tea.md", "-o", "v.parquet", host=server.url).code == 0
    assert ext("embed", "tides.txt", "-o", "v.parquet", host=server.url).code == 0
    rows = parquet.read_table(folder / "v.parquet").to_pylist()
    assert [row["file"] for row in rows] == ["tea.md"] * 3 + ["tides.txt"]
    assert rows[0]["vector"] == [0.5] * 256
    assert len(_asked(server)) == 2 + 2 + 1


def test_parquet_without_pyarrow(
    ext: Ext, server: EmbeddedOllama, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without pyarrow the message says what to install, before anything is embedded."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    found = ext("embed", "tea.md", "-o", "v.parquet", host=server.url)
    assert found.code == 2
    assert "pip install pyarrow" in found.err
    assert _asked(server) == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["tea.md"], "--out"),
        (["tea.md", "-o", "v.csv"], "end it in .jsonl or .parquet"),
        (["nowhere.txt", "-o", "v.jsonl"], "does not exist"),
        ([".", "-o", "v.jsonl"], "is a directory"),
        (["picture.png", "-o", "v.jsonl"], "picture.png is not text in UTF-8"),
        (["zeros.bin", "-o", "v.jsonl"], "zeros.bin is not text: it contains null bytes"),
        (["empty.txt", "-o", "v.jsonl"], "there is no text in empty.txt"),
        (["tea.md", "-o", "nowhere/v.jsonl"], "cannot be written"),
        (["tea.md", "-o", "v.jsonl", "--batch", "0"], "--batch"),
        (["tea.md", "-o", "v.jsonl", "--dimensions", "0"], "--dimensions"),
    ],
)
def test_nonsense_is_two(
    ext: Ext, server: EmbeddedOllama, folder: Path, arguments: list[str], hint: str
) -> None:
    """What cannot be done is told before anything is embedded."""
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    (folder / "zeros.bin").write_bytes(bytes(100))
    (folder / "empty.txt").write_text("\n\n  \n")
    found = ext("embed", *arguments, host=server.url)
    assert (found.code, found.out) == (2, "")
    assert hint in " ".join(found.err.split())
    assert _asked(server) == []


@pytest.mark.parametrize(("model", "code"), [("nope", 4), ("demo-vision", 1)])
def test_wrong_model(ext: Ext, server: EmbeddedOllama, folder: Path, model: str, code: int) -> None:
    """A model that is not there exits with 4, one that cannot embed with 1."""
    refused = recording("embed/chat-model")
    server.script("POST", "/api/embed", Reply.raw(refused.data, status=refused.status))
    found = ext("embed", "tea.md", "-o", "v.jsonl", "--model", model, host=server.url)
    assert found.code == code


def test_no_model_that_embeds_is_four(ext: Ext, folder: Path) -> None:
    """A server without such a model says how to get one."""
    with EmbeddedOllama([EmbeddedModel("talker")], demo=False) as server:
        found = ext("embed", "tea.md", "-o", "v.jsonl", host=server.url)
    assert found.code == 4
    assert "ollama pull nomic-embed-text" in found.err


def test_progress_and_interruption_at_the_terminal(
    terminal: Opens, server: EmbeddedOllama, folder: Path
) -> None:
    """The bar counts passages; Ctrl-C exits with 130, keeps what is made and says so."""
    (folder / "many.txt").write_text("\n\n".join(f"{n} " + "word " * 150 for n in range(50)))
    answer = {"embeddings": [[0.5] * 4]}
    server.script("POST", "/api/embed", *[Reply.json(answer)] * 3)
    server.script("POST", "/api/embed", Reply.json(answer, delay_s=60))
    many, out = folder / "many.txt", folder / "v.jsonl"
    screen = terminal("embed", many, "-o", out, "--batch", "1", host=server.url)
    screen.expect("3/50 passages")
    screen.interrupt("3 of 50 vectors are kept; run the same command to resume")
    assert screen.end() == 130
    assert "Traceback" not in screen.text
    assert len(_rows(out)) == 3


@pytest.mark.parametrize(
    ("text", "length", "pieces"),
    [
        ("", 10, []),
        (" \n\n \n", 10, []),
        ("one", 10, ["one"]),
        ("one\n\ntwo", 10, ["one\n\ntwo"]),
        ("one\n\ntwo", 7, ["one", "two"]),
        ("one\n\n\n\ntwo", 20, ["one\n\ntwo"]),
        ("one two three", 7, ["one two", "three"]),
        ("one two three\n\nfour", 7, ["one two", "three", "four"]),
        ("一二三四五", 2, ["一二", "三四", "五"]),
        ("one\ntwo three", 5, ["one", "two", "three"]),
    ],
)
def test_passages(text: str, length: int, pieces: list[str]) -> None:
    """Paragraphs are joined up to the length, and longer ones cut between words."""
    assert list(split_text(text, length)) == pieces


def test_passages_lose_nothing() -> None:
    """Every word of a text is in one passage, in its order, and no passage is too long."""
    text = "\n\n".join("word" * (n % 7) + f" {n} " * (n % 50) for n in range(200))
    pieces = list(split_text(text, 100))
    assert " ".join(pieces).split() == text.split()
    assert max(map(len, pieces)) <= 100
