"""The table of the rows, as Markdown."""

from collections.abc import Iterable, Sequence

from benchmarks.cases import Measure, Row
from benchmarks.results import Measured, Results, is_reached, measure_of, ratios

HEAD = "| row | measured | peer | ours | ratio | floor | goal | reached |"
RULE = "|---|---|--:|--:|--:|---|---|---|"
UNITS: dict[Measure, str] = {
    "cpu": "CPU µs a {}",
    "wall": "µs a {}",
    "instructions": "k instructions a {}",
}
VERDICTS = {True: "yes", False: "no", None: "–"}


def table(rows: Iterable[Row], results: Results, instructions: bool) -> str:
    """Return the table of all rows that were measured so."""
    lines = []
    for row in rows:
        measure = measure_of(row, instructions)
        variants = [v for v in results.get(row.key, []) if v.was_measured(measure)]
        if variants and (measure == "instructions") == instructions:
            lines.append(_line(row, variants, measure))
    return "\n".join([HEAD, RULE, *lines])


def _line(row: Row, variants: Sequence[Measured], measure: Measure) -> str:
    cells = [
        row.title,
        UNITS[measure].format(row.per),
        _costs(row, variants, measure, "peer"),
        _costs(row, variants, measure, "ours"),
        "/".join("–" if r is None else f"{r:.2f}" for r in ratios(row, variants, measure)),
        _floors(variants, measure),
        row.goal.text,
        VERDICTS[is_reached(row, variants, measure)],
    ]
    return f"| {' | '.join(cells)} |"


def _costs(row: Row, variants: Sequence[Measured], measure: Measure, case: str) -> str:
    return "/".join(
        shown(variant.value(case, measure, row.beyond), measure)
        if variant.has(case, measure)
        else "–"
        for variant in variants
    )


def _floors(variants: Sequence[Measured], measure: Measure) -> str:
    names = [name for name in variants[0].figures if name not in ("ours", "peer")]
    return ", ".join(
        f"{name} {'/'.join(shown(v.value(name, measure), measure) for v in variants)}"
        for name in names
    )


def shown(value: float, measure: Measure) -> str:
    """Return a cost in the unit of its column: thousands of instructions, or microseconds."""
    scaled = value / 1e3 if measure == "instructions" else value * 1e6
    return f"{scaled:,.0f}" if abs(scaled) >= 100 else f"{scaled:,.3g}"
