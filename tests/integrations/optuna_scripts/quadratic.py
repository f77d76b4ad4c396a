"""Minimize a quadratic function of a number and a choice."""

import optuna


def objective(trial):
    x = trial.suggest_float("x", -100, 100)
    y = trial.suggest_categorical("y", [-1, 0, 1])
    return x**2 + y


study = optuna.create_study()
study.optimize(objective, n_trials=12, timeout=60)
print(f"Best value: {study.best_value} (params: {study.best_params})")
assert study.best_trial.value == min(t.value for t in study.trials)
