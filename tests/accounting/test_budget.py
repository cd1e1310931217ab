"""A budget forbids calls before they are sent."""

import copy
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from faked import Network, status
from running import Run

from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import (
    Budget,
    BudgetExceededError,
    ChatRequest,
    Client,
    ConfigError,
    EmbedRequest,
    Limits,
    Message,
    Price,
    RetryPolicy,
    UsageLedger,
)

HELLO = ChatRequest("tiny-chat", [Message("user", "Hello")])
ANSWER = "chat/tiny-chat/hello-whole"  # 9 tokens of prompt, 11 of answer
PRICES = {"tiny-chat": Price(prompt=1_000_000, completion=2_000_000)}


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as running:
        yield running


@pytest.mark.parametrize(
    ("limit", "value", "allowed"),
    [("max_requests", 2, 2), ("max_tokens", 21, 2), ("max_tokens", 20, 1), ("max_cost", 30, 1)],
)
def test_a_used_up_budget_forbids_the_next_call(
    run: Run, limit: str, value: int, allowed: int
) -> None:
    """The error names the limit and what was spent, and nothing is sent."""
    prices = PRICES if limit == "max_cost" else None
    network = Network(ANSWER)
    budget = Budget(**{limit: value}, prices=prices)
    client = run.client(transport=network, meters=[budget])
    for _ in range(allowed):
        run(client.chat(HELLO))
    error = run.thrown(client.chat, HELLO)
    assert isinstance(error, BudgetExceededError)
    assert error.limit == limit
    assert error.spent >= value
    assert limit in str(error)
    assert len(network.requests) == allowed


def test_a_stream_is_forbidden_as_well(run: Run) -> None:
    """A budget of nothing sends nothing."""
    network = Network(ANSWER)
    client = run.client(transport=network, meters=[Budget(max_requests=0)])
    _, error = run.until_error(client.chat_stream(HELLO))
    assert isinstance(error, BudgetExceededError)
    assert network.requests == []


def test_failed_calls_are_requests_and_tries_are_not(run: Run) -> None:
    """A call counts once, however often it was tried."""
    network = Network(status(503, "busy"), status(503, "busy"), status(400, "no"))
    retry = RetryPolicy(max_retries=2, first_wait_s=0)
    client = run.client(transport=network, meters=[Budget(max_requests=1)], retry=retry)
    assert not isinstance(run.thrown(client.chat, HELLO), BudgetExceededError)
    assert isinstance(run.thrown(client.chat, HELLO), BudgetExceededError)


def test_forbidden_calls_are_in_no_ledger(run: Run) -> None:
    """A ledger beside the budget counts the calls that were sent, in either order."""
    for first in (True, False):
        ledger, budget = UsageLedger(), Budget(max_requests=1)
        meters: list[Any] = [ledger, budget] if first else [budget, ledger]
        client = run.client(transport=Network(ANSWER), meters=meters)
        run(client.chat(HELLO))
        run.thrown(client.chat, HELLO)
        assert ledger.snapshot().total.requests == 1


def test_calls_side_by_side_overshoot_by_what_is_in_flight(server: EmbeddedOllama) -> None:
    """With two places, 16 threads spend at most the limit and two calls' worth."""
    budget = Budget(max_tokens=40)
    client = Client(server.url, meters=[budget], limits=Limits(2))
    request = ChatRequest("demo", [Message("user", "Hi")])
    with client:
        one = client.chat(request).usage
        assert one is not None
        cost = one.total_tokens or 0

        def work(_: int) -> bool:
            try:
                return client.chat(request).done
            except BudgetExceededError:
                return False

        with ThreadPoolExecutor(16) as pool:
            done = sum(pool.map(work, range(40)))
    assert done < 40
    assert 40 <= budget.spent.total_tokens < 40 + 2 * cost


def test_a_reserving_budget_holds_what_is_in_flight(server: EmbeddedOllama) -> None:
    """While one call may still need everything, the next is forbidden; then it may go."""
    gate = Gate()
    server.script("POST", "/api/chat", Reply.json(ENDED, gate=gate))
    budget = Budget(max_tokens=60, reserve=True)
    request = ChatRequest("demo", HELLO.messages, options={"num_predict": 30, "num_ctx": 10})
    with Client(server.url, meters=[budget]) as client:
        first = threading.Thread(target=client.chat, args=(request,))
        first.start()
        server.wait_for_requests(1)
        with pytest.raises(BudgetExceededError):
            client.chat(request)
        gate.set()
        first.join()
        assert budget.spent.total_tokens == 7
        assert client.chat(request).done


ENDED = {
    "model": "demo",
    "message": {"role": "assistant", "content": "Yes"},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 5,
    "eval_count": 2,
}


@pytest.mark.parametrize("options", [{}, {"num_predict": -1}, {"num_predict": 0}])
def test_an_unbounded_call_cannot_be_reserved(run: Run, options: dict[str, Any]) -> None:
    """The worst case of an answer without a limit is not known."""
    network = Network(ANSWER)
    client = run.client(transport=network, meters=[Budget(max_tokens=9000, reserve=True)])
    error = run.thrown(
        client.chat, ChatRequest("m", HELLO.messages, options={"num_ctx": 99, **options})
    )
    assert isinstance(error, ConfigError)
    assert "num_predict" in str(error)
    assert network.requests == []


def test_vectors_need_no_limit_to_be_reserved(run: Run) -> None:
    """An embedding has no answer that could grow."""
    client = run.client(
        transport=Network("embed/one"), meters=[Budget(max_tokens=100, reserve=True)]
    )
    assert run(client.embed(EmbedRequest("m", ["a cat"]))).vectors


def test_a_model_without_a_price_is_refused(run: Run) -> None:
    """At a price of nothing a cost is never reached: that is said instead."""
    client = run.client(
        transport=Network(ANSWER), meters=[Budget(max_cost=1.0, prices={"other": Price(1)})]
    )
    error = run.thrown(client.chat, HELLO)
    assert isinstance(error, ConfigError)
    assert "tiny-chat" in str(error)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({}, "needs a limit"), ({"max_tokens": -1}, "0 or more"), ({"max_cost": 1}, "prices")],
)
def test_a_budget_that_cannot_work_is_refused(arguments: dict[str, Any], word: str) -> None:
    """A mistake is found when the budget is made."""
    with pytest.raises(ConfigError, match=word):
        Budget(**arguments)


def test_copies_spend_from_one_purse() -> None:
    """A deep copy is the same budget; another process cannot have it."""
    budget = Budget(max_requests=1)
    assert copy.deepcopy(budget) is budget
    with pytest.raises(TypeError, match="two processes"):
        pickle.dumps(budget)
