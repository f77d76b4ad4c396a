"""Rungs: levels of progress at which a trial is compared with all that have come as far.

Trials count at a rung whatever became of them: finished, stopped later, paused or running, on
this worker or another. Several metrics are compared by dominance, in non-dominated layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunekit.records import Objective
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.losses import Curve, LossCurveReader, Losses, Unit
from tunekit_surrogates.hypervolume import layers


@dataclass(frozen=True, slots=True)
class Rung:
    """A trial at a rung, and who else has reached it.

    Attributes:
        level: of progress, in reports or steps.
        own: the losses of the trial there.
        n: trials that have reached it, this one included, but for others that diverged there.
        before: how many of them are better.
    """

    level: int
    own: Losses
    n: int
    before: int

    @property
    def has_diverged(self) -> bool:
        """Return whether the trial has no measurement there, of one metric at least."""
        return not all(map(math.isfinite, self.own))


def rungs_between(before: int, now: int, first: float, factor: float) -> list[int]:
    """Return the rungs that were passed on the way, `before < rung <= now`, the lowest first.

    Rungs are `first`, `first * factor`, `first * factor**2`, ..., each rounded up.
    """
    found: list[int] = []
    level = float(first)
    while (rung := math.ceil(level)) <= now:
        if rung > before and rung not in found[-1:]:
            found.append(rung)
        level *= factor
    return found


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rungs of a rule.

    Attributes:
        first: level of the lowest rung; below it a trial is not judged.
        factor: between a rung and the next.
        unit: what levels are counted in.
        members: which trials are compared with each other; all where it is not given.
    """

    first: float
    factor: float
    unit: Unit = "reports"
    members: Callable[[int], bool] | None = None

    def passed(
        self,
        number: int,
        view: CurveView,
        watched: tuple[Objective, ...],
        reader: LossCurveReader,
    ) -> list[Rung]:
        """Return the rungs that a trial has passed with its latest report, the lowest first.

        A step may jump over rungs; all of them are passed with the same losses then.
        """
        reports = view.reports.get(number, ())
        if not reports or any(o.metric not in reports[-1].metrics for o in watched):
            return []
        levels = self.latest(reader.read(number, view, watched))
        found = (self.standing(number, level, view, watched, reader) for level in levels)
        return [rung for rung in found if rung is not None]

    def latest(self, curve: Curve) -> list[int]:
        """Return the rungs that a curve has passed with its last point, the lowest first."""
        previous, now = curve.previous(self.unit), curve.progress(self.unit)
        return rungs_between(previous, now, self.first, self.factor)

    def standing(
        self,
        number: int,
        level: int,
        view: CurveView,
        watched: tuple[Objective, ...],
        reader: LossCurveReader,
    ) -> Rung | None:
        """Return how a trial stands at a rung among those that have reached it, if it has."""
        own = reader.read(number, view, watched).at(level, self.unit)
        if own is None:
            return None
        others = self.at(level, view, watched, reader)
        others.pop(number, None)
        measured = [losses for losses in others.values() if all(map(math.isfinite, losses))]
        return Rung(level, own, len(measured) + 1, n_before(own, measured))

    def at(
        self, level: int, view: CurveView, watched: tuple[Objective, ...], reader: LossCurveReader
    ) -> dict[int, Losses]:
        """Return the losses at a rung of all trials that have reached it, by number."""
        found = {}
        for number in view.reports:
            if self.members is not None and not self.members(number):
                continue
            if level <= self._held_at(number, view):
                losses = reader.read(number, view, watched).at(level, self.unit)
                if losses is not None:
                    found[number] = losses
        return found

    def _held_at(self, number: int, view: CurveView) -> float:
        """Return the rung at which a trial was ended or paused, whatever step it had jumped to."""
        trial = view.history.get(number)
        evidence = {} if trial is None else trial.stop_evidence
        rung = evidence.get("rung") if evidence.get("unit") == self.unit else None
        return rung if isinstance(rung, int | float) else math.inf

    def highest(self, progress: int) -> int | None:
        """Return the highest rung up to some progress, if there is one."""
        return next(reversed(rungs_between(0, progress, self.first, self.factor)), None)


def n_before(own: Losses, others: Sequence[Losses]) -> int:
    """Return how many others are better: for several metrics, are in a better layer.

    A layer is what only better layers dominate: all of the front are equally good.
    """
    if len(own) == 1:
        return sum(loss < own for loss in others)
    points, which = np.unique(
        _ranks(np.asarray([own, *others], dtype=np.float64)), axis=0, return_inverse=True
    )
    places = layers(points)[which.ravel()]  # equal points stand in the same layer
    return int((places < places[0]).sum())


def _ranks(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return dense ranks by column: dominance needs no more, and infinities are no matter."""
    return np.column_stack([np.unique(c, return_inverse=True)[1] for c in y.T]).astype(np.float64)
