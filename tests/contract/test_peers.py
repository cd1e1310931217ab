"""The snapshots of the peers' surfaces are true."""

import pytest
from surfaces import differences


def test_the_snapshots_are_what_the_peers_have() -> None:
    """Run `scripts/peer_surface.py` when the pinned peers change, and read what it changed."""
    pytest.importorskip("langchain_ollama", reason="the peers are not installed")
    assert differences() == ""
