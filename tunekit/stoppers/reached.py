"""The trials that have reached a level of progress, kept from one question to the next."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from tunekit.records import ObjectiveSpec
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.curve_log import ViewFollower
from tunekit.stoppers.losses import Curve, LossCurveReader, Losses, Unit

Value: TypeAlias = Callable[[Curve, int], Losses | None]
"""Reads the losses of a curve at a level."""


@dataclass(slots=True)
class Level:
    """The trials at one level.

    Attributes:
        losses: of all trials that have reached it, by number.
        finite: losses of those that had not diverged there, ascending.
    """

    losses: dict[int, Losses] = field(default_factory=dict)
    finite: list[Losses] = field(default_factory=list)

    def put(self, number: int, losses: Losses | None) -> None:
        """Replace the losses of a trial, which has not reached the level if they are `None`."""
        before = self.losses.pop(number, None)
        if before is not None and all(map(math.isfinite, before)):
            del self.finite[bisect_left(self.finite, before)]
        if losses is not None:
            self.losses[number] = losses
            if all(map(math.isfinite, losses)):
                insort(self.finite, losses)

    def others(self, number: int) -> list[Losses]:
        """Return the finite losses of all trials but one, ascending."""
        own = self.losses.get(number)
        if own is None or not all(map(math.isfinite, own)):
            return self.finite
        i = bisect_left(self.finite, own)
        return self.finite[:i] + self.finite[i + 1 :]


class Reached:
    """Reads which trials have reached a level; a trial is read again once it has changed.

    A trial counts up to the rung at which it was stopped or paused, whatever step it had reached.

    Args:
        reader: of the curves.
        unit: unit of levels.
        members: predicate that selects the trials to compare; `None` for all.
        value: losses of a curve at a level, `None` if it has not reached it; by default those
            with which it did.
    """

    def __init__(
        self,
        reader: LossCurveReader,
        unit: Unit,
        members: Callable[[int], bool] | None = None,
        value: Value | None = None,
    ) -> None:
        self._reader = reader
        self._unit = unit
        self._members = members
        self.value = value or (lambda curve, level: curve.at(level, unit))
        self._follower = ViewFollower()
        self._watched: tuple[ObjectiveSpec, ...] = ()
        self._levels: dict[int, Level] = {}

    def at(self, level: int, view: CurveView, watched: tuple[ObjectiveSpec, ...]) -> Level:
        """Return the trials at a level."""
        changed = self._follower.changed(view)
        if changed is None or watched != self._watched:
            self._watched = watched
            self._levels.clear()
        elif changed:
            for known_level, known in self._levels.items():
                self._read(known, known_level, changed, view)
        if level not in self._levels:
            self._levels[level] = Level()
            self._read(self._levels[level], level, view.reports, view)
        return self._levels[level]

    def forget(self) -> None:
        """Read all trials again at the next question."""
        self._levels.clear()

    def _read(self, found: Level, level: int, numbers: Iterable[int], view: CurveView) -> None:
        for number in numbers:
            if self._members is not None and not self._members(number):
                continue
            losses = None
            if number in view.reports and level <= self._held_at(number, view):
                losses = self.value(self._reader.read(number, view, self._watched), level)
            found.put(number, losses)

    def _held_at(self, number: int, view: CurveView) -> float:
        trial = view.history.get(number)
        evidence = {} if trial is None else trial.stop_evidence
        rung = evidence.get("rung") if evidence.get("unit") == self._unit else None
        return rung if isinstance(rung, int | float) else math.inf
