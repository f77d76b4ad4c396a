"""Evaluate the best params once more, in detail."""

import optuna
from sklearn import metrics
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

X, Y = make_classification(n_features=10, random_state=1)


def objective(trial):
    model = LogisticRegression(C=trial.suggest_float("C", 1e-7, 10.0, log=True)).fit(X, Y)
    return model.score(X, Y)


def detailed_objective(trial):
    model = LogisticRegression(C=trial.suggest_float("C", 1e-7, 10.0, log=True)).fit(X, Y)
    found = model.predict(X)
    return metrics.accuracy_score(Y, found), metrics.f1_score(Y, found)


study = optuna.create_study(direction="maximize")
study.optimize(objective, n_trials=6)
accuracy, f1 = detailed_objective(study.best_trial)
assert accuracy == study.best_trial.value
assert not study.best_trial.should_prune()
