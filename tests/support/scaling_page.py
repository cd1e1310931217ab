"""The figures of docs/scaling.md: what a call costs, what many users need, how work spreads."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from burst import NAMES as NAMES_OF_SERVERS
from burst import Burst, by_server
from scaling_costs import Cost
from scaling_needs import USERS, Assumed, Need, needed

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
NAMES = {
    "LangChain": "LangChain, one process",
    "LlamaIndex": "LlamaIndex, one process",
    "haproxy": "HAProxy, `examples/haproxy.cfg`",
    "nginx": "nginx, `examples/nginx.conf`",
}
COSTS = [
    *("", "CPU µs a call", "calls/s a core", "CPU µs a token", "tokens/s a core"),
    *("CPU µs a text", "texts/s a core", "KiB a stream", "files a stream"),
]
# By these costs the table of users is computed.
CLIENT, PROXY = "LangChain", "haproxy"


def with_part(page: str, name: str, text: str) -> str:
    """Return a page with one part written anew, between its two comments."""
    begin, end = f"<!-- {name}: scripts/scaling -->\n", f"<!-- end of {name} -->\n"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the page has no part {name!r}")
    return f"{before}{begin}\n{text}\n\n{end}{after}"


def part_of(page: str, name: str) -> str:
    """Return the text of one part."""
    rest = page.partition(f"<!-- {name}: scripts/scaling -->\n")[2]
    return rest.partition(f"<!-- end of {name} -->")[0]


def rows_of(part: str) -> list[list[str]]:
    """Return the cells of a table below its head."""
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def markdown(rows: Sequence[Iterable[str]]) -> str:
    """Return a table whose first column is text and whose others are numbers."""
    head, *others = [[*row] for row in rows]
    rule = ["---", *("--:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *others))


def costs_table(costs: dict[str, Cost]) -> str:
    """Return what each program costs, and how much a core of it does in a second."""
    rows = [COSTS]
    for name, title in NAMES.items():
        cost = costs[name]
        cells = [title]
        for us in (cost.call_us, cost.token_us, cost.text_us):
            cells += [f"{us:,.0f}", f"{1e6 / round(us):,.0f}"]
        rows.append([*cells, f"{cost.stream_kib:.0f}", f"{cost.stream_files:.0f}"])
    return markdown(rows)


def costs_shown(page: str) -> dict[str, Cost]:
    """Return the costs as a reader sees them."""
    found = {}
    for name, cells in zip(NAMES, rows_of(part_of(page, "costs")), strict=True):
        numbers = [float(cell.replace(",", "")) for cell in cells[1:]]
        found[name] = Cost(numbers[0], numbers[2], numbers[4], numbers[6], numbers[7])
    return found


def users_table(costs: dict[str, Cost], assumed: Assumed) -> str:
    """Return what each number of users needs, a column each."""
    needs = [needed(users, costs[CLIENT], costs[PROXY], assumed) for users in USERS]
    rows = [["users", *(f"{need.users:,}" for need in needs)]]
    for title, cell in _CELLS.items():
        rows.append([title, *map(cell, needs)])
    return markdown(rows)


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _limits(need: Need) -> str:
    reached = [f"{name} ×{_amount(times)}" for name, times in need.limits.items() if times > 1]
    return "<br>".join(reached) or "none"


_CELLS = {
    "calls a second": lambda need: _amount(need.calls_a_second),
    "tokens a second": lambda need: _amount(need.tokens_a_second),
    "streams at once": lambda need: _amount(need.streams),
    "GPU servers": lambda need: f"{need.gpu_servers:,}",
    "processes of the program, a core each": lambda need: f"{need.client_processes:,}",
    "the processes' memory for streams, MiB": lambda need: _amount(need.client_mib),
    "proxies": lambda need: f"{need.proxies:,}",
    "cores that the proxies use": lambda need: _amount(need.proxy_cores),
    "the proxies' memory for streams, MiB": lambda need: _amount(need.proxy_mib),
    "files that the proxies have open": lambda need: _amount(need.proxy_files),
    "limits of one of each that are reached": _limits,
}


def spread_table(bursts: dict[str, Burst], killed: str) -> str:
    """Return what each server answered, and what broke off on the killed one."""
    rows = [["", *(f"{kind}: {what}" for kind in bursts for what in ("calls", "streams"))]]
    counted = [
        counts
        for burst in bursts.values()
        for counts in (by_server(burst.answers), by_server(burst.whole))
    ]
    broken = [len(some) for burst in bursts.values() for some in (burst.failed, burst.broken)]
    for name in NAMES_OF_SERVERS:
        title = f"{name}, killed on the way" if name == killed else name
        rows.append([f"answered by {title}", *(f"{counts[name]}" for counts in counted)])
    rows.append([f"broken off on {killed}", *map(str, broken)])
    return markdown(rows)
