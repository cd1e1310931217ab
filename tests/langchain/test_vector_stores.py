"""OllamaEmbeddings in the stores that people keep their vectors in, across processes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_classic.embeddings import CacheBackedEmbeddings
from langchain_classic.storage import LocalFileStore

from langchain_ollama_ext import OllamaEmbeddings
from ollama_ext.embedded import EmbeddedOllama

pytestmark = [
    # faiss-cpu's compiled classes name no module, of which Python 3.12 and later warn.
    pytest.mark.filterwarnings("ignore:builtin type .* has no __module__:DeprecationWarning"),
    # langchain-community announces its end whenever it is imported.
    pytest.mark.filterwarnings("ignore:.*langchain-community.*:DeprecationWarning"),
]

_ROOT = Path(__file__).parents[2]
_COLOURS = ["red", "blue", "green", "black", "white", "grey", "pink", "brown", "violet", "amber"]
_THINGS = [
    *("boat", "kite", "lamp", "clock", "piano", "ladder", "bottle", "candle", "violin", "bridge"),
    *("garden", "window", "basket", "hammer", "mirror", "pillow", "rocket", "saddle", "teapot"),
    "wagon",
]
_STUFFS = ["copper", "glass", "marble", "oak", "silk", "clay", "steel"]
_TOWNS = ["Lisbon", "Oslo", "Cairo", "Lima", "Delhi", "Quebec", "Tunis", "Perth", "Kyoto"]
_PASSAGES = [
    f"In {_TOWNS[number % 9]} there is a {colour} {thing} of {_STUFFS[number % 7]}."
    for number, (colour, thing) in enumerate((c, t) for c in _COLOURS for t in _THINGS)
]
_ANSWER = next(passage for passage in _PASSAGES if "violet teapot" in passage)
_QUESTION = f"Where is the violet teapot of {_ANSWER.split()[-1].rstrip('.')}?"

_OPEN: dict[str, str] = {
    "chroma": """
import chromadb
from langchain_chroma import Chroma

def opened(folder, embeddings):
    settings = chromadb.Settings(anonymized_telemetry=False, is_persistent=True)
    return Chroma("passages", embeddings, persist_directory=folder, client_settings=settings)
""",
    "faiss": """
from langchain_community.vectorstores import FAISS

def opened(folder, embeddings):
    return FAISS.load_local(folder, embeddings, allow_dangerous_deserialization=True)
""",
}
_ASK = """
import sys
from langchain_ollama_ext import OllamaEmbeddings

folder, url, question = sys.argv[1:]
with OllamaEmbeddings(model="demo-embed", base_url=url) as embeddings:
    found = opened(folder, embeddings).similarity_search(question, k=3)
print(len(found), found[0].page_content)
"""


def _fill_chroma(folder: str, embeddings: OllamaEmbeddings) -> None:
    space: dict[str, Any] = {}
    exec(_OPEN["chroma"], space)  # the same lines as the other process runs
    store = space["opened"](folder, embeddings)
    store.add_texts(_PASSAGES)
    store._client.close()


def _fill_faiss(folder: str, embeddings: OllamaEmbeddings) -> None:
    from langchain_community.vectorstores import FAISS

    FAISS.from_texts(_PASSAGES, embeddings).save_local(folder)


@pytest.mark.parametrize(
    ("kind", "fill"), [("chroma", _fill_chroma), ("faiss", _fill_faiss)], ids=["chroma", "faiss"]
)
def test_200_passages_are_found_again_in_another_process(
    kind: str,
    fill: Callable[[str, OllamaEmbeddings], None],
    server: EmbeddedOllama,
    tmp_path: Path,
) -> None:
    """An index of 200 passages, closed and opened elsewhere, gives the right passage first."""
    assert len(_PASSAGES) == 200
    with OllamaEmbeddings(model="demo-embed", base_url=server.url) as embeddings:
        fill(str(tmp_path), embeddings)
    asked = subprocess.run(
        [sys.executable, "-c", _OPEN[kind] + _ASK, str(tmp_path), server.url, _QUESTION],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.strip() == f"3 {_ANSWER}"


def test_a_cached_text_is_not_sent_again(server: EmbeddedOllama, tmp_path: Path) -> None:
    """CacheBackedEmbeddings over ours: the second run, of a new object, asks no server."""
    store = LocalFileStore(tmp_path)

    def embed() -> list[list[float]]:
        with OllamaEmbeddings(model="demo-embed", base_url=server.url) as embeddings:
            cached = CacheBackedEmbeddings.from_bytes_store(
                embeddings, store, namespace=embeddings.model, key_encoder="sha256"
            )
            return cached.embed_documents(_PASSAGES[:100])

    first = embed()
    asked = len(server.requests)
    assert asked == 2
    assert embed() == first
    assert len(server.requests) == asked
