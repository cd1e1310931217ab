"""Bulk work on a cluster of two nodes with three servers, each in a process of its own."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason='no Ray: pip install -e ".[test-ray]"')

import pyarrow.parquet as pq
import ray
import ray.data
from fleet import fleet_of
from fleet_server import GO_ON

from ollama_ext.ray import SharedLedger, chat_dataset, embed_dataset
from ollama_ext.ray._slots import Slots
from ollama_transport import Price

NAMES = ["gpu1", "gpu2", "gpu3"]
# Each worker of Ray imports for seconds, on two cores that others need as well.
PATIENCE_S = 300
TOO_LONG = "word " * 20_000

pytestmark = pytest.mark.usefixtures("cluster")


def seen_soon(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def teller(folder: Path) -> Any:
    """Return a meter that leaves a file for each process and each node that it is used in."""

    # Local, so that it goes to the workers whole: they do not know this module.
    class Teller:
        def begin(self, _call: Any) -> None:
            (folder / f"{os.getpid()}.pid").touch()
            (folder / f"{ray.get_runtime_context().get_node_id()}.node").touch()

        def end(self, _call: Any, _record: Any) -> None:
            pass

    return Teller()


def killer(pid: int, after: int) -> Any:
    """Return a meter that kills a process when so many requests have begun."""

    class Killer:
        begun = 0

        def begin(self, _call: Any) -> None:
            self.begun += 1
            if self.begun == after:
                os.kill(pid, signal.SIGKILL)

        def end(self, _call: Any, _record: Any) -> None:
            pass

    return Killer()


def test_all_rows_come_back_without_a_server_and_a_worker(tmp_path: Path) -> None:
    """Both are killed while they are at work; their rows are asked again elsewhere.

    No row has an error, and the ledger has the requests of all workers.
    """
    gate, ledger = tmp_path / "gate", SharedLedger({"demo": Price(completion=1_000_000)})
    prompts = [{"id": n, "prompt": f"{GO_ON}{gate}"} for n in range(24)]
    with fleet_of(NAMES, 0.01) as members, ThreadPoolExecutor(1) as side:
        answered = chat_dataset(
            ray.data.from_items(prompts, override_num_blocks=6),
            model="demo",
            hosts=[member.url for member in members],
            per_server=2,
            workers=2,
            # More than half of what a node has: one worker on each.
            num_cpus=1.5,
            batch_size=4,
            client={"meters": [teller(tmp_path)]},
            ledger=ledger,
        )
        running = side.submit(answered.take_all)
        try:
            seen_soon(lambda: all(gate.with_suffix(f".{name}").exists() for name in NAMES))
            seen_soon(lambda: len(list(tmp_path.glob("*.node"))) == 2)
            members[1].kill()
            worker = next(tmp_path.glob("*.pid"))
            os.kill(int(worker.stem), signal.SIGKILL)
        finally:
            gate.touch()
        rows = running.result(PATIENCE_S)
    assert sorted(row["id"] for row in rows) == list(range(24))
    assert [row["error"] for row in rows if row["error"] is not None] == []
    assert all(row["answer"].endswith("word4 ") for row in rows)
    # Either may answer all of them: slots of the killed worker are free again only after a while.
    assert {row["answer"].split()[0] for row in rows} <= {"gpu1", "gpu3"}
    total = ledger.snapshot().models["demo"]
    assert total.requests >= 24
    assert total.cost == total.completion_tokens > 24 * 5


def test_a_second_run_asks_for_what_is_missing(tmp_path: Path) -> None:
    """Rows that have a vector in the folder cost nothing; new ones and failed ones are asked.

    A server is killed on the way, and every text but the one that no server takes has a vector.
    """
    texts = {number: f"passage {number}" for number in range(300)}
    first, second = SharedLedger(), SharedLedger()

    def embedded(texts: dict[int, str], **how: Any) -> dict[int, Any]:
        rows = [{"id": number, "text": text} for number, text in texts.items()]
        embed_dataset(
            ray.data.from_items(rows, override_num_blocks=2),
            model="demo-embed",
            texts_per_request=8,
            workers=1,
            key="id",
            output=str(tmp_path / "vectors"),
            request={"truncate": False},
            **how,
        )
        found = pq.read_table(tmp_path / "vectors").to_pylist()
        assert len(found) == len(texts)
        return {row["id"]: row for row in found}

    with fleet_of(NAMES) as members:
        hosts = [member.url for member in members]
        some = {number: texts[number] for number in range(200)} | {7: TOO_LONG}
        client = {"meters": [killer(members[2].process.pid, after=10)]}
        rows = embedded(some, hosts=hosts, client=client, ledger=first)
        members[2].process.wait(PATIENCE_S)
        assert [n for n, row in rows.items() if row["error"]] == [7]
        assert rows[7]["embedding"] is None
        assert rows[7]["error"].startswith("ContextOverflowError")
        rows = embedded(texts, hosts=hosts[:1], ledger=second)
    assert [n for n, row in rows.items() if row["error"]] == []
    vectors = {tuple(row["embedding"]) for row in rows.values()}
    assert len(vectors) == len(texts)
    # Two tokens in each text.
    assert first.snapshot().total.prompt_tokens >= 2 * 199
    assert second.snapshot().total.prompt_tokens == 2 * 101


def test_slots_of_a_dead_worker_are_lent_again() -> None:
    """Else its servers would seem busy for ever."""

    class Borrower:
        def take(self, slots: Any) -> None:
            ray.get(slots.take.remote(ray.get_runtime_context().current_actor))

    slots = ray.remote(num_cpus=0)(Slots).remote(["gpu1"], 1)
    first, second = (ray.remote(num_cpus=0)(Borrower).remote() for _ in range(2))
    ray.get(first.take.remote(slots), timeout=PATIENCE_S)
    ray.kill(first)
    ray.get(second.take.remote(slots), timeout=PATIENCE_S)


def test_a_column_that_is_not_there_is_an_error() -> None:
    """The run ends with the names of those that are there."""
    rows = ray.data.from_items([{"words": "a cat"}])
    with pytest.raises(Exception, match=r"no column 'text': there are \['words'\]"):
        embed_dataset(rows, model="demo-embed").take_all()
