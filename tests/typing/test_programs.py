"""What a user's type checker says of programs that use ours."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
PROGRAMS = ["langchain_program.py", "llamaindex_program.py", "ollama_program.py"]
# Nonsense that a checker must refuse, line by line, so that a clean report means something.
_WRONG = {
    "langchain_program.py": (
        "from langchain_ollama_ext import ChatOllama, OllamaEmbeddings, OllamaLLM",
        [
            "OllamaEmbeddings(model='m').embed_query(5)",
            "ChatOllama(model='m', temprature=.1)",
            "ChatOllama(model='m', num_ctx='x')",
            "OllamaLLM(model='m', temprature=.1)",
            "OllamaEmbeddings(model='m', dimensons=5)",
        ],
    ),
    "llamaindex_program.py": (
        "from llamaindex_ollama_ext import Ollama, OllamaEmbedding",
        [
            "Ollama(model=5)",
            "Ollama('m', num_ctx='x')",
            "Ollama('m', temprature=.1)",
            "OllamaEmbedding('m', dimensions='x')",
            "OllamaEmbedding('m', api_keys='x')",
        ],
    ),
    "ollama_program.py": (
        "import ollama_transport as ollama",
        [
            "for part in ollama.chat('m', [], stream=True): part.mesage",
            "ollama.chat('m', [], stream=True).message",
            "ollama.chat('m', []).__next__()",
            "ollama.embed('m', 'x', dimensons=5)",
            "ollama.Client().pull('m').__next__()",
        ],
    ),
}


def mypy(file: Path) -> list[str]:
    """Return the errors of mypy --strict, as a user without our settings sees them."""
    cache = f"--cache-dir={_ROOT / '.mypy_cache' / 'users'}"
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--no-error-summary",
        cache,
    ]
    done = subprocess.run(
        [*command, str(file)], cwd=_ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if ": error:" in line]


def pyright(file: Path) -> list[str]:
    """Return the errors of pyright in its standard mode."""
    pytest.importorskip("basedpyright", reason="basedpyright is not installed")
    settings = file.parent / "pyrightconfig.json"
    settings.write_text(json.dumps({"typeCheckingMode": "standard", "extraPaths": [str(_ROOT)]}))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(
        [*command, "--project", str(settings), str(file)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    return [each["message"] for each in found if each["severity"] == "error"]


@pytest.mark.parametrize("check", [mypy, pyright])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_users_program_is_typed(tmp_path: Path, program: str, check: object) -> None:
    """A program of a user has no error, and a wrong call in it has one."""
    file = tmp_path / program
    file.write_text((_HERE / program).read_text())
    assert callable(check)
    assert check(file) == []
    imports, wrong = _WRONG[program]
    file.write_text("\n".join([imports, *wrong, ""]))
    assert len(check(file)) == len(wrong)
