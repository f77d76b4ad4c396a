"""Ask for trials and tell their values: one by one, by distributions and in batches."""

import numpy as np
import optuna

study = optuna.create_study(direction="maximize")
for _ in range(4):
    trial = study.ask()
    c = trial.suggest_float("C", 1e-7, 10.0, log=True)
    solver = trial.suggest_categorical("solver", ("lbfgs", "saga"))
    study.tell(trial, c + (solver == "saga"))
trial = study.ask()
trial.suggest_float("C", 1e-7, 10.0, log=True)
study.tell(trial, state=optuna.trial.TrialState.PRUNED)
assert study.trials[-1].state == optuna.trial.TrialState.PRUNED

distributions = {
    "C": optuna.distributions.FloatDistribution(1e-7, 10.0, log=True),
    "solver": optuna.distributions.CategoricalDistribution(("lbfgs", "saga")),
}
study = optuna.create_study(direction="maximize")
for _ in range(4):
    trial = study.ask(distributions)
    study.tell(trial, trial.params["C"] + (trial.params["solver"] == "saga"))

study = optuna.create_study()
for _ in range(2):
    trial_numbers, x_batch = [], []
    for _ in range(5):
        trial = study.ask()
        trial_numbers.append(trial.number)
        x_batch.append(trial.suggest_int("x", -10, 10))
    for number, value in zip(trial_numbers, np.array(x_batch) ** 2 + 1, strict=True):
        study.tell(number, value)
assert study.best_value == min(x.value for x in study.trials)
