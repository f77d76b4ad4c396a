"""Rungs: levels of progress at which a trial is compared with all others that reached them.

Trials count at a rung in any state: finished, stopped later, paused or running, on this worker or
another. Several metrics are compared by non-domination layers.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import KW_ONLY, dataclass

from tunekit.records import ObjectiveSpec
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.losses import Curve, LossCurveReader, Losses, Unit
from tunekit.stoppers.reached import Reached, Value


@dataclass(frozen=True, slots=True)
class RungStanding:
    """A trial at a rung, compared with the others that have reached it.

    Attributes:
        level: level of progress, in reports or steps.
        own: losses of the trial there.
        n: number of trials that have reached it, including this one but no others that diverged.
        before: number of these that are better.
    """

    level: int
    own: Losses
    n: int
    before: int

    @classmethod
    def of(cls, level: int, own: Losses, others: Sequence[Losses]) -> RungStanding:
        """Return the standing of a trial among the finite losses of others, ascending."""
        before = bisect_left(others, own) if len(own) == 1 else n_before(own, others)
        return cls(level, own, len(others) + 1, before)

    @property
    def has_diverged(self) -> bool:
        """Return whether at least one of the trial's losses there is not finite."""
        return not all(map(math.isfinite, self.own))


def rungs_between(before: int, now: int, first: float, factor: float) -> list[int]:
    """Return the rungs with `before < rung <= now`, ascending.

    Rungs are `first`, `first * factor`, `first * factor**2`, ..., each rounded up.
    """
    found: list[int] = []
    level = float(first)
    while (rung := math.ceil(level)) <= now:
        if rung > before and rung not in found[-1:]:
            found.append(rung)
        level *= factor
    return found


@dataclass(eq=False)
class Ladder:
    """The rungs of a rule.

    Args:
        first: level of the lowest rung, below which trials are not judged.
        factor: factor between adjacent rungs.
        reader: of the curves.
        unit: unit of levels.
        members: predicate that selects the trials to compare; `None` for all.
        value: losses of a curve at a rung; by default those with which it reached it.
    """

    first: float
    factor: float
    reader: LossCurveReader
    unit: Unit = "reports"
    _: KW_ONLY
    members: Callable[[int], bool] | None = None
    value: Value | None = None

    def __post_init__(self) -> None:
        self._reached = Reached(self.reader, self.unit, self.members, self.value)

    def passed(
        self, number: int, view: CurveView, watched: tuple[ObjectiveSpec, ...]
    ) -> list[RungStanding]:
        """Return the rungs that a trial has passed with its latest report, ascending.

        A step that jumps over several rungs passes all of them with the same losses.
        """
        reports = view.reports.get(number, ())
        if not reports or any(o.metric not in reports[-1].metrics for o in watched):
            return []
        levels = self.latest(self.reader.read(number, view, watched))
        found = (self.standing(number, level, view, watched) for level in levels)
        return [rung for rung in found if rung is not None]

    def latest(self, curve: Curve) -> list[int]:
        """Return the rungs that a curve has passed with its last point, ascending."""
        previous, now = curve.previous(self.unit), curve.progress(self.unit)
        return rungs_between(previous, now, self.first, self.factor)

    def standing(
        self, number: int, level: int, view: CurveView, watched: tuple[ObjectiveSpec, ...]
    ) -> RungStanding | None:
        """Return a trial's standing at a rung, `None` if it has not reached it."""
        own = self._reached.value(self.reader.read(number, view, watched), level)
        if own is None:
            return None
        return RungStanding.of(level, own, self._reached.at(level, view, watched).others(number))

    def numbers_at(
        self, level: int, view: CurveView, watched: tuple[ObjectiveSpec, ...]
    ) -> AbstractSet[int]:
        """Return the numbers of the trials that have reached a rung."""
        return self._reached.at(level, view, watched).losses.keys()

    def highest(self, progress: int) -> int | None:
        """Return the highest rung up to a progress, `None` if there is none."""
        return next(reversed(rungs_between(0, progress, self.first, self.factor)), None)


def n_before(own: Losses, others: Sequence[Losses]) -> int:
    """Return how many others are better, which with several metrics means in a better layer.

    Only better layers dominate a layer; all points of the front are equally good.
    """
    if len(own) == 1:
        return sum(loss < own for loss in others)
    import numpy as np  # one metric, the usual case, needs none of it

    from tunekit_surrogates.non_domination import layers

    places = layers(np.asarray([own, *others], dtype=np.float64), equals=True)
    return int((places < places[0]).sum())
