"""What a chunk of a streamed structured answer costs, beside the peer, within one run."""

import json
import statistics
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from llamaindex_ollama_ext import Ollama
from ollama_transport.embedded import EmbeddedOllama, Reply

peer = pytest.importorskip(
    "llama_index.llms.ollama", reason="the peer to compare with is not installed"
)

ROUNDS = 5
GOAL = 1 / 20
# Figures of a loaded machine spread: half as good as the goal is no noise any more. Where each
# line is a read by itself, what httpx spends on the read is most of it, and the same for both.
FLOORS = {"in packets": 2 * GOAL, "line by line": 5 * GOAL}
PACKET = 16384


class Dish(BaseModel):
    name: str
    price: float
    vegan: bool
    tags: list[str]


class Menu(BaseModel):
    restaurant: str
    dishes: list[Dish]


def answer(dishes: int) -> list[str]:
    """Return the JSON of a menu in pieces as long as tokens are."""
    menu = Menu(
        restaurant="The Long Answer",
        dishes=[
            Dish(name=f"Dish number {i}", price=i + 0.5, vegan=i % 2 == 0, tags=["warm", "mild"])
            for i in range(dishes)
        ],
    )
    text = menu.model_dump_json()
    return [text[at : at + 5] for at in range(0, len(text), 5)]


def lines(pieces: list[str]) -> Iterator[dict[str, Any]]:
    head = {"model": "demo", "created_at": "2025-01-01T00:00:00Z"}
    for piece in pieces:
        yield {**head, "message": {"role": "assistant", "content": piece}, "done": False}
    yield {
        **head,
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 10,
        "eval_count": len(pieces),
    }


def cpu_of(llm: Any, chunks: int) -> tuple[float, Any]:
    """Return the CPU of this thread for a chunk, in microseconds, and the last object."""
    prompt = PromptTemplate("Make a menu of {many} dishes.")
    begin = time.thread_time()
    (last,) = deque(llm.stream_structured_predict(Menu, prompt, many=60), maxlen=1)
    return (time.thread_time() - begin) / chunks * 1e6, last


def replies(pieces: list[str], way: str) -> Reply:
    """Return the stream, each line written by itself or as many as fit into a packet."""
    stream = list(lines(pieces))
    if way == "line by line":
        return Reply.lines(stream)
    data = b"".join(json.dumps(line).encode() + b"\n" for line in stream)
    return Reply.raw(chunks=[data[at : at + PACKET] for at in range(0, len(data), PACKET)])


@pytest.mark.parametrize("way", ["in packets", "line by line"])
def test_a_chunk_costs_a_small_part_of_what_it_costs_the_peer(
    way: str, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each chunk takes far less CPU than the peer's, and the object at the end is the same."""
    pieces = answer(60)
    whole = json.loads("".join(pieces))
    ours, theirs = [], []
    with EmbeddedOllama() as server:
        server.script("POST", "/api/chat", replies(pieces, way), repeat=True)
        other = peer.Ollama("demo", base_url=server.url, context_window=4096)
        with Ollama("demo", server.url) as mine, closing(other.client._client):
            for _ in range(ROUNDS):
                cost, last = cpu_of(mine, len(pieces))
                assert last.model_dump() == whole
                ours.append(cost)
                theirs.append(cpu_of(other, len(pieces))[0])
    us, them = statistics.median(ours), statistics.median(theirs)
    record_property("ours_us_per_chunk", round(us, 1))
    record_property("peer_us_per_chunk", round(them, 1))
    with capsys.disabled():
        print(  # noqa: T201 - the figure is what this is for
            f"\n  structured stream {way}, {len(pieces)} chunks: {us:.1f} us of CPU a chunk, "
            f"the peer {them:.1f}: 1/{them / us:.1f} (goal 1/{1 / GOAL:.0f})"
        )
    assert us / them < FLOORS[way]
