"""Minimize one function and maximize another; the front is what counts."""

import optuna


def objective(trial):
    x = trial.suggest_float("x", -100, 100)
    y = trial.suggest_categorical("y", [-1, 0, 1])
    return x**2 + y, -((x - 2) ** 2 + y)


study = optuna.create_study(directions=["minimize", "maximize"])
study.optimize(objective, n_trials=12, timeout=60)
for best in study.best_trials:
    f1, f2 = best.values
    print(f"Trial#{best.number} {best.params}: {f1=}, {f2=}")
assert len(study.trials) == 12
assert 1 <= len(study.best_trials) <= 12
