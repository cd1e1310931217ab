"""The plot of all rows: what ours costs as a part of the peer."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

from benchmarks.cases import Row
from benchmarks.results import Results, measure_of, ratios

mpl.use("svg")

FASTER, SLOWER = "#2a7f62", "#b3422f"


def draw(rows: Sequence[Row], results: Results, path: Path, counted: bool) -> None:
    """Draw a bar for each variant of each row; the line at 1 is the peer."""
    from matplotlib import pyplot

    bars = _bars(rows, results, counted)
    names, values = [name for name, _ in bars], [value for _, value in bars]
    figure, axes = pyplot.subplots(figsize=(9, 0.24 * len(bars) + 1))
    axes.barh(names, values, color=[FASTER if value <= 1 else SLOWER for value in values])
    axes.axvline(1, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("cost of ours as a part of the peer's (shorter is better)")
    axes.tick_params(axis="y", labelsize=7)
    for at, value in enumerate(values):
        axes.text(value, at, f" {value:.2f}", va="center", fontsize=7)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)


def _bars(rows: Sequence[Row], results: Results, counted: bool) -> list[tuple[str, float]]:
    found = []
    for row in rows:
        measure, variants = measure_of(row, counted), results.get(row.key, [])
        for variant, ratio in zip(variants, ratios(row, variants, measure), strict=True):
            if ratio is not None and ratio > 0:
                found.append((f"{row.title.partition(',')[0]}: {variant.name}", ratio))
    return found
