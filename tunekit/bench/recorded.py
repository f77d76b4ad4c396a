"""Turns recorded results into a function that returns the result of the nearest point."""

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
    """The point was not recorded, and only recorded points have an answer."""


class RecordedFailure(RuntimeError):
    """The recorded trial failed; so does this one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded trial.

    Attributes:
        metrics: its result; NaN and infinite where it diverged.
        seconds: how long it took, if that was recorded.
        failure: why it failed; empty where it did not.
    """

    params: Params
    metrics: Mapping[str, float]
    seconds: float | None = None
    failure: str = ""


class Recording:
    """Recorded rows, looked up by distance in the unit cube.

    The distance of two points sums over the parameters: the squared difference of their places
    in `[0, 1]`, 1 for categoricals that differ and for a parameter that only one of the two has.
    The earlier of two rows at the same distance wins.

    Args:
        is_exact: a point that was not recorded raises `NotRecorded` instead.

    Raises:
        InvalidArgument: no rows.
    """

    def __init__(self, encoder: Encoder, rows: list[Row], *, is_exact: bool = False) -> None:
        if not rows:
            raise InvalidArgument("replay: nothing was recorded; give a source with results.")
        self.rows = tuple(rows)
        self.is_exact = is_exact
        self._encoder = encoder
        self._places = encoder.encode([row.params for row in rows])
        self._jumps = np.array([c.kind == "categorical" for c in encoder.columns], dtype=bool)

    def __call__(self, params: Params) -> Mapping[str, float]:
        """Return the metrics of the nearest row.

        Raises:
            RecordedFailure: that row is a failure.
            NotRecorded: it is another point, and only exact answers are wanted.
        """
        row = self.nearest(params)
        if row.failure:
            raise RecordedFailure(f"recorded as failed: {row.failure}")
        return row.metrics

    def seconds(self, params: Params) -> float:
        """Return how long the nearest row took; 0 where that was not recorded."""
        return self.nearest(params).seconds or 0.0

    def nearest(self, params: Params) -> Row:
        """Return the row at the smallest distance.

        Raises:
            NotRecorded: it is another point, and only exact answers are wanted.
        """
        distances = self._distances(self._encoder.encode([params])[0])
        i = int(np.argmin(distances))
        if self.is_exact and distances[i] > 0.0:
            raise NotRecorded(f"{dict(params)} was not recorded; the nearest row is {i}.")
        return self.rows[i]

    def _distances(self, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(n,)` squared distances of all rows."""
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
    """Return recorded rows as a problem; the best known is the best feasible row."""
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
