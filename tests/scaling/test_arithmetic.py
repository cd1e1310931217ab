"""docs/scaling.md: its tables follow from the figures that it shows, and can be measured."""

from pathlib import Path

import pytest
from burst import NAMES, STREAMS
from proxies import program_of
from scaling_costs import Cost, Load, costs_once, least
from scaling_needs import USERS, Assumed
from scaling_page import PAGE, costs_shown, part_of, rows_of, users_table, with_part

TEXT = PAGE.read_text()


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def test_the_table_of_users_is_current() -> None:
    """scripts/scaling makes it of the costs above it."""
    assert with_part(TEXT, "users", users_table(costs_shown(TEXT), Assumed())) == TEXT


def test_what_a_core_does_follows_from_its_costs() -> None:
    """A core has a million microseconds in a second."""
    for cells in rows_of(part_of(TEXT, "costs")):
        for us, rate in (cells[1:3], cells[3:5], cells[5:7]):
            assert number(us) * number(rate) == pytest.approx(1e6, rel=0.001)


def test_needs_follow_from_costs_and_words() -> None:
    """The arithmetic by hand, with the assumptions as the page's words have them."""
    assert all(
        words in " ".join(TEXT.split())
        for words in (
            "8 answers at once (`OLLAMA_NUM_PARALLEL=8`) of 40 tokens a second each",
            "a second for the prompt",
            "asks 12 times in the busiest hour",
            "an answer has 300 tokens",
            "nothing is filled beyond 70 %",
            "4 cores and the `maxconn 2000` of the example, an address 28,232 ports",
        )
    )
    assert "maxconn 2000" in (PAGE.parents[1] / "examples" / "haproxy.cfg").read_text()
    client, _, proxy, _ = costs_shown(TEXT).values()
    rows = {cells[0]: cells[1:] for cells in rows_of(part_of(TEXT, "users"))}
    for at, users in enumerate(USERS):
        calls = users * 12 / 3600
        streams = calls * (1 + 300 / 40)
        expected = {
            "calls a second": calls,
            "tokens a second": calls * 300,
            "streams at once": streams,
            "cores that the proxies use": calls * (proxy.call_us + 300 * proxy.token_us) / 1e6,
            "files that the proxies have open": streams * 2,
        }
        for title, value in expected.items():
            assert number(rows[title][at]) == pytest.approx(value, rel=0.05), (title, users)
        # Whole ones, at 70 %.
        cores = calls * (client.call_us + 300 * client.token_us) / 1e6 / 0.7
        assert 0 <= number(rows["processes of the program, a core each"][at]) - cores <= 1
        assert 0 <= number(rows["GPU servers"][at]) - streams / 8 / 0.7 <= 1


def test_the_spread_that_is_shown_adds_up() -> None:
    """250 chats and 20 streams for each proxy, over three servers, and what broke off."""
    rows = [[int(cell) for cell in cells[1:]] for cells in rows_of(part_of(TEXT, "spread"))]
    assert len(rows) == len(NAMES) + 1
    assert [sum(column) for column in zip(*rows, strict=True)] == [250, STREAMS] * 2
    killed = rows[1]
    assert killed[0] < min(rows[0][0], rows[2][0])


@pytest.mark.parametrize("kind", ["haproxy", "nginx"])
def test_costs_can_be_measured(kind: str) -> None:
    """A little load gives costs above nought; a proxy holds two connections for a stream."""
    if program_of(kind) is None:
        pytest.skip(f"no {kind}: apt-get install {kind}")
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("this kernel tells no CPU of a thread in /proc")
    costs = costs_once(kind, "LangChain", Load(streams=6, tokens=4, calls=12, texts=80))
    assert set(costs) == {"LangChain", kind}
    assert all(cost.call_us > 0 and cost.text_us > 0 for cost in costs.values())
    assert costs["LangChain"].stream_kib > 0


def test_the_least_disturbed_round_counts() -> None:
    """The least CPU of the rounds, and the middle of memory and files."""
    rounds = [Cost(3, 1, 5, 10, 2), Cost(1, 2, 6, 90, 2), Cost(2, 3, 4, 20, 1)]
    assert least(rounds) == Cost(1, 1, 4, 20, 2)
