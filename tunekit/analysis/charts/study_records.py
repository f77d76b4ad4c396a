"""Defines what lists of studies and of their workers show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunekit.analysis.charts.records import Chart
from tunekit.records import Direction
from tunekit.storages.events import Event


@dataclass(frozen=True, slots=True)
class StudySummary(Chart):
    """What a list shows of a study; `shown` counts the ended trials, `total` all.

    Attributes:
        metric, direction: the first objective.
        counts: trials by state.
        max_trials: budget, `None` if nobody has said.
        best, best_number: result and number of the best trial of one objective.
        noise: standard deviation of repeated results, `None` without repeats.
        n_front: trials on the Pareto front of several objectives.
        trend: best result so far of the first objective, in the order of the results.
    """

    metric: str
    direction: Direction
    counts: Mapping[str, int]
    max_trials: int | None
    best: float | None
    best_number: int | None
    noise: float | None
    n_front: int
    trend: tuple[float, ...]
    last_event: Event | None


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study in a list.

    Attributes:
        state: that its workers are asked to take.
        owner: account that created it; empty if unknown.
        created: seconds since 1970.
        seq: number of its last event.
        summary: `None` while it is being computed, for a study that has just been opened.
    """

    id: int
    name: str
    state: str
    is_archived: bool
    tags: tuple[str, ...]
    owner: str
    created: float
    seq: int
    summary: StudySummary | None = None


@dataclass(frozen=True, slots=True)
class StudyRowPage:
    """Studies in order of name; `after` continues the list, `None` at its end.

    Attributes:
        total: studies of the project that match.
        tags: all tags of the project's studies.
    """

    rows: tuple[StudyRow, ...]
    total: int
    tags: tuple[str, ...]
    after: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """What one worker has done; times are seconds since 1970.

    Attributes:
        state: "running", "lost" (its lease has run out), "failing" (its last trials all failed),
            "idle" (seen in the last minutes) or "gone".
        failed_in_a_row: failures since its last trial that did not fail.
        last_failure: reason of the last of these.
        busy_s: seconds in which at least one of its trials ran.
        running: numbers of the trials that it runs, up to 20.
    """

    worker: str
    host: str
    state: str
    n_trials: int
    n_failed: int
    failed_in_a_row: int
    last_failure: str
    first_seen: float
    last_seen: float
    busy_s: float
    running: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WorkersChart(Chart):
    """The workers of a study, those seen last first; the chart `timeline` has their trials.

    Attributes:
        now: seconds since 1970 when it was made.
        waits_because: why no further trial starts, a sentence; empty if nothing holds one back.
        workers: `shown` of `total`.
    """

    now: float
    waits_because: str
    workers: tuple[WorkerRow, ...]
