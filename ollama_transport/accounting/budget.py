"""A limit on what may be used, checked before a request is sent."""

from collections.abc import Mapping
from typing import Any

from ollama_transport.accounting.ledger import ModelTotals, Price, UsageLedger
from ollama_transport.accounting.meters import CallRecord, worst_case_tokens
from ollama_transport.concurrency.forks import Lock
from ollama_transport.errors import BudgetExceededError, ConfigError
from ollama_transport.wire.calls import Call


class Budget:
    """Forbid calls once so much is used up; for any number of models, threads and event loops.

    ``max_cost`` is in the currency of the prices, ``max_tokens`` counts prompts and completions,
    ``max_requests`` the calls sent. None is no limit. What is in flight is not counted yet, so
    calls under way can overshoot by what they cost. With ``reserve=True`` the worst case of each
    is held up front, which needs ``num_predict`` on every call: the answer cannot overshoot then.
    How long a prompt is only the server knows; a token each three bytes is held for it, which is
    more than most texts have.

    Raises:
        ConfigError: without any limit, for one below 0, and for ``max_cost`` without prices.
    """

    def __init__(
        self,
        *,
        max_cost: float | None = None,
        max_tokens: int | None = None,
        max_requests: int | None = None,
        prices: Mapping[str, Price] | None = None,
        reserve: bool = False,
    ) -> None:
        limits = {"max_cost": max_cost, "max_tokens": max_tokens, "max_requests": max_requests}
        if all(limit is None for limit in limits.values()):
            raise ConfigError("a budget limits something: max_cost, max_tokens or max_requests.")
        for name, limit in limits.items():
            if limit is not None and limit < 0:
                raise ConfigError(f"{name}={limit}: give 0 or more.")
        if max_cost is not None and not prices:
            raise ConfigError("max_cost needs prices: give prices={'model': Price(...)}.")
        self._limits = limits
        self._ledger = UsageLedger(prices)
        self._reserve = reserve
        self._lock = Lock()
        self._spent = ModelTotals()
        self._started = 0
        self._held: dict[int, list[tuple[int, float]]] = {}

    @property
    def spent(self) -> ModelTotals:
        """Return what was used until now; what is in flight is not in it."""
        with self._lock:
            return self._spent

    def begin(self, call: Call[Any], /) -> None:
        """Let a call begin, or forbid it.

        Raises:
            BudgetExceededError: when a limit is reached, or would be by the worst case of this
                call where it is held up front.
            ConfigError: for a call without ``num_predict`` where its worst case is to be held, and
                for a model without a price where the cost is limited.
        """
        self._check_price(call)
        tokens, cost = self._worst_case(call)
        with self._lock:
            self._check("max_requests", self._started, 1)
            self._check("max_tokens", self._spent.total_tokens + self._sum_held(0), tokens)
            self._check("max_cost", self._spent.cost + self._sum_held(1), cost)
            self._started += 1
            self._held.setdefault(id(call), []).append((tokens, cost))

    def end(self, call: Call[Any], record: CallRecord, /) -> None:
        """Take what a call has cost out of the budget."""
        entry = self._ledger.entry(record) if record.sent else ModelTotals()
        with self._lock:
            self._started -= int(not record.sent)
            held = self._held[id(call)]
            held.pop()
            if not held:
                del self._held[id(call)]
            self._spent = self._spent.plus(entry)

    def _worst_case(self, call: Call[Any]) -> tuple[int, float]:
        if not self._reserve:
            return 0, 0.0
        tokens = worst_case_tokens(call)
        if tokens is None:
            raise ConfigError(
                "a budget with reserve=True holds the worst case of each call: set num_predict."
            )
        price = self._ledger.price(call.model if call.model is not None else "")
        return tokens, price.of(0, tokens) if price.completion > price.prompt else price.of(
            tokens, 0
        )

    def _check_price(self, call: Call[Any]) -> None:
        model = call.model if call.model is not None else ""
        if self._limits["max_cost"] is not None and not self._ledger.has_price(model):
            # At a price of 0 the limit would never be reached.
            raise ConfigError(
                f"max_cost limits calls of {model!r}, which has no price: add it to prices, "
                "as Price() where it costs nothing."
            )

    def _sum_held(self, place: int) -> float:
        return sum(entry[place] for entries in self._held.values() for entry in entries)

    def _check(self, name: str, used: float, wanted: float) -> None:
        limit = self._limits[name]
        if limit is None:
            return
        if used >= limit or used + wanted > limit:
            raise BudgetExceededError(
                f"the budget's {name}={limit:g} does not allow this call: {used:g} are used or "
                f"held, and it may need {wanted:g}. Raise the limit, or make a new budget.",
                limit=name,
                spent=used,
            )

    def __deepcopy__(self, _: object) -> "Budget":
        return self  # copies of a model spend from the same purse

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a budget cannot be pickled: two processes could not share it.")
