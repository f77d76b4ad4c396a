"""Propose by simulated annealing, with a sampler of one's own."""

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState


class SimulatedAnnealingSampler(optuna.samplers.BaseSampler):
    def __init__(self, temperature=100, seed=None):
        self._rng = np.random.RandomState(seed)
        self._independent_sampler = optuna.samplers.RandomSampler(seed=seed)
        self._temperature = temperature
        self._current_trial = None
        self.n_relative = 0

    def infer_relative_search_space(self, study, trial):
        return optuna.search_space.intersection_search_space(study.get_trials(deepcopy=False))

    def sample_relative(self, study, trial, search_space):
        if search_space == {}:
            return {}
        last = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])[-1]
        if self._rng.uniform(0, 1) <= self._probability(study, last):
            self._current_trial = last
        self._temperature *= 0.9
        self.n_relative += 1
        params = {}
        for name, distribution in search_space.items():
            assert isinstance(distribution, FloatDistribution)
            width = (distribution.high - distribution.low) * 0.1
            value = self._current_trial.params[name]
            low, high = max(value - width, distribution.low), min(value + width, distribution.high)
            params[name] = self._rng.uniform(low, high)
        return params

    def _probability(self, study, last):
        if self._current_trial is None:
            return 1.0
        gain = self._current_trial.value - last.value
        if study.direction == StudyDirection.MAXIMIZE:
            gain = -gain
        return 1.0 if gain >= 0 else np.exp(gain / self._temperature)

    def sample_independent(self, study, trial, param_name, param_distribution):
        return self._independent_sampler.sample_independent(
            study, trial, param_name, param_distribution
        )


def objective(trial):
    return trial.suggest_float("x", -100, 100) ** 2 + trial.suggest_float("y", -1, 1)


sampler = SimulatedAnnealingSampler(seed=1)
study = optuna.create_study(sampler=sampler)
study.optimize(objective, n_trials=20)
print("Best value:", study.best_trial.value)
assert sampler.n_relative >= 17
