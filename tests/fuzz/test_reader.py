"""Our HTTP reader against h11: the same verdict and body for any answer, however it is split."""

from pathlib import Path

import pytest
from http_answers import ANSWERS, EXAMPLES, SPLITS, corpus, kept, verdict_of_h11, verdict_of_ours
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def check(data: bytes, sizes: list[int]) -> None:
    expected = verdict_of_h11(data)
    for split in ([], sizes, [1] * len(data)):
        found = verdict_of_ours(data, split)
        if found != expected:
            kept(data)
        assert found == expected, (data, split)


@settings(
    max_examples=EXAMPLES, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(ANSWERS, SPLITS)
def test_any_answer_is_read_as_h11_reads_it(data: bytes, sizes: list[int]) -> None:
    """Generated and mutated answers, whole, in any pieces, and byte by byte."""
    check(data, sizes)


@pytest.mark.parametrize("path", corpus(), ids=lambda path: path.stem)
def test_former_failures_are_read_as_h11_reads_them(path: Path) -> None:
    """The kept corpus, split at each place."""
    data = path.read_bytes()
    step = max(1, len(data) // 200)
    for at in range(0, len(data), step):
        check(data, [at] if at else [])


@settings(
    max_examples=EXAMPLES, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(ANSWERS, st.integers(1, 7))
def test_unsolicited_bytes_are_never_the_next_body(data: bytes, size: int) -> None:
    """A whole answer with more behind it says so, however it came."""
    sizes = [size] * (len(data) // size)
    assert verdict_of_ours(data, sizes).surplus == verdict_of_h11(data).surplus
