"""The trials of an Optuna study as tunekit's, read once each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tunekit.errors import UnknownParameter
from tunekit.history import History
from tunekit.records import MetricConstraint, Objective, Report, TrialRecord, TrialState
from tunekit.spaces import Params, Space
from tunekit.spaces.discover import Discovery
from tunekit.spaces.interop import from_optuna
from tunekit.spaces.serialize import domain_to_dict

REASON, EVIDENCE = "tunekit:reason", "tunekit:evidence"
"""System attributes of an Optuna trial: why it was proposed, and what the sampler wants back."""

_STATES = {
    OptunaState.COMPLETE: TrialState.COMPLETE,
    OptunaState.PRUNED: TrialState.STOPPED,
    OptunaState.FAIL: TrialState.FAILED,
    OptunaState.RUNNING: TrialState.RUNNING,
    OptunaState.WAITING: TrialState.WAITING,
}


class StudyReader:
    """Follows one Optuna study at a time: a trial that has ended is read once.

    Args:
        space: a declared tree, into which the names of the params are resolved; without one it
            is discovered from what the trials asked.

    Attributes:
        history: the trials read so far.
        reports: their curves by number.
    """

    def __init__(self, space: Space | None = None) -> None:
        self._declared = space
        self._key: object = None
        self._domains: dict[tuple[str, Any], dict[str, Any]] = {}

    @property
    def space(self) -> Space:
        """Return the declared tree, or as far as it is discovered."""
        return self._declared if self._declared is not None else self._discovery.space

    def read(self, study: Study, trials: Sequence[FrozenTrial]) -> History:
        """Take over what has changed since and return all trials.

        The objective is called "value", several "value0", "value1" and so on. Constraints keep
        their names, with "constraint " before them.
        """
        key = (id(study._storage), study._study_id)
        if key != self._key or len(trials) < len(self._ended):
            self._begin(study, key)
        new = [t for t in trials if t.number not in self._ended]
        if not {n for t in new for n in t.constraints} <= self._names:
            self._names |= {n for t in new for n in t.constraints}
            self._begin(study, key, names=self._names)
            new = list(trials)
        # By their ends: samplers may replay them in the order in which they became known.
        new.sort(key=lambda t: (_ended(t), t.number))
        records = []
        for t in new:
            self._seq += 1
            records.append(record_of(t, self._seq, self.history.objectives, self._declared))
            self.reports[t.number] = reports_of(t, self.history.objectives[0].metric)
            if t.state.is_finished():
                self._ended.add(t.number)
                self._observe(t)
        self.history.update(records, self._seq)
        return self.history

    def _begin(self, study: Study, key: object, *, names: set[str] | None = None) -> None:
        self._key = key
        self._names: set[str] = set(names or ())
        self._ended: set[int] = set()
        self._seq = 0
        self._discovery = Discovery()
        self.reports: dict[int, list[Report]] = {}
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


def objectives_of(study: Study) -> tuple[Objective, ...]:
    """Return the objectives of an Optuna study, by position."""
    n = len(study.directions)
    return tuple(
        Objective(
            "value" if n == 1 else f"value{i}",
            "maximize" if d is optuna.study.StudyDirection.MAXIMIZE else "minimize",
        )
        for i, d in enumerate(study.directions)
    )


def history_of(study: Study, trials: Sequence[FrozenTrial], space: Space | None) -> History:
    """Return the trials of an Optuna study as tunekit's; see `StudyReader.read`."""
    return StudyReader(space).read(study, trials)


def reports_of(trial: FrozenTrial, metric: str) -> list[Report]:
    """Return what an Optuna trial has reported, by step."""
    values = sorted(trial.intermediate_values.items())
    return [Report(step, {metric: value}) for step, value in values]


def _ended(trial: FrozenTrial) -> float:
    done = trial.datetime_complete
    return math.inf if done is None else done.timestamp()


def record_of(
    trial: FrozenTrial, seq: int, objectives: Sequence[Objective], space: Space | None
) -> TrialRecord:
    """Return an Optuna trial as a record with an event number."""
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
    """Return params by full paths, in the order of a declared space; what it lacks is dropped."""
    if space is None:
        return Params(params)
    found = {}
    for name, value in params.items():
        if is_known(space, name):
            found[space.resolve(name)] = value
    return Params({path: found[path] for path in space.by_path if path in found})


def is_known(space: Space, name: str) -> bool:
    """Return whether a name is that of a parameter, in full or short."""
    try:
        space.resolve(name)
    except UnknownParameter:
        return False
    return True
