"""A real Ray cluster of several nodes on this machine, one for all tests of a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def running_cluster(**head: object) -> Iterator[object]:
    """Yield a `ray.cluster_utils.Cluster`, of which this process is no part."""
    if not os.environ.get("CI"):
        pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **head})
    try:
        yield cluster
    finally:
        cluster.shutdown()
