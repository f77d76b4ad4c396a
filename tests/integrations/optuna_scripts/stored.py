"""Keep a study in a file, open it again and go on."""

import logging
import sys

import optuna

optuna.logging.get_logger("optuna").addHandler(logging.StreamHandler(sys.stdout))
study_name = "example-study"
storage_name = f"sqlite:///{study_name}.db"
study = optuna.create_study(study_name=study_name, storage=storage_name)


def objective(trial):
    return (trial.suggest_float("x", -10, 10) - 2) ** 2


study.optimize(objective, n_trials=3)
study = optuna.create_study(study_name=study_name, storage=storage_name, load_if_exists=True)
study.optimize(objective, n_trials=3)
study = optuna.load_study(study_name=study_name, storage=storage_name)
df = study.trials_dataframe(attrs=("number", "value", "params", "state"))
print(df)
print("Best params: ", study.best_params)
print("Best Trial: ", study.best_trial)
assert list(df.columns) == ["number", "value", "params_x", "state"]
assert len(df) == 6
