"""Totals for each model: requests, tokens, time, money."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ollama_transport.accounting.meters import CallRecord
from ollama_transport.concurrency.forks import Lock
from ollama_transport.wire.calls.call import Call


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a million tokens, in any one currency.

    ```python
    from ollama_transport import Price

    print(Price(prompt=0.10, completion=0.40).of(prompt_tokens=8_000, completion_tokens=500))
    ```
    """

    prompt: float = 0.0
    completion: float = 0.0

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the cost of a number of tokens."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1_000_000


@dataclass(frozen=True, slots=True)
class ModelTotals:
    """The usage of one model: requests, tokens, seconds and cost.

    ``requests`` includes ``failures`` and ``cancelled``; ``estimated`` counts the requests whose
    tokens are estimates. ``seconds`` is the duration of the calls, ``generation_seconds`` that of
    the generation alone, or of the whole call if the server does not report it. ``cost`` is 0
    without a price.
    """

    requests: int = 0
    failures: int = 0
    cancelled: int = 0
    estimated: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    generation_seconds: float = 0.0
    cost: float = 0.0

    @property
    def total_tokens(self) -> int:
        """Return prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def tokens_per_second(self) -> float | None:
        """Return completion tokens per second of generation; None if the time is unknown."""
        if not self.generation_seconds:
            return None
        return self.completion_tokens / self.generation_seconds

    def plus(self, other: "ModelTotals") -> "ModelTotals":
        """Return the sums of two."""
        return ModelTotals(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__slots__}
        )


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """The totals at one moment, by model.

    ```python
    from ollama_transport import Client, UsageLedger

    ledger = UsageLedger()
    with Client(meters=[ledger]) as client:
        client.generate("llama3.2", "Hello")
    snapshot = ledger.snapshot()
    print(snapshot.total.requests, snapshot.models["llama3.2"].tokens_per_second)
    ```
    """

    models: Mapping[str, ModelTotals] = field(default_factory=dict)

    @property
    def total(self) -> ModelTotals:
        """Return the sums over all models."""
        total = ModelTotals()
        for totals in self.models.values():
            total = total.plus(totals)
        return total


class UsageLedger:
    """Counts every call of the models that use it, once each, whether it succeeds or not.

    ```python
    from langchain_ollama_ext import ChatOllama
    from llamaindex_ollama_ext import Ollama
    from ollama_transport import Price, UsageLedger

    ledger = UsageLedger(prices={"llama3.2": Price(prompt=0.10, completion=0.40)})
    ChatOllama(model="llama3.2", ledger=ledger).invoke("Hello")
    Ollama("llama3.2", ledger=ledger).complete("Hello")
    for model, totals in ledger.snapshot().models.items():
        print(model, totals.requests, totals.total_tokens, totals.tokens_per_second, totals.cost)
    ```

    One ledger serves any number of models, of both frameworks, from any thread and event loop.
    A call is counted when it ends. Retries, a repetition with a shortened prompt and a pull of the
    model are part of the call; loading or listing models does not count. Models are distinguished
    by the name used in the call. ``prices`` is by model name; the tag ``latest`` may be left out on
    either side.

    `usage_total` of the embedding classes counts the answers of one object; a ledger also counts
    failed calls, and those that search for the text that made a batch fail.
    """

    def __init__(self, prices: Mapping[str, Price] | None = None) -> None:
        self._prices = dict(prices) if prices is not None else {}
        self._lock = Lock()
        self._totals: dict[str, ModelTotals] = {}

    def begin(self, _call: Call[Any], /) -> None:
        """Do nothing yet: a call is counted at its end."""

    def end(self, _call: Call[Any], record: CallRecord, /) -> None:
        """Add a call to the totals of its model, unless it was never sent."""
        if not record.sent:
            return
        one = self.entry(record)
        with self._lock:
            self._totals[record.model] = self._totals.get(record.model, ModelTotals()).plus(one)

    def entry(self, record: CallRecord) -> ModelTotals:
        """Return the totals of a single call."""
        one = ModelTotals(
            requests=1,
            failures=int(record.error is not None),
            cancelled=int(record.cancelled),
            seconds=record.elapsed_s,
        )
        usage = record.usage
        if usage is None:
            return one
        prompt = usage.prompt_tokens if usage.prompt_tokens is not None else 0
        completion = usage.completion_tokens if usage.completion_tokens is not None else 0
        told = usage.completion_duration_s
        # Not every server reports durations; the time of the whole call is the best estimate.
        spent = record.elapsed_s if told is None and completion else told
        return replace(
            one,
            estimated=int(usage.estimated),
            prompt_tokens=prompt,
            completion_tokens=completion,
            generation_seconds=spent if spent is not None else 0.0,
            cost=self.price(record.model).of(prompt, completion),
        )

    def price(self, model: str) -> Price:
        """Return the price of a model; 0 if none was given."""
        return next((self._prices[name] for name in _names(model) if name in self._prices), Price())

    def has_price(self, model: str) -> bool:
        """Return whether a price was given for a model."""
        return any(name in self._prices for name in _names(model))

    def snapshot(self) -> LedgerSnapshot:
        """Return the current totals."""
        # A copy, since calls in flight will still be added.
        with self._lock:
            return LedgerSnapshot(dict(self._totals))

    def reset(self) -> LedgerSnapshot:
        """Start again at 0 and return the totals so far."""
        with self._lock:
            totals, self._totals = self._totals, {}
        return LedgerSnapshot(totals)

    def to_pandas(self) -> Any:
        """Return the totals as a pandas DataFrame with one row per model, indexed by its name.

        The columns are the fields and computed properties of `ModelTotals`.

        Raises:
            ImportError: when pandas is not installed.
        """
        try:
            # By name: an import statement would make every type checker ask for pandas' stubs.
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise ImportError("to_pandas needs pandas: pip install pandas.") from error
        rows = {model: _row(totals) for model, totals in self.snapshot().models.items()}
        return pandas.DataFrame.from_dict(rows, orient="index")

    def __getstate__(self) -> dict[str, Any]:
        return {"prices": self._prices, "totals": dict(self.snapshot().models)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state["prices"])  # type: ignore[misc]  # a lock cannot be pickled: make a new one
        self._totals = dict(state["totals"])

    def __deepcopy__(self, _: object) -> "UsageLedger":
        return self  # copies of a model share its ledger


def _row(totals: ModelTotals) -> dict[str, Any]:
    computed = ("total_tokens", "tokens_per_second")
    return {name: getattr(totals, name) for name in (*totals.__slots__, *computed)}


def _names(model: str) -> tuple[str, str, str]:
    # Servers and callers use both forms: Ollama adds a missing tag.
    return model, model.removesuffix(":latest"), f"{model}:latest"
