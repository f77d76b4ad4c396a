"""The ten lines of the README: a space with a branch, a study in a file, the best params."""

import math

import tunekit as tk

space = tk.Space(
    shape=tk.Categorical(
        {
            "bowl": tk.Space(x=tk.Float(-5, 5), y=tk.Float(-5, 5)),
            "wave": tk.Space(frequency=tk.Float(0.1, 10, log=True)),
        }
    )
)


def objective(trial: tk.Trial) -> float:
    p = trial.params
    if p["shape"] == "bowl":
        return (p["x"] - 1) ** 2 + (p["y"] + 2) ** 2
    return 2 + math.sin(p["frequency"])


study = tk.study("quickstart", space=space, storage="sqlite:///quickstart.db", seed=1)
study.optimize(objective, n_trials=50)
print(f"best: {study.best_value:.3f} with {study.best_params}")
