"""Converts the trials of an Optuna study to tunekit records, reading each trial once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from threading import RLock
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tunekit.errors import UnknownParameter
from tunekit.history import History
from tunekit.records import MetricConstraint, ObjectiveSpec, Report, TrialRecord, TrialState
from tunekit.spaces import Params, Space
from tunekit.spaces.discover import Discovery
from tunekit.spaces.interop import from_optuna
from tunekit.spaces.serialize import domain_to_dict
from tunekit.stoppers.curve_log import Curves

REASON, EVIDENCE = "tunekit:reason", "tunekit:evidence"
"""System attributes of an Optuna trial: reason of the proposal, and the sampler's evidence."""

_STATES = {
    OptunaState.COMPLETE: TrialState.COMPLETE,
    OptunaState.PRUNED: TrialState.STOPPED,
    OptunaState.FAIL: TrialState.FAILED,
    OptunaState.RUNNING: TrialState.RUNNING,
    OptunaState.WAITING: TrialState.WAITING,
}


class OptunaReader:
    """Follows one Optuna study at a time and reads each finished trial once.

    A copy or pickle starts with an empty history.

    Args:
        space: declared space, used to resolve param names; by default the space is discovered
            from the trials' `suggest` calls.

    Attributes:
        history: trials read so far.
        reports: trial number -> learning curve.
        lock: hold it while reading and using the history; Optuna may run trials in threads.
    """

    history: History
    reports: Curves
    _names: set[str]
    _seq: int
    _n_read: int
    _open: list[int]  # positions of unfinished trials
    _ended: tuple[int, object] | None  # position and identity of a finished trial
    _pairs: dict[int, list[tuple[int, float]]]  # reports of running trials, by step

    def __init__(self, space: Space | None = None) -> None:
        self.lock = RLock()
        self._declared = space
        self._storage: object = None
        self._domains: dict[tuple[str, Any], dict[str, Any]] = {}

    def __reduce__(self) -> tuple[type[OptunaReader], tuple[Space | None]]:
        return OptunaReader, (self._declared,)

    @property
    def space(self) -> Space:
        """Return the declared space, or the part discovered so far."""
        return self._declared if self._declared is not None else self._discovery.space

    def read(self, study: Study, trials: Sequence[FrozenTrial]) -> History:
        """Read the trials that changed since the last call and return all trials.

        A single objective is named "value"; several are named "value0", "value1" and so on.
        Constraints keep their names, prefixed with "constraint ".

        Args:
            study: study of the trials.
            trials: trials in the order of `study.get_trials`, known trials first.
        """
        if not self._is_followed(study, trials):
            self._begin(study)
        places = [*self._open, *range(self._n_read, len(trials))]
        names = {n for i in places for n in trials[i].constraints}
        if not names <= self._names:
            self._begin(study, names=self._names | names)
            places = list(range(len(trials)))
        self._n_read = len(trials)
        self._open = [i for i in places if not trials[i].state.is_finished()]
        ended = next((i for i in reversed(places) if trials[i].state.is_finished()), None)
        if ended is not None:
            self._ended = ended, _identity(trials[ended])
        # Sorted by end time, since samplers may replay trials in the order of the history.
        new = sorted((trials[i] for i in places), key=lambda t: (_ended(t), t.number))
        self.history.update([self._record(t) for t in new], self._seq)
        return self.history

    def _record(self, trial: FrozenTrial) -> TrialRecord:
        self._seq += 1
        self.read_reports(trial)
        if trial.state.is_finished():
            self._pairs.pop(trial.number, None)
            self._observe(trial)
        return record_of(trial, self._seq, self.history.objectives, self._declared)

    def read_reports(self, trial: FrozenTrial) -> None:
        """Read the reports that a trial has added since the last call."""
        number, metric = trial.number, self.history.objectives[0].metric
        before = self._pairs.get(number)
        pairs = self._pairs[number] = sorted(trial.intermediate_values.items())
        if before is None or pairs[: len(before)] != before:
            self.reports.put(number, [])
            before = []
        for step, value in pairs[len(before) :]:
            self.reports.add(number, Report(step, {metric: value}))

    def _is_followed(self, study: Study, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether `trials` continues the list of the last call.

        A storage may reuse the number of a deleted study for a new one.
        """
        if study._storage is not self._storage or study._study_id != self._study_id:
            return False
        if len(trials) < self._n_read:
            return False
        return self._ended is None or _identity(trials[self._ended[0]]) == self._ended[1]

    def _begin(self, study: Study, *, names: set[str] | None = None) -> None:
        self._storage, self._study_id = study._storage, study._study_id
        self._names = set(names or ())
        self._seq, self._n_read = 0, 0
        self._open, self._ended, self._pairs = [], None, {}
        self._discovery = Discovery()
        self.reports = Curves()
        bounds = [MetricConstraint(f"constraint {n}", "<=", 0.0) for n in sorted(self._names)]
        self.history = History(objectives_of(study), bounds)

    def _observe(self, trial: FrozenTrial) -> None:
        if self._declared is not None or not trial.params:
            return
        domains = {}
        for name in trial.params:
            key = name, trial.distributions[name]
            if key not in self._domains:
                known = from_optuna({name: key[1]}).by_path[name].domain
                self._domains[key] = domain_to_dict(known)
            domains[name] = self._domains[key]
        is_whole = trial.state is OptunaState.COMPLETE
        self._discovery.observe(trial.params, domains, is_whole=is_whole)


def objectives_of(study: Study) -> tuple[ObjectiveSpec, ...]:
    """Return the objectives of an Optuna study, by position."""
    n = len(study.directions)
    return tuple(
        ObjectiveSpec(
            "value" if n == 1 else f"value{i}",
            "maximize" if d is optuna.study.StudyDirection.MAXIMIZE else "minimize",
        )
        for i, d in enumerate(study.directions)
    )


def history_of(study: Study, trials: Sequence[FrozenTrial], space: Space | None) -> History:
    """Convert the trials of an Optuna study to a history; see `OptunaReader.read`."""
    return OptunaReader(space).read(study, trials)


def _identity(trial: FrozenTrial) -> object:
    return trial._trial_id, trial.number, trial.datetime_start, trial.datetime_complete


def _ended(trial: FrozenTrial) -> float:
    done = trial.datetime_complete
    return math.inf if done is None else done.timestamp()


def record_of(
    trial: FrozenTrial, seq: int, objectives: Sequence[ObjectiveSpec], space: Space | None
) -> TrialRecord:
    """Convert an Optuna trial to a record with an event number."""
    values = trial.values
    if values is None and trial.state is OptunaState.PRUNED and trial.intermediate_values:
        values = [trial.intermediate_values[max(trial.intermediate_values)]]
    metrics = {o.metric: float(v) for o, v in zip(objectives, values or [], strict=False)}
    metrics |= {f"constraint {name}": float(v) for name, v in trial.constraints.items()}
    state = _STATES[trial.state]
    if state is TrialState.COMPLETE and not all(map(math.isfinite, values or [])):
        state = TrialState.DIVERGED
    started, done = trial.datetime_start, trial.datetime_complete
    return TrialRecord(
        trial.number,
        state,
        seq,
        epoch=1,
        params=named(space, trial.params) if trial.params else None,
        evidence=trial.system_attrs.get(EVIDENCE, {}),
        metrics=metrics,
        started=None if started is None else started.timestamp(),
        finished=None if done is None else done.timestamp(),
    )


def named(space: Space | None, params: Mapping[str, Any]) -> Params:
    """Return params by full path, in the order of the space; drops params that it lacks."""
    if space is None:
        return Params(params)
    found = {}
    for name, value in params.items():
        if is_known(space, name):
            found[space.resolve(name)] = value
    return Params({path: found[path] for path in space.by_path if path in found})


def is_known(space: Space, name: str) -> bool:
    """Return whether the space has a parameter of this full or short name."""
    try:
        space.resolve(name)
    except UnknownParameter:
        return False
    return True
