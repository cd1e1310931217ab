import ray
import pytest
from fleet import fleet_of
import time
from ollama_ext.ray import SharedLedger, chat_dataset, embed_dataset


def test_x(cluster):
    t = time.time()
    with fleet_of(["gpu1", "gpu2", "gpu3"]) as members:
        print("fleet", time.time() - t)
        rows = ray.data.from_items(
            [{"id": n, "text": f"passage {n}"} for n in range(2000)], override_num_blocks=20
        )
        ledger = SharedLedger()
        ds = embed_dataset(rows, model="demo-embed", hosts=[m.url for m in members], ledger=ledger)
        out = []
        for batch in ds.iter_batches(batch_size=100, batch_format="pyarrow"):
            if not out:
                members[1].kill()
            out += batch.to_pylist()
        print("done", time.time() - t)
        assert len(out) == 2000
        print(out[0])
        assert [r for r in out if r["error"]] == []
        print(ledger.snapshot())
