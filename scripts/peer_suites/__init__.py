"""The peers' own test suites, run on our packages: `scripts/peer-suites` (see CONTRIBUTING.md)."""

from peer_suites import ollama_python

SUITES = {"ollama-python": ollama_python.SUITE}
