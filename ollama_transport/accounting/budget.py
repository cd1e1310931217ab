"""Limits on cost, tokens and requests, checked before a request is sent."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ollama_transport.accounting.ledger import ModelTotals, Price, UsageLedger
from ollama_transport.accounting.meters import CallRecord
from ollama_transport.accounting.worst_case import WorstCase, worst_case
from ollama_transport.concurrency.forks import Lock
from ollama_transport.errors import BudgetExceededError, ConfigError
from ollama_transport.wire.calls.call import Call


class Budget:
    """Forbids calls once an allowance is used up; any number of models and threads can share it.

    ```python
    from langchain_ollama_ext import ChatOllama
    from ollama_transport import Budget, BudgetExceededError

    budget = Budget(max_requests=1, max_tokens=100_000)
    model = ChatOllama(model="llama3.2", budget=budget)
    model.invoke("Hello")
    try:
        model.invoke("Hello again")
    except BudgetExceededError as error:
        print(error.limit, error.spent)
    print(budget.spent.total_tokens)
    ```

    ``max_cost`` is in the currency of the prices, ``max_tokens`` counts prompts and completions,
    ``max_requests`` the calls sent. None means no limit. Calls in flight are not counted until they
    end, so they can exceed a limit by what they cost.

    With ``reserve=True`` a limit cannot be exceeded: the worst case of each call is reserved while
    it is in flight. That is ``num_ctx`` tokens for the prompt (template, system message, tools and
    images all have to fit into it) and ``num_predict`` for the answer, so each call must set both.
    ``context_length`` (tokens) is used for calls without ``num_ctx``, such as those to an
    OpenAI-compatible server, and must be at least the context length of the server. Unused tokens
    are released when the call ends. The server raises ``num_ctx`` to 2048 for a vision model: set
    that or more. Embedding needs neither.

    Raises:
        ConfigError: without any limit, for a limit below 0, for ``max_cost`` without prices, and
            for a ``context_length`` below 1.
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
            raise ConfigError("a budget needs a limit: give max_cost, max_tokens or max_requests.")
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
        # By identity, since equal calls are separate; a list, since one call may be sent several
        # times at once.
        self._held: dict[int, list[WorstCase]] = {}
        self._reserved = (0, 0.0)

    @property
    def spent(self) -> ModelTotals:
        """Return what was used so far, without calls in flight."""
        with self._lock:
            return self._spent

    def begin(self, call: Call[Any], /) -> None:
        """Allow a call to begin, or forbid it.

        Raises:
            BudgetExceededError: when a limit is reached, or with ``reserve=True`` when the worst
                case of this call would exceed it.
            ConfigError: with ``reserve=True`` for a call whose worst case is unknown (see the
                class), and with ``max_cost`` for a model without a price.
        """
        self._check_price(call)
        # Without `reserve`, a call only has to find something left of the allowance.
        most = worst_case(call, self._context_length) if self._reserve else (0, 0)
        tokens, cost = sum(most), self._cost(call, most)
        # Checked and reserved under one lock: two calls must not both take the last of it.
        with self._lock:
            self._check("max_requests", self._started, 1)
            self._check("max_tokens", self._spent.total_tokens + self._reserved[0], tokens)
            self._check("max_cost", self._spent.cost + self._reserved[1], cost)
            self._started += 1
            self._held.setdefault(id(call), []).append(most)
            self._reserve_more(tokens, cost)

    def end(self, call: Call[Any], record: CallRecord, /) -> None:
        """Replace the reservation of a call by what it has cost."""
        with self._lock:
            # A call that another meter forbade was never sent, and costs nothing.
            self._started -= int(not record.sent)
            held = self._held[id(call)]
            most = held.pop()
            if not held:
                del self._held[id(call)]
            self._reserve_more(-sum(most), -self._cost(call, most))
            if self._reserve:
                # An estimate above the worst case would charge more than was reserved.
                record = _bounded(record, most)
            entry = self._ledger.entry(record) if record.sent else ModelTotals()
            self._spent = self._spent.plus(entry)

    def _reserve_more(self, tokens: int, cost: float) -> None:
        # Reset to 0 whenever nothing is reserved: sums of fractions would drift.
        self._reserved = (
            (self._reserved[0] + tokens, self._reserved[1] + cost) if self._held else (0, 0.0)
        )

    def _cost(self, call: Call[Any], most: WorstCase) -> float:
        return self._ledger.price(call.model if call.model is not None else "").of(*most)

    def _check_price(self, call: Call[Any]) -> None:
        model = call.model if call.model is not None else ""
        if self._limits["max_cost"] is not None and not self._ledger.has_price(model):
            # With a default price of 0 the limit would never be reached.
            raise ConfigError(
                f"max_cost is set, but {model!r} has no price: add it to prices, with Price() if "
                "it costs nothing."
            )

    def _check(self, name: str, used: float, wanted: float) -> None:
        limit = self._limits[name]
        if limit is None:
            return
        # The first condition is for calls whose worst case is not reserved: they want 0.
        if used >= limit or used + wanted > limit:
            raise BudgetExceededError(
                f"the budget's {name}={limit:g} does not allow this call: {used:g} are used or "
                f"reserved, and it may need {wanted:g}. Raise the limit, or make a new budget.",
                limit=name,
                spent=used,
            )

    def __deepcopy__(self, _: object) -> "Budget":
        return self  # copies of a model share its budget

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            "a budget cannot be pickled, two processes cannot share it: make one in each."
        )


def _bounded(record: CallRecord, most: WorstCase) -> CallRecord:
    """Return a record whose estimate does not exceed the worst case of the call."""
    usage = record.usage
    if usage is None or not usage.estimated:
        return record
    counts = (usage.prompt_tokens, usage.completion_tokens)
    prompt, said = (
        None if n is None else min(n, bound) for n, bound in zip(counts, most, strict=True)
    )
    return replace(record, usage=replace(usage, prompt_tokens=prompt, completion_tokens=said))
