"""Stop when trials are pruned in a row."""

import optuna


class StopWhenTrialKeepBeingPruned:
    def __init__(self, threshold: int):
        self.threshold = threshold
        self._pruned = 0

    def __call__(self, study: optuna.study.Study, trial: optuna.trial.FrozenTrial) -> None:
        is_pruned = trial.state == optuna.trial.TrialState.PRUNED
        self._pruned = self._pruned + 1 if is_pruned else 0
        if self._pruned >= self.threshold:
            study.stop()


def objective(trial):
    if trial.number > 4:
        raise optuna.TrialPruned
    return trial.suggest_float("x", 0, 1)


study = optuna.create_study()
study.optimize(objective, n_trials=10, callbacks=[StopWhenTrialKeepBeingPruned(2)])
assert len(study.trials) == 7
