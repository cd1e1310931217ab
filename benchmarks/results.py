"""What was measured, and what it says: values, ratios, and which goals are reached."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.cases import Measure, Row
from benchmarks.meter import Figures


@dataclass(frozen=True)
class Measured:
    """The figures of one variant of a row, by the names of its cases."""

    name: str
    figures: dict[str, Figures]

    def has(self, case: str, measure: Measure) -> bool:
        """Return whether a case was measured so."""
        return case in self.figures and bool(self.figures[case].of(measure))

    def was_measured(self, measure: Measure) -> bool:
        """Return whether any case was measured so."""
        return any(self.has(case, measure) for case in self.figures)

    def value(self, case: str, measure: Measure, beyond: str = "") -> float:
        """Return the median of a case, without what a floor named ``beyond`` takes anyway."""
        taken = statistics.median(self.figures[beyond].of(measure)) if beyond else 0.0
        return statistics.median(self.figures[case].of(measure)) - taken

    def ratio(self, measure: Measure, to: str = "peer", beyond: str = "") -> float | None:
        """Return ours as a part of another case: the median over the rounds; None without it."""
        if not self.has("ours", measure) or not self.has(to, measure):
            return None
        if beyond:
            other = self.value(to, measure, beyond)
            # On a busy machine the floor can take longer than what is above it.
            return self.value("ours", measure, beyond) / other if other > 0 else None
        pairs = zip(self.figures["ours"].of(measure), self.figures[to].of(measure), strict=True)
        return statistics.median(ours / other for ours, other in pairs)


Results = dict[str, list[Measured]]


def measure_of(row: Row, instructions: bool) -> Measure:
    """Return what a row is measured in."""
    return "instructions" if instructions and row.counted else row.measure


def ratios(row: Row, variants: Sequence[Measured], measure: Measure) -> list[float | None]:
    """Return what ours costs in parts of the peer, for each variant."""
    return [variant.ratio(measure, "peer", row.beyond) for variant in variants]


def is_reached(row: Row, variants: Sequence[Measured], measure: Measure) -> bool | None:
    """Return whether all variants reach the goal; None where this measure does not say."""
    goal, costs = row.goal, list[float | None]()
    if goal.of in ("instructions", "seconds"):
        if (goal.of == "instructions") != (measure == "instructions"):
            return None
        costs = [
            variant.value("ours", measure, row.beyond) if variant.has("ours", measure) else None
            for variant in variants
        ]
    else:
        beyond = row.beyond if goal.of == "peer" else ""
        costs = [variant.ratio(measure, goal.of, beyond) for variant in variants]
    if not costs or None in costs:
        return None
    return all(cost <= goal.limit(at) for at, cost in enumerate(costs) if cost is not None)


def slower_than_peer(row: Row, variants: Sequence[Measured], limit: float) -> dict[str, float]:
    """Return the variants, with their ratios, that cost more than ``limit`` times the peer."""
    found = {
        variant.name: ratio
        for variant, ratio in zip(variants, ratios(row, variants, row.measure), strict=True)
        if ratio is not None
    }
    return {name: ratio for name, ratio in found.items() if ratio > limit}


def merged(times: Results, counts: Results) -> Results:
    """Return times and instructions of the same rows as one."""
    found = dict(times)
    for key, variants in counts.items():
        others = {variant.name: variant for variant in found.get(key, [])}
        found[key] = [_joined(variant, others.get(variant.name)) for variant in variants]
    return found


def _joined(counted: Measured, timed: Measured | None) -> Measured:
    if timed is None:
        return counted
    figures = {
        name: Figures(timed.figures[name].cpu, timed.figures[name].wall, figure.instructions)
        for name, figure in counted.figures.items()
        if name in timed.figures
    }
    return Measured(counted.name, figures)


def save(results: Results, path: Path) -> None:
    """Write results to a file."""
    path.write_text(json.dumps({key: [asdict(v) for v in vs] for key, vs in results.items()}))


def load(path: Path) -> Results:
    """Read results from a file that `save` wrote."""
    saved: dict[str, list[dict[str, Any]]] = json.loads(path.read_text())
    return {
        key: [
            Measured(v["name"], {name: Figures(**f) for name, f in v["figures"].items()})
            for v in variants
        ]
        for key, variants in saved.items()
    }
