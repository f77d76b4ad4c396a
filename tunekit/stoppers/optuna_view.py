"""Implements an Optuna storage over the trials of a view, for pruners to read.

Importing this module imports Optuna.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Iterator, Mapping
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tunekit.records import Direction, TrialState
from tunekit.stoppers.optuna_trials import OptunaTrials

_STATES = {
    TrialState.WAITING: OptunaState.WAITING,
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.PREEMPTED: OptunaState.RUNNING,
    TrialState.PAUSED: OptunaState.RUNNING,
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.STOPPED: OptunaState.PRUNED,
}
"""All other states become FAIL, which Optuna's pruners ignore."""

NAME = "view"


class ViewStorage(optuna.storages.InMemoryStorage):
    """One study with trials inserted directly, on which pruners may set attributes.

    Setting an attribute replaces the trial instead of modifying it, as in Optuna's storages,
    because a pruner holds lists of earlier trials.
    """

    def __init__(self, direction: Direction) -> None:
        super().__init__()
        self._trials = OptunaTrials()
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would announce a study
        try:
            self.create_new_study([StudyDirection[direction.upper()]], NAME)
        finally:
            optuna.logging.set_verbosity(verbosity)

    def put(
        self,
        number: int,
        state: TrialState,
        values: Mapping[int, float],
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        """Insert a trial by its state and its reports by step; the last one is its value."""
        told = _STATES.get(state, OptunaState.FAIL)
        is_complete = told is OptunaState.COMPLETE and bool(values)
        trial = FrozenTrial(
            number=number,
            trial_id=number,
            state=told if is_complete or told is not OptunaState.COMPLETE else OptunaState.FAIL,
            value=list(values.values())[-1] if is_complete else None,
            values=None,
            datetime_start=None,
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs=dict(notes or {}),
            intermediate_values=dict(values),
        )
        self._trials.put(trial)

    def forget(self, number: int) -> None:
        """Remove a trial."""
        self._trials.remove(number)

    def notes(self, number: int) -> dict[str, Any]:
        """Return a trial's attributes set by pruners."""
        return dict(self._trials[number].system_attrs)

    def set_notes(self, number: int, notes: Mapping[str, Any]) -> None:
        """Replace a trial's attributes set by pruners."""
        trial = copy.copy(self._trials[number])
        trial.system_attrs = dict(notes)
        self._trials.put(trial)

    def prefixes(self, number: int) -> Iterator[FrozenTrial]:
        """Yield a trial as it was after each of its reports, with its attributes at that time."""
        whole = self._trials[number].intermediate_values
        seen: dict[int, float] = {}
        for step, value in whole.items():
            seen[step] = value
            trial = copy.copy(self._trials[number])
            trial.intermediate_values = dict(seen)
            yield trial

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store a pruner's attribute on a trial."""
        self.set_notes(trial_id, {**self._trials[trial_id].system_attrs, key: value})

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial; its id is its number."""
        return self._trials[trial_id]

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[OptunaState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the trials by number."""
        found = self._trials.of(states)
        return copy.deepcopy(found) if deepcopy else found

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the complete trial with the best value.

        Raises:
            ValueError: no trial is complete, as Optuna expects.
        """
        complete = self.get_all_trials(study_id, deepcopy=False, states=(OptunaState.COMPLETE,))
        if not complete:
            raise ValueError("no trials are completed yet")
        sign = 1 if self.get_study_directions(study_id)[0] is StudyDirection.MINIMIZE else -1
        return min(complete, key=lambda t: sign * (t.value if t.value is not None else 0.0))


def study_over(storage: ViewStorage) -> optuna.Study:
    """Return the study of a storage, to pass to pruners."""
    return optuna.load_study(
        study_name=NAME,
        storage=storage,
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.NopPruner(),
    )
