"""Keep one parameter fixed while another is sampled; then go on with another sampler."""

import optuna


def objective(trial):
    x = trial.suggest_float("x", -100, 100)
    y = trial.suggest_categorical("y", [-1, 0, 1])
    return x**2 + y


assert objective(optuna.trial.FixedTrial({"x": 1.0, "y": 0})) == 1.0
fixed = optuna.samplers.PartialFixedSampler({"y": 0}, optuna.samplers.RandomSampler(seed=1))
study = optuna.create_study(sampler=fixed)
study.optimize(objective, n_trials=5)
assert all(t.params["y"] == 0 for t in study.trials)
study.sampler = optuna.samplers.TPESampler(seed=1)
study.optimize(objective, n_trials=5)
copied = optuna.create_study(sampler=optuna.samplers.QMCSampler(seed=1))
copied.add_trials(study.trials)
copied.optimize(objective, n_trials=3, timeout=60)
assert len(copied.trials) == 13
