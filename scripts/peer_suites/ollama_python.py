"""The suite of ollama-python: mocks of a server, by pytest-httpserver."""

from peer_suites.suite import Suite

SUITE = Suite(
    requirement="ollama==0.6.3",
    tests=["tests"],
    plugin="as_ollama",
    arguments=["-p", "no:asyncio"],
    differs={},
)
