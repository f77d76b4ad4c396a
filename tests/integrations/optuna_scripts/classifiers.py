"""Choose one of two classifiers and its params, with an objective that is an object."""

import optuna
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC


class Objective:
    def __init__(self, iris):
        self.iris = iris

    def __call__(self, trial):
        if trial.suggest_categorical("classifier", ["SVC", "RandomForest"]) == "SVC":
            c = trial.suggest_float("svc_c", 1e-10, 1e10, log=True)
            model = SVC(C=c, gamma="auto")
        else:
            depth = trial.suggest_int("rf_max_depth", 2, 32, log=True)
            model = RandomForestClassifier(max_depth=depth, n_estimators=5)
        return cross_val_score(model, self.iris.data, self.iris.target, cv=3).mean()


study = optuna.create_study(direction="maximize")
study.optimize(Objective(load_iris()), n_trials=8)
print(study.best_trial)
assert study.best_trial.params["classifier"] in ("SVC", "RandomForest")
