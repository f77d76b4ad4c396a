"""Try known params first, and add trials whose results are known."""

import optuna


def objective(trial):
    fraction = min(trial.suggest_float("bagging_fraction", 0.4, 1.0 + 1e-12), 1)
    return fraction - trial.suggest_int("bagging_freq", 0, 7) / 10


study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner())
study.enqueue_trial({"bagging_fraction": 1.0, "bagging_freq": 0})
study.enqueue_trial({"bagging_fraction": 0.75, "bagging_freq": 5})
study.optimize(objective, n_trials=4, timeout=600)
assert study.trials[1].params == {"bagging_fraction": 0.75, "bagging_freq": 5}

study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner())
study.add_trial(
    optuna.trial.create_trial(
        params={"bagging_fraction": 1.0, "bagging_freq": 0},
        distributions={
            "bagging_fraction": optuna.distributions.FloatDistribution(0.4, 1.0 + 1e-12),
            "bagging_freq": optuna.distributions.IntDistribution(0, 7),
        },
        value=2.0,
    )
)
study.optimize(objective, n_trials=3, timeout=600)
assert study.best_trial.number == 0
assert len(study.trials) == 4
