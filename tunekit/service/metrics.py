"""Counts what the service does, for Prometheus."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

import tunekit
from tunekit.storages.base import Exchange

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one process; a collector adds those of several.

    Attributes:
        registry: holds them all; parts of the service add their own.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        build = Gauge("tunekit_build", "Version of tunekit.", ["version"], registry=self.registry)
        build.labels(tunekit.__version__).set(1)
        self._requests = Histogram(
            "tunekit_request_seconds",
            "Time from a request to its answer.",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._operations = Counter(
            "tunekit_operations",
            "Workers' operations, by status: ok, lost, conflict.",
            ["status"],
            registry=self.registry,
        )
        self._claimed = Counter(
            "tunekit_claimed_trials", "Trials handed to workers.", registry=self.registry
        )
        self._batches = Histogram(
            "tunekit_commit_exchanges",
            "Exchanges that shared one transaction.",
            buckets=SIZES,
            registry=self.registry,
        )
        self._commits = Histogram(
            "tunekit_commit_seconds",
            "Time of a transaction of exchanges.",
            buckets=SECONDS,
            registry=self.registry,
        )

    def note_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request by its route, which has no names or ids in it."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def note_commit(self, answers: Sequence[Exchange | Exception], seconds: float) -> None:
        """Count a transaction of exchanges."""
        self._batches.observe(len(answers))
        self._commits.observe(seconds)
        for answer in answers:
            if isinstance(answer, Exchange):
                self._claimed.inc(len(answer.leases))
                for status in answer.statuses:
                    self._operations.labels(status).inc()

    def exposition(self) -> bytes:
        """Return all values in Prometheus' text format."""
        return generate_latest(self.registry)
