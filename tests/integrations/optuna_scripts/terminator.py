"""End the study where the error of cross validation outweighs what is left to gain."""

import optuna
from optuna.terminator import TerminatorCallback, report_cross_validation_scores
from sklearn.datasets import load_wine
from sklearn.model_selection import KFold, cross_val_score
from sklearn.tree import DecisionTreeClassifier


def objective(trial):
    x, y = load_wine(return_X_y=True)
    classifier = DecisionTreeClassifier(
        max_depth=trial.suggest_int("max_depth", 2, 32),
        min_samples_split=trial.suggest_float("min_samples_split", 0.01, 1),
        criterion=trial.suggest_categorical("criterion", ("gini", "entropy")),
    )
    scores = cross_val_score(classifier, x, y, cv=KFold(n_splits=5, shuffle=True))
    report_cross_validation_scores(trial, scores)
    return scores.mean()


study = optuna.create_study(direction="maximize")
study.optimize(objective, n_trials=25, callbacks=[TerminatorCallback()])
print(f"The number of trials: {len(study.trials)}")
print(f"Best value: {study.best_value} (params: {study.best_params})")
assert len(study.trials) >= 20
