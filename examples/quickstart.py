"""The ten lines of README.md: a choice that opens parameters, a study in a file, its best."""

import tunekit as tk

svm = tk.Space(C=tk.Float(1e-3, 1e3, log=True), gamma=tk.Float(1e-4, 1e1, log=True))
forest = tk.Space(trees=tk.Int(10, 500, log=True), depth=tk.Int(2, 32))
space = tk.Space(model=tk.Categorical({"svm": svm, "forest": forest}))


def error(trial):  # stands for a training: a forest of depth 12 is best
    p = trial.params
    return 0.2 + 1 / (5 + p["C"]) if p["model"] == "svm" else 0.1 + abs(p["depth"] - 12) / 100


study = tk.study("first", space=space, objectives="error", storage="sqlite:///first.db", seed=1)
study.optimize(error, n_trials=40)
print(study.best_params["model"], round(study.best_value, 2))
