"""A budget with reserve=True is never overshot, whatever the server adds to a prompt."""

import random
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from faked import Network, status
from recorded import all_names, recording
from running import Run

from ollama_ext.embedded import EmbeddedOllama, Gate, Reply
from ollama_transport import (
    Budget,
    BudgetExceededError,
    ChatRequest,
    Client,
    ConfigError,
    EmbedRequest,
    Message,
    Price,
)

HELLO = [Message("user", "Hello")]


@pytest.fixture
def server() -> Iterator[EmbeddedOllama]:
    with EmbeddedOllama() as running:
        yield running


def bounded(num_ctx: int, num_predict: int) -> ChatRequest:
    return ChatRequest("demo", HELLO, options={"num_ctx": num_ctx, "num_predict": num_predict})


def costing(prompt: int, said: int, **how: Any) -> Reply:
    end = {"done": True, "prompt_eval_count": prompt, "eval_count": said}
    return Reply.json({"message": {"role": "assistant", "content": "x"}, **end}, **how)


@pytest.mark.parametrize("seed", range(3))
def test_calls_side_by_side_never_overshoot(server: EmbeddedOllama, seed: int) -> None:
    """16 threads, each answer as dear as all of them may be: the limit holds at each moment."""
    chance, budget, seen = random.Random(seed), Budget(max_tokens=2000, reserve=True), [0]
    # Which call gets which reply is open, so each reply is as dear as the least request allows.
    asked = [(chance.randint(50, 200), chance.randint(5, 60)) for _ in range(150)]
    server.script("POST", "/api/chat", costing(50, 5), repeat=True)

    def work(limits: tuple[int, int]) -> bool:
        try:
            return client.chat(bounded(*limits)).done
        except BudgetExceededError:
            return False
        finally:
            seen.append(budget.spent.total_tokens)

    with Client(server.url, meters=[budget]) as client, ThreadPoolExecutor(16) as pool:
        done = sum(pool.map(work, asked))
    assert 0 < done < len(asked)
    assert max(seen) <= 2000


def test_the_dearest_answers_fill_the_budget_to_the_token(server: EmbeddedOllama) -> None:
    """Ten calls at once that use all they may: what fits is sent, and nothing is left over."""
    gate = Gate()
    server.script("POST", "/api/chat", costing(30, 10, gate=gate), repeat=True)
    budget, outcomes = Budget(max_tokens=200, reserve=True), []

    def work() -> None:
        try:
            client.chat(bounded(30, 10))
            outcomes.append(True)
        except BudgetExceededError:
            outcomes.append(False)

    with Client(server.url, meters=[budget]) as client:
        threads = [threading.Thread(target=work) for _ in range(10)]
        for thread in threads:
            thread.start()
        assert server.wait_for_requests(5)
        gate.set()
        for thread in threads:
            thread.join(30)
    assert budget.spent.total_tokens <= 200
    assert sum(outcomes) >= 5
    assert budget.spent.total_tokens == 40 * sum(outcomes)


def test_the_template_is_held_as_well(run: Run) -> None:
    """A word can become any number of tokens: what is held is the whole context."""
    network = Network("chat/tiny-chat/hello-whole")
    client = run.client(transport=network, meters=[Budget(max_tokens=200, reserve=True)])
    error = run.thrown(client.chat, bounded(191, 10))
    assert isinstance(error, BudgetExceededError)
    assert "it may need 201" in str(error)
    assert run(client.chat(bounded(190, 10))).done


def test_images_are_held_with_the_context_that_the_server_takes_for_them(run: Run) -> None:
    """A vision model has a context of 2048 tokens at least (wire reference 3.8)."""
    network = Network("chat/tiny-chat/hello-whole")
    client = run.client(transport=network, meters=[Budget(max_tokens=2000, reserve=True)])
    shown = [Message("user", "What is it?", images=[b"\x89PNG"])]
    request = ChatRequest("m", shown, options={"num_ctx": 10, "num_predict": 1})
    assert "it may need 2049" in str(run.thrown(client.chat, request))


def test_a_prompt_without_a_bound_is_refused(run: Run) -> None:
    """Without num_ctx nobody knows what the template adds: the error names it."""
    network = Network("chat/tiny-chat/hello-whole")
    client = run.client(transport=network, meters=[Budget(max_tokens=9000, reserve=True)])
    error = run.thrown(client.chat, ChatRequest("m", HELLO, options={"num_predict": 5}))
    assert isinstance(error, ConfigError)
    assert "num_ctx" in str(error)
    assert network.requests == []


def test_the_budget_uses_the_context_length_of_an_openai_server(run: Run) -> None:
    """There num_ctx cannot be sent; each of the answers that the best is taken of is held."""
    budget = Budget(max_tokens=100, reserve=True, context_length=80)
    network = Network("openai/length-whole")
    client = run.client("http://127.0.0.1:1/v1", transport=network, meters=[budget])
    asked = {"options": {"num_predict": 7}}
    assert run(client.chat(ChatRequest("m", HELLO, **asked))).text
    error = run.thrown(client.chat, ChatRequest("m", HELLO, extra={"best_of": 4}, **asked))
    assert isinstance(error, BudgetExceededError)
    assert "it may need 108" in str(error)


def test_texts_to_embed_are_held_by_their_bytes(run: Run) -> None:
    """No text has more tokens than bytes, but for the marks at its ends."""
    network = Network("embed/three")
    client = run.client(transport=network, meters=[Budget(max_tokens=19, reserve=True)])
    assert "it may need 20" in str(
        run.thrown(client.embed, EmbedRequest("m", ["é" * 4, "abcdefgh"]))
    )
    assert network.requests == []


def test_an_estimate_is_not_above_what_was_held(run: Run) -> None:
    """What a cut answer may have cost cannot be more than its request allowed."""
    budget = Budget(max_tokens=100, reserve=True)
    long = [Message("user", "word " * 1000)]
    request = ChatRequest("m", long, options={"num_ctx": 20, "num_predict": 5})
    client = run.client(transport=Network("chat/tiny-chat/closed-early"), meters=[budget])
    _, error = run.until_error(client.chat_stream(request))
    assert error is not None
    assert 0 < budget.spent.total_tokens <= 25


def test_a_failed_call_releases_its_reservation(run: Run) -> None:
    """A refused call holds nothing any more, and neither tokens nor money drift."""
    prices = {"demo": Price(prompt=0.1, completion=0.7)}
    budget = Budget(max_tokens=40, max_cost=1.0, prices=prices, reserve=True)
    client = run.client(transport=Network(status(400, "no")), meters=[budget], max_retries=0)
    for _ in range(7):
        assert not isinstance(run.thrown(client.chat, bounded(30, 10)), BudgetExceededError)
    assert budget._reserved == (0, 0.0)


def test_recorded_answers_keep_to_what_is_held() -> None:
    """In no answer of a real server are more tokens than num_ctx and num_predict allow."""
    checked = 0
    for found in map(recording, all_names()):
        body = found.body if isinstance(found.body, dict) else {}
        most = (body.get("options") or {}).get("num_predict", body.get("max_tokens"))
        if most is None or found.status != 200:
            continue
        counts = re.findall(rb'"(?:eval_count|completion_tokens)":\s*(\d+)', found.data)
        assert all(int(count) <= most for count in counts)
        checked += len(counts)
    assert checked > 10
