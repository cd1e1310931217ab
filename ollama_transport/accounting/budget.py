"""A limit on what may be used, checked before a request is sent."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ollama_transport.accounting.ledger import ModelTotals, Price, UsageLedger
from ollama_transport.accounting.meters import CallRecord
from ollama_transport.accounting.worst_case import WorstCase, worst_case
from ollama_transport.concurrency.forks import Lock
from ollama_transport.errors import BudgetExceededError, ConfigError
from ollama_transport.wire.calls import Call


class Budget:
    """Forbids calls once an allowance is used up; one serves any number of models and threads.

    ``max_cost`` is in the currency of the prices, ``max_tokens`` counts prompts and completions,
    ``max_requests`` the calls sent. None means no limit. What is in flight is not counted yet, so
    calls under way can overshoot by what they cost.

    With ``reserve=True`` it cannot be overshot: while a call is under way, the most that it can
    cost is held for it. That is ``num_ctx`` tokens of prompt (template, system message, tools and
    images all have to fit in there) and ``num_predict`` of answer, so each call has to set both.
    ``context_length`` (tokens) stands for ``num_ctx`` where a call sets none, and has to be the
    server's own or more: an OpenAI-compatible server takes no ``num_ctx``. What is not used is
    free again when the call ends. A vision model has a context of 2048 at least, whatever
    ``num_ctx`` says: give that or more. Texts to embed need neither.

    Raises:
        ConfigError: without any limit, for one below 0, for ``max_cost`` without prices, and for
            a ``context_length`` below 1.
    """

    def __init__(
        self,
        *,
        max_cost: float | None = None,
        max_tokens: int | None = None,
        max_requests: int | None = None,
        prices: Mapping[str, Price] | None = None,
        reserve: bool = False,
        context_length: int | None = None,
    ) -> None:
        limits = {"max_cost": max_cost, "max_tokens": max_tokens, "max_requests": max_requests}
        if all(limit is None for limit in limits.values()):
            raise ConfigError("a budget limits something: max_cost, max_tokens or max_requests.")
        for name, limit in limits.items():
            if limit is not None and limit < 0:
                raise ConfigError(f"{name}={limit}: give 0 or more.")
        if max_cost is not None and not prices:
            raise ConfigError("max_cost needs prices: give prices={'model': Price(...)}.")
        if context_length is not None and context_length < 1:
            raise ConfigError(f"context_length={context_length}: give tokens, 1 or more.")
        self._limits = limits
        self._ledger = UsageLedger(prices)
        self._reserve = reserve
        self._context_length = context_length
        self._lock = Lock()
        self._spent = ModelTotals()
        self._started = 0
        self._held: dict[int, list[WorstCase]] = {}
        self._reserved = (0, 0.0)

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
            ConfigError: for a call whose worst case is to be held and is not known (see the class),
                and for a model without a price where the cost is limited.
        """
        self._check_price(call)
        most = worst_case(call, self._context_length) if self._reserve else (0, 0)
        tokens, cost = sum(most), self._cost(call, most)
        with self._lock:
            self._check("max_requests", self._started, 1)
            self._check("max_tokens", self._spent.total_tokens + self._reserved[0], tokens)
            self._check("max_cost", self._spent.cost + self._reserved[1], cost)
            self._started += 1
            self._held.setdefault(id(call), []).append(most)
            self._reserve_more(tokens, cost)

    def end(self, call: Call[Any], record: CallRecord, /) -> None:
        """Take what a call has cost out of the budget."""
        with self._lock:
            self._started -= int(not record.sent)
            held = self._held[id(call)]
            most = held.pop()
            if not held:
                del self._held[id(call)]
            self._reserve_more(-sum(most), -self._cost(call, most))
            if self._reserve:
                record = _bounded(record, most)
            entry = self._ledger.entry(record) if record.sent else ModelTotals()
            self._spent = self._spent.plus(entry)

    def _reserve_more(self, tokens: int, cost: float) -> None:
        # From nothing again whenever nothing is held: sums of fractions would drift.
        self._reserved = (
            (self._reserved[0] + tokens, self._reserved[1] + cost) if self._held else (0, 0.0)
        )

    def _cost(self, call: Call[Any], most: WorstCase) -> float:
        return self._ledger.price(call.model if call.model is not None else "").of(*most)

    def _check_price(self, call: Call[Any]) -> None:
        model = call.model if call.model is not None else ""
        if self._limits["max_cost"] is not None and not self._ledger.has_price(model):
            # At a price of 0 the limit would never be reached.
            raise ConfigError(
                f"max_cost limits calls of {model!r}, which has no price: add it to prices, "
                "as Price() where it costs nothing."
            )

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


def _bounded(record: CallRecord, most: WorstCase) -> CallRecord:
    """Return a record whose estimate is not above what the call can have cost."""
    usage = record.usage
    if usage is None or not usage.estimated:
        return record
    counts = (usage.prompt_tokens, usage.completion_tokens)
    prompt, said = (
        None if n is None else min(n, bound) for n, bound in zip(counts, most, strict=True)
    )
    return replace(record, usage=replace(usage, prompt_tokens=prompt, completion_tokens=said))
