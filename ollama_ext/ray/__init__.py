"""Bulk work on Ray Data: embed or answer the rows of a dataset by many servers.

>>> import ray
>>> from ollama_ext.ray import embed_dataset
>>> rows = ray.data.read_parquet("passages/")
>>> embed_dataset(rows, model="nomic-embed-text", hosts=["gpu1", "gpu2"], key="id", output="done/")

It needs the extra ``ray``, and nothing else of the package imports it.
"""

try:
    from ollama_ext.ray._datasets import chat_dataset, embed_dataset
    from ollama_ext.ray._ledger import SharedLedger
    from ollama_ext.ray._plan import BULK_RETRY, BulkOptions
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] not in ("ray", "pyarrow"):
        raise
    raise ImportError(
        f'bulk work needs {error.name}, which is not installed: pip install "ollama-ext[ray]"',
        name=error.name,
    ) from error

__all__ = ["BULK_RETRY", "BulkOptions", "SharedLedger", "chat_dataset", "embed_dataset"]
