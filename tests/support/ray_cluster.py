"""A Ray cluster of two nodes on this machine, and what its tests share."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Read when Ray is imported, here and in its own processes.
os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
    # A busy machine is not a dead one.
    RAY_health_check_timeout_ms="120000",
    RAY_health_check_initial_delay_ms="120000",
    RAY_worker_register_timeout_seconds="300",
)

import ray
import ray.data
from ray.cluster_utils import Cluster

ATTEMPTS, NODES, CPUS_EACH, MEMORY_EACH = 3, 2, 2, 100 * 2**20


@contextmanager
def running_cluster() -> Iterator[None]:
    """Run two nodes and connect to them; end all of their processes at the end.

    Ray gives up on a node that does not start within 30 seconds. It is tried again, and a machine
    that is too busy even then skips.
    """
    # Short, since the paths of sockets are limited to about 100 characters.
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    try:
        cluster = _started(folder)
        try:
            ray.init(address=cluster.address, logging_level="error", log_to_driver=False)
            ray.data.DataContext.get_current().enable_progress_bars = False
            yield
        finally:
            ray.shutdown()
            cluster.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: str) -> Cluster:
    node = {"num_cpus": CPUS_EACH, "object_store_memory": MEMORY_EACH, "include_log_monitor": False}
    head = {**node, "include_dashboard": False, "temp_dir": folder}
    for _ in range(ATTEMPTS):
        cluster = Cluster()
        try:
            for arguments in [head] + [node] * (NODES - 1):
                cluster.add_node(**arguments)
        except Exception as error:  # Ray raises a bare one for a node that is late
            cluster.shutdown()
            if "timed out" not in str(error):
                raise
        else:
            return cluster
    raise TimeoutError(
        f"Ray did not start its nodes in time, {ATTEMPTS} times: is the machine busy?"
    )
