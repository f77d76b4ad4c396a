"""Prune whoever is in the last place, with a pruner of one's own."""

import optuna
from optuna.pruners import BasePruner
from optuna.trial import TrialState


class LastPlacePruner(BasePruner):
    def __init__(self, warmup_steps, warmup_trials):
        self._warmup_steps = warmup_steps
        self._warmup_trials = warmup_trials

    def prune(self, study, trial):
        step = trial.last_step
        if not step:
            return False
        complete = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]
        others = sorted(t.intermediate_values[step] for t in complete)
        if step < self._warmup_steps or len(others) <= self._warmup_trials:
            return False
        return trial.intermediate_values[step] < others[0]


def objective(trial):
    score = trial.suggest_float("score", 0.0, 1.0)
    for step in range(5):
        trial.report(score * (step + 1), step)
        if trial.should_prune():
            raise optuna.TrialPruned()
    return score


pruner = LastPlacePruner(warmup_steps=1, warmup_trials=2)
study = optuna.create_study(direction="maximize", pruner=pruner)
for score in (0.5, 0.6, 0.7, 0.4, 0.3, 0.8):
    study.enqueue_trial({"score": score})
study.optimize(objective, n_trials=6)
pruned = [t.number for t in study.trials if t.state == TrialState.PRUNED]
print("pruned", pruned)
assert pruned == [3, 4]
