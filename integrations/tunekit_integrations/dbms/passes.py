"""Divides a pass over queries into parts of a second or two, and joins what was measured of them.

Default and candidate take turns at each part, so that what changes on a busy machine within a pass
hits both alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from tunekit_integrations.dbms.latencies import percentiles
from tunekit_integrations.dbms.records import Measurement
from tunekit_integrations.dbms.target import Workload


@runtime_checkable
class Divisible(Protocol):
    """A workload of queries, whose pass can be run in parts."""

    def parts(self, seconds_of: Mapping[str, float], seconds: float) -> Sequence[Workload]:
        """Return workloads that together run each query as often as one pass does.

        Args:
            seconds_of: query -> its seconds in a pass; one that is not there counts nothing.
            seconds: that a part takes at least, but for the last one.
        """
        ...


def grouped(seconds_of: Mapping[str, float], seconds: float) -> list[list[str]]:
    """Return names in groups that take at least so long each; a short rest joins the last."""
    groups: list[list[str]] = [[]]
    taken = 0.0
    for name, took in seconds_of.items():
        if taken >= seconds:
            groups.append([])
            taken = 0.0
        groups[-1].append(name)
        taken += took
    if len(groups) > 1 and taken < seconds / 2:
        rest = groups.pop()
        groups[-1] += rest
    return groups


def joined(parts: Sequence[Measurement]) -> Measurement:
    """Return the measurement of a pass from those of its parts."""
    if len(parts) == 1:
        return parts[0]
    executions = tuple(s for part in parts for s in part.executions)
    cpu = [part.cpu_seconds for part in parts]
    return Measurement(
        units=sum(part.units for part in parts),
        seconds=math.fsum(part.seconds for part in parts),
        cpu_seconds=None if None in cpu else math.fsum(s for s in cpu if s is not None),
        latency_s=percentiles(executions),
        errors=sum(part.errors for part in parts),
        temp_bytes=sum(part.temp_bytes for part in parts),
        wal_bytes=sum(part.wal_bytes for part in parts),
        per_query={name: s for part in parts for name, s in part.per_query.items()},
        digests={name: digest for part in parts for name, digest in part.digests.items()},
        executions=executions,
        is_censored=any(part.is_censored for part in parts),
    )
