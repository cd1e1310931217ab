"""Each fault of the table, in each of the 24 ways: what comes is what the table says."""

import gc
import threading
from collections.abc import Iterable, Iterator
from functools import partial

import pytest
from fault_table import FAULTS
from fault_ways import RIGHT, WAYS, Way, in_time, results_of
from faults import Fault, Steps
from raw_server import Asked, RawServer, Step
from right_answers import is_generation, otherwise, right


@pytest.fixture(scope="module", autouse=True)
def _new_objects_alone_are_collected() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def played(steps: Steps, asked: Asked) -> Iterable[Step]:
    return steps(asked, right(asked))


def check(fault: Fault, way: Way) -> None:
    """Play a fault to a model: its call ends as the table says, and the next one is answered."""
    given = fault.given(way)
    assert given is not None
    with RawServer(otherwise, is_scripted=is_generation) as server:
        server.play(*(partial(played, steps) for steps in (fault.steps, *fault.then)))
        first, second = results_of(way, way.model(server.url, **fault.settings))
        given.check(way, first)
        assert second == (RIGHT[way.form], None)
        asked = [request for request in server.requests if is_generation(request)]
        assert fault.requests is None or len(asked) == fault.requests + 1
        server.wait_until_left()


def complaints(fault: Fault, ways: list[Way]) -> list[str]:
    """Return what is wrong in some ways, which are gone side by side."""
    found: list[str] = []

    def one(way: Way) -> None:
        try:
            check(fault, way)
        except Exception as error:  # noqa: BLE001 - told with its way
            found.append(f"{way.id}: {type(error).__name__}: {error}")

    threads = [threading.Thread(target=one, args=(way,), daemon=True) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_gives_what_the_table_says(fault: Fault) -> None:
    """Class, message or answer are right, nothing is left, and the next call is answered."""
    before = set(threading.enumerate())
    ways = [way for way in WAYS if fault.given(way) is not None]
    found = in_time(lambda: complaints(fault, ways), 60)
    assert not found, "\n".join(found)
    assert set(threading.enumerate()) <= before
    gc.collect()
