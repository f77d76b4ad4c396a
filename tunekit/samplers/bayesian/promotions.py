"""Successive halving over the fidelity of a study: the better points at each fidelity go on.

It takes the place of the model's choice of a fidelity where the model does not predict the
results of the trials it has (`tunekit.samplers.bayesian.unpredicted`): then it says still less
about longer runs, and what a point itself returned is the better guide. Only the best
third at a fidelity runs at the next one, from the highest fidelity down, so that results come
early. Points that returned exactly the same count as one: on a plateau they say the same. Points
that break a metric constraint rank last, and do not go on.

Reference: Li et al., 2020, "A system for massively parallel hyperparameter tuning",
arXiv 1810.05934, algorithm 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.bayesian.fidelity import Fidelity
from tunekit.samplers.bayesian.fidelity_levels import RATIO

if TYPE_CHECKING:
    from tunekit.samplers.bayesian.training_data import Observed

MIN_POINTS = 12
"""Minimum number of begun points before the first goes on: the best of three tells little."""


@dataclass(slots=True)
class _Point:
    """A point without its fidelity.

    Attributes:
        row: `(d,)` the point at one of its fidelities.
        losses: level -> loss; infinite where a constraint is broken.
        top: highest level at which the point runs or ran.
    """

    row: NDArray[np.float64]
    losses: dict[int, float] = field(default_factory=dict)
    top: int = -1


@dataclass(frozen=True, slots=True)
class Promotion:
    """A point that goes on to the next fidelity.

    Attributes:
        row: `(d,)` the point at that fidelity.
        place: its place among the results that differ at its present fidelity, from 1.
        n: number of those results.
        before, values: its present and its next fidelity.
    """

    row: NDArray[np.float64]
    place: int
    n: int
    before: tuple[float, ...]
    values: tuple[float, ...]

    def explained(
        self, fidelity: Fidelity, evidence: Mapping[str, Any]
    ) -> tuple[dict[str, Any], str]:
        """Return the evidence of the model with that of the promotion, and its explanation."""
        cost = round(float(fidelity.shares(self.row[None])[0]), 4)
        at = {"at": self.values[0], "relative_cost": cost, "place": self.place, "of": self.n}
        why = (
            f"place {self.place} of {self.n} results at {fidelity.shown(self.before)} goes on to "
            f"{fidelity.shown(self.values)}, since a model does not predict the results so far"
        )
        return {**evidence, "fidelity": at}, why


def promotion(
    fidelity: Fidelity, data: Observed, without_result: NDArray[np.float64]
) -> Promotion | None:
    """Return the point that goes on next, `None` where a new point is to begin.

    A run that failed or diverged is not counted among the results at its fidelity, and its
    point does not go on.

    Args:
        fidelity: of the space, along one axis.
        data: the trials with a result.
        without_result: `(p, d)` rows of trials that run, or ended in any other way. Their points
            do not go on a second time.
    """
    points = _points(fidelity, data, without_result)
    if len(points) < MIN_POINTS:
        return None
    for level in range(len(fidelity.levels) - 2, -1, -1):
        ranked = _ranked(points, level)
        for place, point in enumerate(ranked[: int(len(ranked) / RATIO)], start=1):
            if point.top == level and math.isfinite(point.losses[level]):
                values = fidelity.levels[level + 1]
                row = fidelity.at(point.row[None], values)[0]
                return Promotion(row, place, len(ranked), fidelity.levels[level], values)
    return None


def _ranked(points: list[_Point], level: int) -> list[_Point]:
    """Return the points with a result at a level, the best first; of equals the one farthest."""
    there = sorted(
        (p for p in points if level in p.losses), key=lambda p: (p.losses[level], -p.top)
    )
    found: list[_Point] = []
    for point in there:
        loss = point.losses[level]
        if not found or math.isinf(loss) or loss != found[-1].losses[level]:
            found.append(point)
    return found


def _points(
    fidelity: Fidelity, data: Observed, without_result: NDArray[np.float64]
) -> list[_Point]:
    """Return the points of all trials, by first trial."""
    found: dict[bytes, _Point] = {}
    losses = np.where(data.violation == 0.0, data.losses[:, 0], math.inf)
    for row, level, loss in [
        *_levels(fidelity, data.x, losses),
        *_levels(fidelity, data.failed),
        *_levels(fidelity, without_result),
    ]:
        bare = np.delete(row, fidelity.columns).round(9).tobytes()
        point = found.setdefault(bare, _Point(row))
        point.top = max(point.top, level)
        if loss is not None:
            point.losses[level] = loss
    return list(found.values())


def _levels(
    fidelity: Fidelity, x: NDArray[np.float64], losses: NDArray[np.float64] | None = None
) -> Iterator[tuple[NDArray[np.float64], int, float | None]]:
    """Yield each of the `(m, d)` rows, the largest level up to its fidelity, and its loss."""
    (column,) = fidelity.columns
    (domain,) = fidelity.domains
    units = np.array([domain.to_unit(v) for (v,) in fidelity.levels])
    found = np.searchsorted(units, x[:, column] + 1e-9, side="right") - 1
    for i, (row, level) in enumerate(zip(x, np.maximum(found, 0), strict=True)):
        yield row, int(level), None if losses is None else float(losses[i])
