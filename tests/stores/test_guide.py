"""The blocks of the guide on embeddings that need a PostgreSQL run on one."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document, StorageContext, VectorStoreIndex
from postgres import Postgres

from langchain_ollama_ext import OllamaEmbeddings
from llamaindex_ollama_ext import OllamaEmbedding
from ollama_ext.embedded import EmbeddedOllama

PAGE = (Path(__file__).parents[2] / "docs/guides/embeddings.md").read_text()
BLOCKS = re.findall(r'^```python title="needs: a PostgreSQL"\n(.*?)^```', PAGE, re.M | re.S)
ADDRESS = "user:password@localhost:5432/database"
FERRY = "The ferry leaves at noon."


# langchain-community announces its end whenever it is imported.
@pytest.mark.filterwarnings("ignore:.*langchain-community.*:DeprecationWarning")
def test_the_blocks_of_the_guide_find_the_right_passage(
    server: EmbeddedOllama,
    postgres: Postgres,
    main_loop: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both frameworks write their passages into the database, and find the ferry there."""
    for module in ("langchain_postgres", "llama_index.vector_stores.postgres"):
        pytest.importorskip(module, reason='pip install -e ".[test-stores]"')
    names: dict[str, Any] = {
        "Document": Document,
        "StorageContext": StorageContext,
        "VectorStoreIndex": VectorStoreIndex,
        "embeddings": OllamaEmbeddings(model="demo-embed", base_url=server.url),
        "embed_model": OllamaEmbedding("demo-embed", base_url=server.url),
        "pages": [Document(text="The lighthouse was built in 1871."), Document(text=FERRY)],
    }
    assert len(BLOCKS) == 2
    for block in BLOCKS:
        exec(block.replace(ADDRESS, postgres.url("x").partition("://")[2]), names)
        assert capsys.readouterr().out.strip() == FERRY
    store, table = names["postgres"], names["table"]
    store.delete_collection()
    store.session_maker.remove()
    store._engine.dispose()
    asyncio.get_event_loop().run_until_complete(table.close())
    for model in (names["embeddings"], names["embed_model"]):
        model.close()
