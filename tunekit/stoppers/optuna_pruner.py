"""Runs Optuna's pruners as stoppers, on an in-memory study built from the view."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunekit.errors import InvalidArgument, MissingExtra, did_you_mean
from tunekit.records import CONTINUE, Decision, Direction, Objective, Report, TrialState
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.losses import (
    Curve,
    LossCurveReader,
    Losses,
    as_metrics,
    shown,
    watched_metrics,
)
from tunekit.stoppers.options import check_metric

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
        reports: what its curve was read from.
        steps, losses: a copy of the curve, because the curve itself grows.
        past: the pruner's trial attributes before the latest report, once known.
    """

    reports: Sequence[Report]
    steps: list[int]
    losses: list[Losses]
    past: dict[str, Any] | None

    def has_grown_by_one(self, curve: Curve) -> bool:
        """Return whether a curve is this one with one further report."""
        n = len(self.steps)
        same = len(curve.steps) == n + 1 and curve.steps[:n] == self.steps
        return same and curve.losses[:n] == self.losses


class OptunaPrunerStopper:
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
        check_metric(metric, direction)
        self.name = "optuna"
        self.pruner = name if isinstance(name, str) else type(name).__name__
        self._given = None if isinstance(name, str) else name
        self.metric = metric
        self.direction = direction
        self._options = options
        self._reader = LossCurveReader()
        self._told: dict[int, _Told] = {}
        self._ended: set[int] = set()
        self._n_reports = 0  # of those that have ended
        self._seen: object = None
        self._known_by: tuple[Objective, int] | None = None
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
        watched = watched_metrics(view, self.metric, self.direction, stopper=self.name)
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

    def _sync(self, asked: int, view: CurveView, objective: Objective) -> None:
        """Update Optuna's study with changes in the view."""
        self._ended.discard(asked)
        news = self._news(view)
        storage = self._storage_for(view, objective, news)
        told, unseen = self._told, []
        if not told:  # the storage may be a new one
            news = list(view.reports)
        for number in news:
            trial = view.history.get(number)
            # The trial in question is running, even if the history lags behind.
            state = TrialState.RUNNING if trial is None or number == asked else trial.state
            if self._tell(number, view, objective, state):
                unseen.append(number)
            if state.is_finished:
                self._ended.add(number)
        if len(told) > len(view.reports):
            for number in [n for n in told if n not in view.reports]:
                del told[number]
                self._ended.discard(number)
                storage.forget(number)
        self._n_reports = _n_reports(view, [n for n in news if n not in self._ended])
        if self.pruner not in _WITHOUT_NOTES:
            for number in sorted(unseen):
                if number != asked or told[number].past is None:  # else `decide` asks next
                    self._play(number)

    def _tell(self, number: int, view: CurveView, objective: Objective, state: TrialState) -> bool:
        """Insert one trial; return whether it has reports that the pruner has not seen."""
        assert self._storage is not None
        curve = self._reader.read(number, view, (objective,))
        told, notes, past = self._told.get(number), None, None
        is_noted = False
        if told is not None:
            if told.steps == curve.steps and told.losses == curve.losses:
                past, notes = told.past, self._storage.notes(number)
                is_noted = past is not None
            elif told.past is not None and told.has_grown_by_one(curve):
                past = notes = self._storage.notes(number)
        steps, losses = [*curve.steps], [*curve.losses]
        self._told[number] = _Told(view.reports[number], steps, losses, past)
        self._storage.put(number, state, _values(curve, objective), notes)
        return not is_noted

    def _news(self, view: CurveView) -> list[int]:
        """Return the trials to check: the unfinished ones, or all if an ended one has changed.

        Curves only grow, so the number of reports shows it without a look at each ended trial.
        """
        news = [n for n in view.reports if n not in self._ended]
        if view.reports is self._seen and _n_reports(view, news) == self._n_reports:
            return news
        self._seen = view.reports
        self._ended.clear()
        return list(view.reports)

    def _storage_for(
        self, view: CurveView, objective: Objective, news: Sequence[int]
    ) -> ViewStorage:
        """Return the current storage, or a new one if pruners would now derive other rungs.

        Unless given, pruners derive their rungs from the longest complete trial.
        """
        from tunekit.stoppers.optuna_view import ViewStorage, study_over

        is_whole = len(news) == len(view.reports)
        longest = 0 if is_whole or self._known_by is None else self._known_by[1]
        for number in news:
            trial, reports = view.history.get(number), view.reports[number]
            if trial is not None and trial.state is TrialState.COMPLETE and reports:
                longest = max(longest, reports[-1].step)
        if self._storage is None or self._known_by != (objective, longest):
            self._known_by, self._pruner = (objective, longest), None
            self._told = {}
            self._ended.clear()
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


def _n_reports(view: CurveView, without: Sequence[int]) -> int:
    """Return the number of reports of all trials except some."""
    return sum(map(len, view.reports.values())) - sum(len(view.reports[n]) for n in without)


def _values(curve: Curve, objective: Objective) -> dict[int, float]:
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
