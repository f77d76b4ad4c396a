"""Answers each point with the result of the nearest recorded trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.errors import InvalidArgument
from tunekit.records import MetricConstraint, ObjectiveSpec
from tunekit.spaces import Params
from tunekit.spaces.encode import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NotRecorded(LookupError):
    """An exact lookup found no recorded result for the point."""


class RecordedFailure(RuntimeError):
    """The nearest recorded trial failed, so this trial fails too."""


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded trial.

    Attributes:
        metrics: result; NaN or infinite if the trial diverged.
        seconds: duration, if recorded.
        failure: reason of failure; empty if the trial succeeded.
    """

    params: Params
    metrics: Mapping[str, float]
    seconds: float | None = None
    failure: str = ""


class Recording:
    """Looks up recorded rows by distance in the unit cube.

    The squared distance of two points sums over the parameters: the squared difference of their
    positions in `[0, 1]` for numbers, 1 for unequal categoricals, and 1 for a parameter active
    in only one point. Ties go to the earlier row.

    Args:
        is_exact: raise `NotRecorded` for points without a recorded result.

    Raises:
        InvalidArgument: `rows` is empty.
    """

    def __init__(self, encoder: Encoder, rows: list[Row], *, is_exact: bool = False) -> None:
        if not rows:
            raise InvalidArgument("replay: the source has no results; give one with results.")
        self.rows = tuple(rows)
        self.is_exact = is_exact
        self._encoder = encoder
        self._places = encoder.encode([row.params for row in rows])
        self._jumps = np.array([c.kind == "categorical" for c in encoder.columns], dtype=bool)

    def __call__(self, params: Params) -> Mapping[str, float]:
        """Return the metrics of the nearest row.

        Raises:
            RecordedFailure: the nearest trial failed.
            NotRecorded: the lookup is exact and the point was not recorded.
        """
        row = self.nearest(params)
        if row.failure:
            raise RecordedFailure(f"recorded as failed: {row.failure}")
        return row.metrics

    def seconds(self, params: Params) -> float:
        """Return the duration of the nearest row, or 0 if not recorded."""
        return self.nearest(params).seconds or 0.0

    def nearest(self, params: Params) -> Row:
        """Return the row at the smallest distance.

        Raises:
            NotRecorded: the lookup is exact and the point was not recorded.
        """
        distances = self._distances(self._encoder.encode([params])[0])
        i = int(np.argmin(distances))
        if self.is_exact and distances[i] > 0.0:
            raise NotRecorded(f"{dict(params)} was not recorded; the nearest row is {i}.")
        return self.rows[i]

    def _distances(self, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return float64[n], the squared distances of all rows to `place: float64[d]`."""
        gap = (self._places - place) ** 2
        gap = np.where(self._jumps & (gap > 0), 1.0, gap)
        has, wants = ~np.isnan(self._places), ~np.isnan(place)
        gap = np.where(has & wants, gap, (has ^ wants).astype(float))
        return np.asarray(gap.sum(axis=1))


def as_problem(
    name: str,
    encoder: Encoder,
    *,
    rows: list[Row],
    objectives: tuple[ObjectiveSpec, ...],
    constraints: tuple[MetricConstraint, ...] = (),
    is_exact: bool = False,
) -> Problem:
    """Return recorded rows as a problem whose best known value is the best feasible row."""
    recording = Recording(encoder, rows, is_exact=is_exact)
    has_seconds = any(row.seconds is not None for row in rows)
    return Problem(
        f"replay/{name}",
        encoder.space,
        recording,
        objectives=objectives,
        constraints=constraints,
        best_known=_best(recording, objectives, constraints),
        seconds=recording.seconds if has_seconds else None,
        tags={"recorded": str(len(rows)), "lookup": "exact" if is_exact else "nearest"},
    )


def _best(
    recording: Recording,
    objectives: tuple[ObjectiveSpec, ...],
    constraints: tuple[MetricConstraint, ...],
) -> float | None:
    if len(objectives) != 1:
        return None
    (objective,) = objectives
    values = [
        row.metrics[objective.metric]
        for row in recording.rows
        if not row.failure and not any(c.violation(row.metrics) for c in constraints)
    ]
    return min(filter(np.isfinite, values), key=objective.loss, default=None)
