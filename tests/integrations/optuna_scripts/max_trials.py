"""Limit the complete trials of a study that several scripts share."""

import optuna
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState


def objective(trial):
    return trial.suggest_float("x", 0, 10) ** 2


study = optuna.create_study(
    study_name="test", storage="sqlite:///database.sqlite", load_if_exists=True
)
study.optimize(
    objective, n_trials=50, callbacks=[MaxTrialsCallback(10, states=(TrialState.COMPLETE,))]
)
trials = study.trials_dataframe()
print("Number of completed trials:", len(trials[trials.state == "COMPLETE"]))
assert len(trials[trials.state == "COMPLETE"]) == 10
assert len(trials.params_x) == 10
