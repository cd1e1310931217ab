"""A Ray cluster of two nodes for the tests of this folder, which skip without Ray."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ASKED = "OLLAMA_EXT_RAY"
# Ray sets its own defaults, and warns of that.
DEFAULTS = pytest.mark.filterwarnings("ignore:`use_:DeprecationWarning:ray.data.context")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(DEFAULTS)


@pytest.fixture(scope="package")
def cluster() -> Iterator[None]:
    """Run a cluster of two nodes for the tests of this folder, where that is asked for."""
    if not os.environ.get(ASKED):
        pytest.skip(f"minutes on a cluster of two nodes: set {ASKED}=1")
    from ray_cluster import running_cluster

    with running_cluster():
        yield
