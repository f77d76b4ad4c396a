"""Implements Optuna's storage contract over known trials and the one being suggested.

Importing this module imports Optuna.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping, Sequence
from typing import Any, NoReturn

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tunekit.records import ObjectiveSpec
from tunekit.samplers.optuna_bridge.codec import running_trial
from tunekit.stoppers.optuna_trials import OptunaTrials


class ToldStorage(optuna.storages.BaseStorage):
    """A study in which only the trial being suggested can change.

    Known trials are shared and never modified, so a suggestion does not copy the history.

    Args:
        told: known trials.
        attrs: study attributes that the sampler has stored so far.
        number: number of the trial to suggest.
    """

    def __init__(
        self,
        directions: Sequence[StudyDirection],
        told: OptunaTrials,
        attrs: Mapping[str, Any],
        number: int,
    ) -> None:
        self._directions = list(directions)
        self._told = told
        self._number = number
        self.study_attrs = dict(attrs)
        self.noted: dict[str, Any] = {}
        self.asked: FrozenTrial | None = None

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Return the number of the trial to suggest."""
        self.asked = running_trial(self._number, {}, {}, {})
        return self._number

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Store a parameter value of the suggested trial."""
        trial = self._asked(trial_id)
        value = distribution.to_external_repr(param_value_internal)
        trial.params = {**trial.params, param_name: value}
        trial.distributions = {**trial.distributions, param_name: distribution}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store an attribute of the sampler on the suggested trial."""
        trial = self._asked(trial_id)
        trial.system_attrs = {**trial.system_attrs, key: value}

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Store an attribute of the sampler on the study."""
        self.study_attrs = {**self.study_attrs, key: value}
        self.noted[key] = value

    def _asked(self, trial_id: int) -> FrozenTrial:
        if self.asked is None or trial_id != self._number:
            raise RuntimeError(f"trial {trial_id} is finished or unknown and cannot be changed")
        return self.asked

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a known trial or the suggested one."""
        return self._told[trial_id] if trial_id in self._told else self._asked(trial_id)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[OptunaState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the known trials by number, then the suggested one."""
        trials = self._told.of(states)
        if self.asked is not None and (states is None or self.asked.state in states):
            trials.append(self.asked)
        return copy.deepcopy(trials) if deepcopy else trials

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Return the number, which is also the id."""
        return self.get_trial(trial_number).number

    def get_trial_number_from_id(self, trial_id: int) -> int:
        """Return the id, which is also the number."""
        return trial_id

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the id of the only study."""
        return 0

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the name of the only study."""
        return "told"

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return one direction for each objective."""
        return self._directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return an empty dict, because samplers store none."""
        return {}

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the study attributes that samplers stored."""
        return self.study_attrs

    def get_all_studies(self) -> NoReturn:
        """Raise, as do all following methods, because no sampler needs them."""
        raise _unused()

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> NoReturn:
        """Raise."""
        raise _unused()

    def delete_study(self, study_id: int) -> NoReturn:
        """Raise."""
        raise _unused()

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> NoReturn:
        """Raise."""
        raise _unused()

    def set_trial_state_values(
        self, trial_id: int, state: OptunaState, values: Sequence[float] | None = None
    ) -> NoReturn:
        """Raise."""
        raise _unused()

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> NoReturn:
        """Raise."""
        raise _unused()

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> NoReturn:
        """Raise."""
        raise _unused()


def _unused() -> NotImplementedError:
    return NotImplementedError(
        "samplers only read and suggest trials; this operation is not supported"
    )


def told_study(
    told: OptunaTrials,
    objectives: Sequence[ObjectiveSpec],
    *,
    sampler: optuna.samplers.BaseSampler | None = None,
    attrs: Mapping[str, Any] | None = None,
    number: int = -1,
) -> tuple[optuna.Study, ToldStorage]:
    """Return an Optuna study over known trials that can suggest trial `number`."""
    directions = [StudyDirection[o.direction.upper()] for o in objectives]
    storage = ToldStorage(directions, told, attrs or {}, number)
    # Always pass a pruner and a sampler, because Optuna's defaults are expensive to create.
    study = optuna.load_study(
        study_name="told",
        storage=storage,
        sampler=sampler or optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.NopPruner(),
    )
    return study, storage
