"""Annotate a study and its trials."""

import optuna

study = optuna.create_study(storage="sqlite:///example.db")
study.set_user_attr("contributors", ["Akiba", "Sano"])
study.set_user_attr("dataset", "MNIST")


def objective(trial):
    accuracy = 1 / (1 + trial.suggest_float("svc_c", 1e-10, 1e10, log=True))
    trial.set_user_attr("accuracy", accuracy)
    return accuracy


study.optimize(objective, n_trials=1)
assert study.user_attrs["contributors"] == ["Akiba", "Sano"]
assert study.trials[0].user_attrs["accuracy"] == study.trials[0].value
summaries = optuna.get_all_study_summaries("sqlite:///example.db")
assert summaries[0].user_attrs["dataset"] == "MNIST"
