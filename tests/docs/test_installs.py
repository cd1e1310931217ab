"""What a page tells to install is what its code needs, so that a newcomer can copy and paste it."""

import ast
import codeop
import json
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ollama_ext.embedded import demo_models

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CODE = re.compile(r"^```python[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r'title="needs: (\w+)"')
# Of a checkout, or of a name; no `-e`, which is for those who work on the project, and not the
# command line, which is installed beside what code needs.
INSTALLS = re.compile(r"pip install (?!-|\"\.\[cli)([^`&\n]+)")
# Code that a page puts into a file.
FILE = re.compile(r"\n\n +(?:async )?def |FastAPI\(")
COPIES = re.compile(r"^ollama-ext copy (\S+) (\S+)$", re.MULTILINE)
MODELS = {
    "llama3.2": {"completion", "tools", "thinking"},
    "qwen3:8b": {"completion", "tools", "thinking"},
    "llava": {"completion", "vision"},
    "nomic-embed-text": {"embedding"},
}
OURS = {"langchain_ollama_ext", "llamaindex_ollama_ext", "ollama_ext", "ollama_transport", "tests"}
# What is loaded at the first use, or is needed by an extra.
ALSO = {
    "langchain_core.vectorstores": "numpy",
    "langchain_ollama_ext": "langchain-core",
    "llamaindex_ollama_ext": "llama-index-core",
    "ollama_ext.embedded": "uvicorn",
    "ollama_ext.ray": "ray",
}
# No call of these pages is sent.
WITHOUT_CALLS = {"security.md", "scaling.md", "testing.md", "README.md"}


@cache
def brought_by(name: str, extras: tuple[str, ...]) -> frozenset[str]:
    """Return a distribution and all that it requires."""
    found = {name}
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        return frozenset(found)
    for one in map(Requirement, lines):
        wanted = any(not one.marker or one.marker.evaluate({"extra": e}) for e in (*extras, ""))
        if wanted and (canonicalize_name(one.name), tuple(sorted(one.extras))) != (name, extras):
            found |= brought_by(canonicalize_name(one.name), tuple(sorted(one.extras)))
    return frozenset(found)


def installed_by(text: str) -> set[str]:
    """Return the distributions that the commands of a page install."""
    found: set[str] = set()
    for command in INSTALLS.findall(text):
        for word in command.replace('"', "").split():
            one = Requirement(re.sub(r"^\.+\[", "ollama-ext[", word))
            found |= brought_by(canonicalize_name(one.name), tuple(sorted(one.extras)))
    return found


def imports_of(text: str) -> set[str]:
    """Return the dotted modules that the code of a page imports."""
    nodes = [node for code in CODE.findall(text) for node in ast.walk(ast.parse(code))]
    names = {one.name for node in nodes if isinstance(node, ast.Import) for one in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}


@cache
def by_module() -> Mapping[str, list[str]]:
    return packages_distributions()


def distribution_of(module: str) -> str:
    """Return the distribution with a module: of a namespace, the one that is named after it."""
    parts = module.split(".")
    by_top = by_module()
    known = {canonicalize_name(one) for names in by_top.values() for one in names}
    for length in range(len(parts), 0, -1):
        name = canonicalize_name("-".join(parts[:length]))
        if name in known:
            return name
    # Of several, the shortest name is the base of the namespace; the listing has no fixed order.
    return canonicalize_name(min(by_top.get(parts[0], [parts[0]]), key=len))


def text_of(page: Path) -> str:
    """Return a page, or a notebook as if it was one."""
    text = page.read_text()
    if page.suffix == ".md":
        return text
    cells = [("".join(cell["source"]), cell["cell_type"]) for cell in json.loads(text)["cells"]]
    return "\n".join(f"```python\n{cell}\n```" if kind == "code" else cell for cell, kind in cells)


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: page.name)
def test_a_page_installs_what_its_code_imports(page: Path) -> None:
    """Each command of a page, run in a new environment, brings what the page uses."""
    text = text_of(page)
    modules = imports_of(text)
    needed = {distribution_of(one) for one in modules if one.partition(".")[0] not in OURS}
    needed |= {also for module, also in ALSO.items() if module in modules}
    assert (needed | set(NEEDS.findall(text))) - installed_by(text) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_pulls_the_models_that_it_asks(page: Path) -> None:
    """A call of a model that was not pulled fails."""
    text = page.read_text()
    code = "".join(CODE.findall(text))
    asked = {name for name in MODELS if f'"{name}"' in code}
    pulled = set(re.findall(r"ollama pull ([\w.:-]+)", text))
    assert page.name in WITHOUT_CALLS or asked <= pulled


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_demo_models_stand_for_those_of_a_page(page: Path) -> None:
    """A page that copies demo models copies one for each model that it uses, which can as much."""
    text = page.read_text()
    demos = {model.name: set(model.capabilities) for model in demo_models()}
    copies = {name: demos[source] for source, name in COPIES.findall(text)}
    used = MODELS if page.name == "command-line.md" else re.findall(r"ollama pull (\S+)\n", text)
    assert not copies or copies.keys() == set(used)
    assert [name for name, can in copies.items() if not can >= MODELS[name]] == []


def lines_refused(code: str) -> list[str]:
    """Return the first line that Python's plain prompt would refuse, were the code pasted there."""
    waiting: list[str] = []
    for line in [*code.splitlines(), ""]:
        waiting.append(line)
        try:
            if codeop.compile_command("\n".join(waiting), symbol="single") is not None:
                waiting = []
        except SyntaxError:
            return [line]
    return waiting[:1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_can_be_pasted_into_every_prompt(page: Path) -> None:
    """Up to Python 3.12, an empty line at the prompt ends a block, and only that does."""
    blocks = [code for code in CODE.findall(page.read_text()) if not FILE.search(code)]
    assert [line for code in blocks for line in lines_refused(code)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_can_be_pasted_into_every_shell(page: Path) -> None:
    """To zsh, a comment that is typed in is words of the command."""
    assert [line for line in CONSOLE.findall(page.read_text()) if " # " in line] == []
