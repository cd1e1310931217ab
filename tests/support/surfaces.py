"""The public surface of the packages that ours replace, as scripts/peer_surface.py wrote it."""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]


def surface_of(adapter: str) -> Any:
    """Return the snapshot for the tests of an adapter, "langchain" or "llamaindex"."""
    return json.loads((_ROOT / "tests" / adapter / "peer_surface.json").read_text())


def missing_parameters(function: Any, wanted: list[dict[str, Any]]) -> set[str]:
    """Return which of the parameters of a peer's method a method of ours does not take."""
    found = inspect.signature(function).parameters.values()
    kinds = {one.kind for one in found}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return set()
    stars = ("VAR_POSITIONAL", "VAR_KEYWORD")
    return {one["name"] for one in wanted if one["kind"] not in stars} - {one.name for one in found}


def differences() -> str:
    """Return how the snapshots differ from the peers that are installed; "" for not at all."""
    done = subprocess.run(
        [sys.executable, str(_ROOT / "scripts" / "peer_surface.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr
