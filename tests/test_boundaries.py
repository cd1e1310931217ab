"""The arrows between the packages, seen from outside: what is not installed is not needed."""

import subprocess
import sys
import textwrap

import pytest

BLOCK = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Block())
"""


def python(code: str, *blocked: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter where some packages do not exist."""
    script = BLOCK.format(blocked=set(blocked)) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )


def works(code: str, *blocked: str) -> None:
    done = python(code, *blocked)
    assert done.returncode == 0, done.stderr


EVERY_NAME = """
import {package} as package
for name in package.__all__:
    assert getattr(package, name) is not None, name
{more}
"""
EXTRAS = ("starlette", "uvicorn", "typer", "rich", "pandas", "numpy")


def test_langchain_users_need_no_llama_index() -> None:
    """Everything of the LangChain adapter is there without llama-index and the other extras."""
    code = EVERY_NAME.format(package="langchain_ollama_ext", more="package.ChatOllama(model='m')")
    works(code, "llama_index", "llamaindex_ollama_ext", *EXTRAS[:4])


def test_llama_index_users_need_no_langchain() -> None:
    """Everything of the LlamaIndex adapter is there without LangChain and the other extras."""
    code = EVERY_NAME.format(package="llamaindex_ollama_ext", more="package.Ollama(model='m')")
    works(
        code, "langchain", "langchain_core", "langchain_ollama_ext", "starlette", "uvicorn", "typer"
    )


def test_the_transport_needs_neither() -> None:
    """The transport alone works with both frameworks and every extra missing."""
    code = EVERY_NAME.format(package="ollama_transport", more="package.Client()")
    works(code, "langchain_core", "langchain", "llama_index", *EXTRAS)


@pytest.mark.parametrize(
    ("package", "framework", "extra"),
    [
        ("langchain_ollama_ext", "langchain_core", "ollama-ext[langchain]"),
        ("llamaindex_ollama_ext", "llama_index", "ollama-ext[llamaindex]"),
        ("ollama_ext.ray", "ray", "ollama-ext[ray]"),
    ],
)
def test_a_missing_framework_names_its_extra(package: str, framework: str, extra: str) -> None:
    """Without its framework an adapter is an ImportError that says what to install."""
    done = python(f"import {package}", framework)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError: ")
    assert f'pip install "{extra}"' in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_the_embedded_server_names_its_extra(missing: str) -> None:
    """Without its web server the embedded Ollama says what to install."""
    done = python("from ollama_ext.embedded import EmbeddedOllama", missing)
    assert done.stderr.splitlines()[-1].startswith("ImportError: ")
    assert 'pip install "ollama-ext[embedded]"' in done.stderr.splitlines()[-1]


def test_the_command_line_names_its_extra() -> None:
    """Without its packages the command ends with 2 and one line, and no traceback."""
    done = python("from ollama_ext.cli import main; main()", "typer")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "ollama-ext[cli]" in done.stderr


def test_the_peers_are_never_imported() -> None:
    """The packages that we stand in for are not needed, and not touched."""
    works(
        """
        import langchain_ollama_ext, llamaindex_ollama_ext, ollama_transport
        langchain_ollama_ext.ChatOllama(model="m"), llamaindex_ollama_ext.Ollama(model="m")
        peers = {"ollama", "langchain_ollama", "llama_index.llms.ollama"}
        assert not peers & set(sys.modules)
        """,
        "ollama",
        "langchain_ollama",
    )


def test_the_clients_are_imported_at_the_first_call() -> None:
    """They bring httpx, which brings a command line: a tenth of what LlamaIndex's import takes."""
    works(
        """
        import llamaindex_ollama_ext
        assert "ollama_transport.client.clients" not in sys.modules
        """
    )


def test_importing_the_transport_loads_no_framework() -> None:
    """Where the frameworks are installed, the transport still leaves them alone."""
    works(
        """
        import ollama_transport
        for name in ollama_transport.__all__:
            getattr(ollama_transport, name)
        loaded = {name.partition(".")[0] for name in sys.modules}
        # Not rich and click: httpx itself imports them for its own command line, if they are there.
        heavy = {"langchain_core", "llama_index", "starlette", "uvicorn", "typer", "pandas"}
        assert not heavy & loaded
        """
    )
