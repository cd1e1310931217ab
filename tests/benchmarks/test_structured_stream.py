"""What a chunk of a streamed structured answer costs, beside the peer, within one run."""

import json
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from llamaindex_ollama_ext import Ollama

sys.path.insert(0, str(Path(__file__).parent))  # its neighbour runs as a script as well

from line_server import LineServer, drained

peer = pytest.importorskip(
    "llama_index.llms.ollama", reason="the peer to compare with is not installed"
)

ROUNDS = 5
GOAL = 1 / 20
# Figures of a loaded machine spread: half as good as the goal is no noise any more. Where a model
# is slower than its reader, each line wakes the reader up: the kernel's part of that is the same
# for all, and taken off both sides.
WORST = {"packets": 2 * GOAL, "writes": 2 * GOAL, "paced": 3 * GOAL}


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


def streamed(llm: Any) -> Any:
    """Return the last object of a stream."""
    prompt = PromptTemplate("Make a menu of {many} dishes.")
    (last,) = deque(llm.stream_structured_predict(Menu, prompt, many=60), maxlen=1)
    return last


def cpu_us(work: Callable[[], object], chunks: int) -> float:
    """Return the CPU of this thread for a chunk, in microseconds."""
    begin = time.thread_time()
    work()
    return (time.thread_time() - begin) / chunks * 1e6


@pytest.mark.parametrize("way", WORST)
def test_a_chunk_costs_a_small_part_of_what_it_costs_the_peer(
    way: str, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each chunk takes far less CPU than the peer's, and the object at the end is the same."""
    pieces = answer(60)
    with LineServer(list(lines(pieces)), way) as server:
        other = peer.Ollama("demo", base_url=server.url, context_window=4096)
        with Ollama("demo", server.url) as mine, closing(other.client._client):
            assert streamed(mine).model_dump() == json.loads("".join(pieces))
            works = (
                lambda: streamed(mine),
                lambda: streamed(other),
                lambda: drained(server.port),
            )
            rounds = [[cpu_us(work, len(pieces)) for work in works] for _ in range(ROUNDS)]
    us, them, floor = (statistics.median(column) for column in zip(*rounds, strict=True))
    taken_off = floor if way == "paced" else 0.0
    ratio = (us - taken_off) / (them - taken_off)
    record_property("ours_us_per_chunk", round(us, 1))
    record_property("peer_us_per_chunk", round(them, 1))
    record_property("bare_reads_us_per_chunk", round(floor, 1))
    with capsys.disabled():
        print(  # noqa: T201 - the figure is what this is for
            f"\n  structured stream in {way}, {len(pieces)} chunks: {us:.1f} us of CPU a chunk, "
            f"the peer {them:.1f}, bare reads {floor:.1f}: 1/{1 / ratio:.1f}"
            f"{' without the reads' if taken_off else ''} (goal 1/{1 / GOAL:.0f})"
        )
    assert ratio < WORST[way]
