"""Trade size against accuracy, and pick from the front."""

import optuna
import torch


def objective(trial):
    width = trial.suggest_int("width", 2, 64)
    model = torch.nn.Linear(width, 2)
    n_params = sum(p.numel() for p in model.parameters())
    return n_params, 1 - 1 / width


study = optuna.create_study(directions=["minimize", "maximize"])
study.set_metric_names(["n_params", "accuracy"])
study.optimize(objective, n_trials=10, timeout=300)
best = max(study.best_trials, key=lambda t: t.values[1])
print(best.number, best.params, best.values)
assert best.values[1] == max(t.values[1] for t in study.trials)
assert study.metric_names == ["n_params", "accuracy"]
table = study.trials_dataframe()
assert list(table.columns)[:3] == ["number", "values_n_params", "values_accuracy"]
