"""Look at a study in plots."""

import optuna
from optuna.visualization import (
    plot_contour,
    plot_edf,
    plot_intermediate_values,
    plot_optimization_history,
    plot_parallel_coordinate,
    plot_param_importances,
    plot_rank,
    plot_slice,
    plot_timeline,
)


def objective(trial):
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    n = trial.suggest_int("n_layers", 1, 3)
    for epoch in range(4):
        trial.report(n - lr + epoch, epoch)
        if trial.should_prune():
            raise optuna.exceptions.TrialPruned()
    return n - lr


study = optuna.create_study(
    direction="maximize",
    sampler=optuna.samplers.TPESampler(seed=13),
    pruner=optuna.pruners.MedianPruner(),
)
study.optimize(objective, n_trials=20, timeout=300)
figures = [
    plot_optimization_history(study),
    plot_intermediate_values(study),
    plot_parallel_coordinate(study, params=["lr", "n_layers"]),
    plot_contour(study, params=["lr", "n_layers"]),
    plot_slice(study),
    plot_param_importances(study),
    plot_param_importances(
        study, target=lambda t: t.duration.total_seconds(), target_name="duration"
    ),
    plot_edf(study),
    plot_rank(study),
    plot_timeline(study),
]
assert all(figure.data for figure in figures)
