"""Prune a classifier that learns incrementally, and sum up what became of the trials."""

import optuna
import sklearn.datasets
import sklearn.linear_model
import sklearn.model_selection
from optuna.trial import TrialState


def objective(trial):
    iris = sklearn.datasets.load_iris()
    classes = list(set(iris.target))
    train_x, valid_x, train_y, valid_y = sklearn.model_selection.train_test_split(
        iris.data, iris.target, test_size=0.25, random_state=0
    )
    alpha = trial.suggest_float("alpha", 1e-5, 1e-1, log=True)
    clf = sklearn.linear_model.SGDClassifier(alpha=alpha, random_state=0)
    for step in range(20):
        clf.partial_fit(train_x, train_y, classes=classes)
        trial.report(clf.score(valid_x, valid_y), step)
        if trial.should_prune():
            raise optuna.TrialPruned()
    return clf.score(valid_x, valid_y)


pruner = optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=3)
study = optuna.create_study(direction="maximize", pruner=pruner)
study.optimize(objective, n_trials=12, timeout=600)
pruned = study.get_trials(deepcopy=False, states=[TrialState.PRUNED])
complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
assert len(pruned) + len(complete) == len(study.trials) == 12
trial = study.best_trial
print(trial.value, dict(trial.params.items()))
