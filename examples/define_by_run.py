"""Define-by-run: the objective asks for parameters as it runs; the study discovers the tree."""

import tunekit as tk


def objective(trial: tk.Trial) -> float:
    n_layers = trial.suggest_int("n_layers", 1, 3)
    widths = [trial.suggest_int(f"width_{i}", 8, 128, log=True) for i in range(n_layers)]
    optimizer = trial.suggest_categorical("optimizer", ["sgd", "adam"])
    lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    momentum = trial.suggest_float("momentum", 0.0, 0.99) if optimizer == "sgd" else 0.9
    # Stands for training: best with two layers of about 32 units and a medium learning rate.
    loss = (n_layers - 2) ** 2 + sum(abs(w - 32) for w in widths) / 100
    return loss + abs(lr - 0.01) * 10 + abs(momentum - 0.9)


study = tk.study(direction="minimize", seed=1)
study.optimize(objective, n_trials=60)
print(f"best: {study.best_value:.3f} with {study.best_params}")
