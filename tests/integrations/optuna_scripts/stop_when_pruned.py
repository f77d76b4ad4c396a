"""Stop a study when trials keep being pruned."""

import optuna


class StopWhenTrialsKeepBeingPruned:
    def __init__(self, threshold: int):
        self.threshold = threshold
        self.pruned_in_a_row = 0

    def __call__(self, study: optuna.study.Study, trial: optuna.trial.FrozenTrial) -> None:
        if trial.state == optuna.trial.TrialState.PRUNED:
            self.pruned_in_a_row += 1
        else:
            self.pruned_in_a_row = 0
        if self.pruned_in_a_row >= self.threshold:
            study.stop()


def objective(trial):
    if trial.number > 4:
        raise optuna.TrialPruned
    return trial.suggest_float("x", 0, 1)


study = optuna.create_study()
study.optimize(objective, n_trials=100, callbacks=[StopWhenTrialsKeepBeingPruned(2)])
assert len(study.trials) == 7
