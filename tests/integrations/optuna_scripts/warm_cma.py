"""Start CMA-ES from the trials of an earlier study."""

import optuna


def objective(trial):
    x, y = trial.suggest_float("x", -10, 10), trial.suggest_float("y", -10, 10)
    return (x - 1) ** 2 + y**2


source_study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
source_study.optimize(objective, n_trials=20)
source_trials = source_study.trials
sampler = optuna.samplers.CmaEsSampler(seed=1, source_trials=source_trials)
study = optuna.create_study(sampler=sampler)
study.optimize(objective, n_trials=10)
print(study.best_value)
assert len(study.trials) == 10
