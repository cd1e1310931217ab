"""A Ray cluster of two nodes for the tests of this folder, which skip without Ray."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

collect_ignore_glob = [] if find_spec("ray") else ["test_on_*.py"]


@pytest.fixture(scope="package")
def cluster() -> Iterator[None]:
    from ray_cluster import running_cluster

    with running_cluster():
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let Ray warn of its own defaults, here alone."""
    mark = pytest.mark.filterwarnings("ignore:`use_:DeprecationWarning:ray.data.context")
    for item in items:
        if "ray" in item.path.parent.name:
            item.add_marker(mark)
