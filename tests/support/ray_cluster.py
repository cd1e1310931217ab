"""A Ray cluster of two nodes on this machine, and what its tests share."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Read when Ray is imported, here and in its own processes.
os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",
    RAY_DISABLE_IMPORT_WARNING="1",
    # No progress on a terminal that nobody looks at.
    RAY_DATA_DISABLE_PROGRESS_BARS="1",
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
)

import ray
from ray.cluster_utils import Cluster

NODES, CPUS_EACH, MEMORY_EACH = 2, 2, 100 * 2**20


@contextmanager
def running_cluster() -> Iterator[None]:
    """Run two nodes and connect to them; end all of their processes at the end."""
    # Short, since the paths of sockets are limited to about 100 characters.
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    node = {"num_cpus": CPUS_EACH, "object_store_memory": MEMORY_EACH}
    head = {**node, "include_dashboard": False, "temp_dir": folder}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(NODES - 1):
            cluster.add_node(**node)
        ray.init(address=cluster.address, logging_level="error", log_to_driver=False)
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
