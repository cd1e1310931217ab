"""The rows of the table, by what they are about."""

from benchmarks.cases import Row
from benchmarks.rows import calls, embeddings, start, streams, structured, tools

ROWS: tuple[Row, ...] = (
    *streams.ROWS,
    *calls.ROWS,
    *embeddings.ROWS,
    *tools.ROWS,
    *structured.ROWS,
    *start.ROWS,
)
