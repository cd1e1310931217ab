"""The arithmetic of docs/scaling.md: from what a call, a token and a stream cost to many users."""

import math
from dataclasses import dataclass

from scaling_costs import Cost

USERS = (10, 1_000, 100_000, 10_000_000)


@dataclass(frozen=True)
class Assumed:
    """What this page cannot measure for its readers: how they use models, and their servers."""

    calls_an_hour: float = 12
    answer_tokens: int = 300
    tokens_a_second: float = 40
    """Of one stream on one GPU server, with all its places taken."""
    prompt_s: float = 1.0
    """Reading a prompt, before the first token."""
    at_once: int = 8
    """Answers that a server gives at once: OLLAMA_NUM_PARALLEL."""
    filled: float = 0.7
    """How full servers, cores and tables are at the busiest hour."""
    proxy_cores: int = 4
    proxy_streams: int = 2_000
    """`maxconn` of examples/haproxy.cfg."""
    ports: int = 28_232
    """Linux's ip_local_port_range: connections from one address to one address and port."""


@dataclass(frozen=True)
class Need:
    """What so many users need."""

    users: int
    calls_a_second: float
    tokens_a_second: float
    streams: float
    gpu_servers: int
    client_processes: int
    client_mib: float
    proxies: int
    proxy_cores: float
    proxy_mib: float
    proxy_files: float
    limits: dict[str, float]
    """How many times over one of each is filled, the fullest first."""


def needed(users: int, client: Cost, proxy: Cost, assumed: Assumed) -> Need:
    """Return what users need, by the costs of a client and of a proxy."""
    calls = users * assumed.calls_an_hour / 3600
    tokens = calls * assumed.answer_tokens
    streams = calls * (assumed.prompt_s + assumed.answer_tokens / assumed.tokens_a_second)
    cores = {
        name: (calls * cost.call_us + tokens * cost.token_us) / 1e6
        for name, cost in (("client", client), ("proxy", proxy))
    }
    filled = {
        "a GPU server": streams / assumed.at_once,
        "the core of a process": cores["client"],
        "`maxconn` of a proxy": streams / assumed.proxy_streams,
        "the cores of a proxy": cores["proxy"] / assumed.proxy_cores,
        "the ports of an address": streams / assumed.ports,
    }
    limits = {name: share / assumed.filled for name, share in filled.items()}
    in_proxy = [share for name, share in limits.items() if name.endswith("proxy")]
    return Need(
        users=users,
        calls_a_second=calls,
        tokens_a_second=tokens,
        streams=streams,
        gpu_servers=math.ceil(limits["a GPU server"]),
        client_processes=math.ceil(limits["the core of a process"]),
        client_mib=streams * client.stream_kib / 1024,
        proxies=math.ceil(max(in_proxy)),
        proxy_cores=cores["proxy"],
        proxy_mib=streams * proxy.stream_kib / 1024,
        proxy_files=streams * proxy.stream_files,
        limits=dict(sorted(limits.items(), key=lambda pair: -pair[1])),
    )
