"""A real Ray cluster of several nodes on this machine, in a process of its own.

Ray takes over signal handlers and warns in the process that makes a cluster, so that is not the
one of the tests. Run as a script it takes commands, a line of JSON each, and answers each.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class RayCluster:
    """The test's end: nodes come, go and die as it says.

    Attributes:
        address: of the head, also after a restart.
        pid: of the process below which all of the cluster runs.
    """

    def __init__(self, **head: object) -> None:
        with socket.socket() as probe:
            probe.bind(("", 0))
            self.port = probe.getsockname()[1]
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.pid = self._process.pid
        self._head = head
        self.address = self._do("head", **head)

    def add(self, name: str, **options: object) -> None:
        """Let a node join."""
        self._do("add", name=name, **options)

    def kill(self, name: str) -> None:
        """Kill a node's processes with SIGKILL."""
        self._do("kill", name=name)

    def restart(self) -> None:
        """Kill the whole cluster and start its head again at the same address."""
        self._do("restart", **self._head)

    def close(self) -> None:
        """End the cluster."""
        self._process.communicate(timeout=60)

    def _do(self, verb: str, **options: object) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([verb, options]) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:  # Ray prints in between
            if line.startswith("done "):
                return line.split()[1]
        raise AssertionError(f"the cluster ended at {verb} {options}")


@contextmanager
def running_cluster(**head: object) -> Iterator[RayCluster]:
    """Yield a cluster with a head of these resources, as `ray.init` names them."""
    if not os.environ.get("CI"):
        pytest.importorskip("ray")
    cluster = RayCluster(**head)
    try:
        yield cluster
    finally:
        cluster.close()


def main(port: int) -> None:
    """Keep a cluster until our input ends."""
    from ray.cluster_utils import Cluster

    def start(head: dict[str, object]) -> Cluster:
        given = {"include_dashboard": False, "gcs_server_port": port, **head}
        return Cluster(initialize_head=True, head_node_args=given)

    cluster = None
    nodes = {}
    for line in sys.stdin:
        verb, options = json.loads(line)
        if verb == "head":
            cluster = start(options)
        elif verb == "add":
            name = options.pop("name")
            nodes[name] = cluster.add_node(**options)
        elif verb == "kill":
            cluster.remove_node(nodes.pop(options["name"]), allow_graceful=False)
        else:
            for node in [*cluster.worker_nodes, cluster.head_node]:
                node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
            cluster = start(options)
        print(f"done {cluster.address}", flush=True)
    if cluster is not None:
        cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
