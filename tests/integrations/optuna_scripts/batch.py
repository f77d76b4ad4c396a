"""Evaluate a batch of trials at once, with ask and tell."""

import numpy as np
import optuna


def batched_objective(xs, ys):
    return xs**2 + ys


study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=3))
for _ in range(3):
    numbers, xs, ys = [], [], []
    for _ in range(10):
        trial = study.ask()
        numbers.append(trial.number)
        xs.append(trial.suggest_float("x", -10, 10))
        ys.append(trial.suggest_float("y", -10, 10))
    for number, value in zip(numbers, batched_objective(np.array(xs), np.array(ys)), strict=True):
        study.tell(number, value)
assert len(study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))) == 30
print(study.best_value, study.best_params)
