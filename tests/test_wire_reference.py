"""Facts about the server name their source: a section of docs/wire-reference.md."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "wire-reference.md"
PACKAGES = ("ollama_transport", "langchain_ollama_ext", "llamaindex_ollama_ext", "ollama_ext")

# "wire reference 3.4", "wire reference, section 7.2 to 7.4", "wire reference 5.1, 5.2 and 14".
CITATION = re.compile(
    r"wire reference,?\s+(?:sections?\s+)?"
    r"(\d+(?:\.\d+)?(?:(?:, (?:and )?| and | to )\d+(?:\.\d+)?\b)*)"
)


def sections() -> set[str]:
    """Return the numbers of all sections, and of the numbered rules inside section 1."""
    text = REFERENCE.read_text()
    found = set(re.findall(r"^#{2,3} (\d+(?:\.\d+)?)\.? ", text, re.MULTILINE))
    rules = text.partition("\n## 1. ")[2].partition("\n## ")[0]
    return found | {f"1.{number}" for number in re.findall(r"^(\d+)\. ", rules, re.MULTILINE)}


def citations() -> set[tuple[str, str]]:
    """Return each cited section with the file that cites it."""
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            # A citation may be broken over two lines of a comment.
            text = re.sub(r"\n\s*(?:# )?", " ", path.read_text())
            for match in CITATION.finditer(text):
                numbers = re.findall(r"\d+(?:\.\d+)?", match[1])
                found |= {(str(path.relative_to(ROOT)), number) for number in numbers}
    return found


def test_each_cited_section_exists() -> None:
    """Whoever follows a citation finds the section that it names."""
    cited = citations()
    assert len(cited) > 50
    known = sections()
    assert {(file, number) for file, number in cited if number not in known} == set()
