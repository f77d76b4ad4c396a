"""Show how the room for improvement shrinks beside the error of cross validation."""

import optuna
from optuna.terminator import report_cross_validation_scores
from optuna.visualization import plot_terminator_improvement


def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    report_cross_validation_scores(trial, [x, x + 0.1, x - 0.1])
    return x


study = optuna.create_study()
study.optimize(objective, n_trials=22)
figure = plot_terminator_improvement(study, plot_error=True)
assert [trace.name for trace in figure.data][-1] == "Error"
