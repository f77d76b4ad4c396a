"""Search a grid of values without a number of trials: it ends with its last point."""

import optuna

search_space = {"x": [-50, 0, 50], "y": [-99, 0, 99]}


def objective(trial):
    x = trial.suggest_float("x", -100, 100)
    y = trial.suggest_int("y", -100, 100)
    return x**2 + y**2


study = optuna.create_study(sampler=optuna.samplers.GridSampler(search_space))
study.optimize(objective)
assert len({tuple(t.params.values()) for t in study.trials}) == len(study.trials) == 9
assert study.best_params == {"x": 0, "y": 0}
