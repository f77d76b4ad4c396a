"""Prune by a test over problem instances, and go on with the mean of what is there."""

import numpy as np
import optuna

rng = np.random.default_rng(seed=1)
count = 0


def objective(trial):
    global count
    slope = trial.suggest_float("slope", 0.1, 10.0, log=True)
    results = []
    for i in rng.permutation(20):
        count += 1
        results.append(float(i) + abs(np.log(slope)) + 0.1 * rng.random())
        trial.report(results[-1], i)
        if trial.should_prune():
            return sum(results) / len(results)
    return sum(results) / len(results)


sampler = optuna.samplers.TPESampler(seed=5)
pruner = optuna.pruners.WilcoxonPruner(p_threshold=0.05)
study = optuna.create_study(direction="minimize", sampler=sampler, pruner=pruner)
study.enqueue_trial({"slope": 1.0})
study.optimize(objective, n_trials=15)
print(f"Number of evaluations: {count} / {20 * 15}")
print(f"Best value: {study.best_value} (params: {study.best_params})")
assert 20 <= count < 300
