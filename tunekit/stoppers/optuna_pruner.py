"""Runs Optuna's pruners as stoppers, on an in-memory study built from the view."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunekit.errors import InvalidArgument, MissingExtra, did_you_mean
from tunekit.records import CONTINUE, Decision, Direction, ObjectiveSpec, TrialState
from tunekit.registry import check_options
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.curve_log import ViewFollower
from tunekit.stoppers.losses import (
    Curve,
    LossCurveReader,
    Losses,
    as_metrics,
    shown,
)
from tunekit.stoppers.options import MetricStopper

if TYPE_CHECKING:
    import optuna
    from optuna.pruners import BasePruner

    from tunekit.stoppers.optuna_view import ViewStorage

_WITHOUT_NOTES = ("MedianPruner", "PercentilePruner", "ThresholdPruner", "WilcoxonPruner")
"""Pruners without trial attributes, for which past reports need not be replayed."""


@dataclass(slots=True)
class _Told:
    """A trial as last given to Optuna.

    Attributes:
        state: shown to Optuna.
        steps, losses: a copy of the curve, because the curve itself grows.
        past: the pruner's trial attributes before the latest report, once known.
    """

    state: TrialState
    steps: list[int]
    losses: list[Losses]
    past: dict[str, Any] | None

    def has_grown_by_one(self, curve: Curve) -> bool:
        """Return whether a curve is this one with one further report."""
        n = len(self.steps)
        same = len(curve.steps) == n + 1 and curve.steps[:n] == self.steps
        return same and curve.losses[:n] == self.losses


class OptunaPrunerStopper(MetricStopper):
    """Stops a trial when an Optuna pruner would.

    Pruners store the passed rungs in trial attributes. These are recomputed from the reports, so
    that a fresh process decides the same. NaN, infinities and overflows all appear as NaN to the
    pruner. A trial whose reports arrived out of order is judged at its last step.

    Args:
        name: a class in `optuna.pruners`, or a pruner object without options.
        metric: metric to watch; required with several objectives.
        direction: direction of a reported metric that is not an objective.
        options: keyword arguments of the class; a nested pruner (as in `PatientPruner`) is a
            mapping with its `name` and its options.

    Raises:
        MissingExtra: Optuna is not installed.
        InvalidArgument: the pruner is unknown, or does not accept an option.
    """

    def __init__(
        self,
        name: str | BasePruner = "MedianPruner",
        metric: str | None = None,
        *,
        direction: Direction | None = None,
        **options: Any,
    ) -> None:
        super().__init__(metric, direction=direction)
        self.name = "optuna"
        self.pruner = name if isinstance(name, str) else type(name).__name__
        self._given = None if isinstance(name, str) else name
        self._options = options
        self._reader = LossCurveReader()
        self._told: dict[int, _Told] = {}
        self._follower = ViewFollower()
        self._asked: set[int] = set()
        self._known_by: tuple[ObjectiveSpec, int] | None = None
        self._is_of_optuna = type(self._made()).__module__.startswith("optuna.")
        self._pruner: BasePruner | None = None
        self._study: optuna.Study | None = None
        self._storage: ViewStorage | None = None

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return the decision on trial `number` after its latest report.

        Raises:
            InvalidArgument: the study has no objective of that name, or several and none is
                named.
        """
        watched = self.watched(view)
        if len(watched) > 1:
            raise InvalidArgument(
                f"Optuna's {self.pruner} handles one metric, but the study has "
                f"{[o.metric for o in watched]}; name one of them with metric=."
            )
        curve = self._reader.read(number, view, watched)
        reports = view.reports.get(number, ())
        if not curve.steps or watched[0].metric not in reports[-1].metrics:
            return CONTINUE
        with quiet():
            self._sync(number, view, watched[0])
            assert self._storage is not None and self._study is not None
            self._storage.set_notes(number, self._told[number].past or {})
            is_pruned = self._asked_pruner().prune(self._study, self._storage.get_trial(number))
        if not is_pruned:
            return CONTINUE
        own = curve.losses[-1]
        reason = (
            f"Optuna's {self.pruner} prunes it at step {curve.steps[-1]} ({shown(own, watched)})"
        )
        evidence = {
            "pruner": self.pruner,
            "metrics": as_metrics(own, watched),
            "step": curve.steps[-1],
            "n_trials": len(self._told),
        }
        return Decision("stop", reason, evidence)

    def _made(self) -> BasePruner:
        """Return a new pruner, or a copy of the given object in its original state."""
        if self._given is None:
            return _made(self.pruner, self._options)
        return copy.deepcopy(self._given)

    def _asked_pruner(self) -> BasePruner:
        """Return the pruner to ask; Optuna's own are kept, because they have no state.

        They are made again when the longest complete trial, and so their rungs, change. A pruner
        of another class is copied from the given object each time.
        """
        if not self._is_of_optuna:
            return self._made()
        if self._pruner is None:
            self._pruner = self._made()
        return self._pruner

    def _sync(self, asked: int, view: CurveView, objective: ObjectiveSpec) -> None:
        """Update Optuna's study with changes in the view."""
        changed = self._follower.changed(view)
        longest = 0 if changed is None or self._known_by is None else self._known_by[1]
        if changed is None:
            changed = {*view.reports, *self._told}
        # The trial that was asked about is shown as running, which it may no longer be.
        news = changed | self._asked | {asked}
        self._asked = {asked}
        storage = self._storage_for(objective, max(longest, _longest(news, view)))
        if not self._told:  # the storage is a new one
            news = set(view.reports)
        unseen = []
        for number in sorted(news):
            if number not in view.reports:
                if self._told.pop(number, None) is not None:
                    storage.forget(number)
                continue
            trial = view.history.get(number)
            # The trial in question is running, even if the history lags behind.
            state = TrialState.RUNNING if trial is None or number == asked else trial.state
            if self._tell(number, view, objective, state):
                unseen.append(number)
        if self.pruner not in _WITHOUT_NOTES:
            for number in unseen:
                if number != asked or self._told[number].past is None:  # else `decide` asks next
                    self._play(number)

    def _tell(
        self, number: int, view: CurveView, objective: ObjectiveSpec, state: TrialState
    ) -> bool:
        """Insert one trial; return whether it has reports that the pruner has not seen."""
        assert self._storage is not None
        curve = self._reader.read(number, view, (objective,))
        told, notes, past = self._told.get(number), None, None
        if told is not None and told.steps == curve.steps and told.losses == curve.losses:
            if told.state is not state:
                told.state, notes = state, self._storage.notes(number)
                self._storage.put(number, state, _values(curve, objective), notes)
            return told.past is None
        if told is not None and told.past is not None and told.has_grown_by_one(curve):
            past = notes = self._storage.notes(number)
        self._told[number] = _Told(state, [*curve.steps], [*curve.losses], past)
        self._storage.put(number, state, _values(curve, objective), notes)
        return True

    def _storage_for(self, objective: ObjectiveSpec, longest: int) -> ViewStorage:
        """Return the current storage, or a new one if pruners would now derive other rungs.

        Unless given, pruners derive their rungs from the longest complete trial.
        """
        from tunekit.stoppers.optuna_view import ViewStorage, study_over

        if self._storage is None or self._known_by != (objective, longest):
            self._known_by, self._pruner = (objective, longest), None
            self._told = {}
            self._storage = ViewStorage(objective.direction)
            self._study = study_over(self._storage)
        return self._storage

    def _play(self, number: int) -> None:
        """Replay unseen reports of a trial to the pruner, to compute its attributes."""
        assert self._storage is not None and self._study is not None
        told, pruner = self._told[number], self._asked_pruner()
        if told.past is not None:
            pruner.prune(self._study, self._storage.get_trial(number))
            return
        told.past = {}
        for trial in self._storage.prefixes(number):
            told.past = dict(trial.system_attrs)
            pruner.prune(self._study, trial)


def _longest(numbers: Iterable[int], view: CurveView) -> int:
    """Return the last step of the longest complete one of some trials, 0 without one."""
    longest = 0
    for number in numbers:
        trial, reports = view.history.get(number), view.reports.get(number)
        if trial is not None and trial.state is TrialState.COMPLETE and reports:
            longest = max(longest, reports[-1].step)
    return longest


def _values(curve: Curve, objective: ObjectiveSpec) -> dict[int, float]:
    """Return a curve by step with the metric's own sign, NaN where it has diverged."""
    pairs = zip(curve.steps, curve.losses, strict=True)
    return {
        step: objective.loss(loss) if math.isfinite(loss) else math.nan for step, (loss,) in pairs
    }


def _made(name: str, options: Mapping[str, Any]) -> BasePruner:
    try:
        from optuna import pruners
    except ImportError:
        raise MissingExtra("optuna", f'the pruner "{name}"') from None
    chosen = getattr(pruners, name, None) if isinstance(name, str) else None
    if name not in pruners.__all__ or name == "BasePruner" or chosen is None:
        hint = did_you_mean(str(name), pruners.__all__)
        known = [n for n in pruners.__all__ if n != "BasePruner"]
        raise InvalidArgument(
            f'"{name}" is not a pruner of Optuna{hint}; expected one of {known}.'
        )
    given = {
        key: _made(value["name"], {k: v for k, v in value.items() if k != "name"})
        if isinstance(value, Mapping) and "name" in value
        else value
        for key, value in options.items()
    }
    check_options(f"Optuna's {name}", chosen, given)
    try:
        with quiet():
            made: BasePruner = chosen(**given)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"Optuna's {name}: {error}; options: {', '.join(given)}.") from None
    return made


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's experimental warnings and NumPy's all-NaN warnings in this context."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        yield
