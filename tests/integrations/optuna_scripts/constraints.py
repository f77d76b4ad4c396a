"""Keep two soft constraints that a function computes from the trial."""

import optuna


def objective(trial):
    x = trial.suggest_float("x", -100, 100)
    return x**2 + trial.suggest_categorical("y", [-1, 0, 1])


def constraints(trial):
    x, y = trial.params["x"], trial.params["y"]
    return 3 * x * y + 10, x * y + 30


sampler = optuna.samplers.TPESampler(constraints_func=constraints)
study = optuna.create_study(sampler=sampler)
study.optimize(objective, n_trials=12)
feasible = [t for t in study.trials if all(c <= 0.0 for c in t.system_attrs["constraints"])]
print(len(feasible), "feasible")
