"""Totals of all workers, in one place of the cluster."""

from collections.abc import Mapping
from typing import Any

import ray

from ollama_transport import LedgerSnapshot, ModelTotals, Price, UsageLedger


class SharedLedger:
    """Counts what all workers of a cluster use, as `UsageLedger` does for one process.

    ```python
    import ray

    from ollama_ext.ray import SharedLedger, embed_dataset

    ledger = SharedLedger()
    rows = ray.data.from_items([{"text": "a cat"}, {"text": "a dog"}])
    hosts = ["http://gpu1:11434"]
    embed_dataset(rows, model="nomic-embed-text", hosts=hosts, ledger=ledger).materialize()
    print(ledger.snapshot().total.total_tokens, "tokens")
    ```

    ``prices`` names a `Price` for each model; None and {} count tokens without their cost.
    Its totals live in an actor of Ray, which ends with the last copy of the ledger. Any number of
    datasets may share one. A worker adds its counts after each batch; a batch that Ray repeats,
    because its worker died, may be counted twice: its requests may have been answered twice.

    Creating one starts Ray where it does not run yet.
    """

    def __init__(self, prices: Mapping[str, Price] | None = None) -> None:
        self._prices = {} if prices is None else dict(prices)
        self._sums = ray.remote(num_cpus=0)(_Sums).remote()

    def of_worker(self) -> UsageLedger:
        """Return a ledger with the same prices for one process; pass its `reset` to `add`."""
        return UsageLedger(self._prices)

    def add(self, snapshot: LedgerSnapshot) -> None:
        """Add totals, and wait until they are added."""
        if snapshot.models:
            ray.get(self._sums.add.remote(dict(snapshot.models)))

    def snapshot(self) -> LedgerSnapshot:
        """Return the current totals."""
        return LedgerSnapshot(ray.get(self._sums.totals.remote()))


class _Sums:
    def __init__(self) -> None:
        self._models: dict[str, ModelTotals] = {}

    def add(self, models: Mapping[str, ModelTotals]) -> None:
        for name, totals in models.items():
            self._models[name] = self._models.get(name, ModelTotals()).plus(totals)

    def totals(self) -> dict[str, Any]:
        return self._models
