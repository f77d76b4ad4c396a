"""Show the Pareto front of two objectives, and what matters for the first."""

import optuna


def objective(trial):
    x, y = trial.suggest_float("x", 0, 5), trial.suggest_float("y", 0, 3)
    return 4 * x**2 + 4 * y**2, (x - 5) ** 2 + (y - 5) ** 2


study = optuna.create_study(directions=["minimize", "minimize"])
study.optimize(objective, n_trials=20)
front = optuna.visualization.plot_pareto_front(study, target_names=["a", "b"])
assert len(front.data[-1].x) == len(study.best_trials)
shares = optuna.visualization.plot_param_importances(
    study, target=lambda t: t.values[0], target_name="a"
)
assert set(shares.data[0].y) == {"x", "y"}
