"""Defines the data of charts over time."""

from __future__ import annotations

from dataclasses import dataclass

from tunekit.analysis.charts.records import Chart
from tunekit.records import Direction


@dataclass(frozen=True, slots=True)
class TimelineChart(Chart):
    """Which worker ran which trial when: the newest trials that have started.

    Attributes:
        until: the study's last known moment, to which open intervals reach.
        workers: by name.
        rows: place of each trial's worker.
        starts, ends: seconds since 1970-01-01 UTC; the end of a trial that runs is `None`.
    """

    until: float
    workers: tuple[str, ...]
    numbers: tuple[int, ...]
    states: tuple[str, ...]
    rows: tuple[int, ...]
    starts: tuple[float, ...]
    ends: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class BudgetChart(Chart):
    """The trials that have ended and the best result, in order of time.

    Attributes:
        goal: trials that the study is to have; `None` if nobody has said.
        times: seconds since 1970-01-01 UTC at which trials ended.
        ended: trials that had ended by then.
        best: the best result until then, `None` before the first one.
        best_number: trial with the best result.
        since_best: trials that have ended after it.
    """

    metric: str
    goal: int | None
    times: tuple[float, ...]
    ended: tuple[int, ...]
    best: tuple[float | None, ...]
    best_number: int | None
    since_best: int
    direction: Direction = "minimize"
