"""Try two values that are known to be good before all others."""

import optuna
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC


def objective(trial):
    x, y = load_iris(return_X_y=True)
    svc_c = trial.suggest_float("svc_c", 1e-10, 1e10, log=True)
    return cross_val_score(SVC(C=svc_c, gamma="auto"), x, y, cv=3).mean()


study = optuna.create_study(direction="maximize")
study.enqueue_trial({"svc_c": 1})
study.enqueue_trial({"svc_c": 10})
study.optimize(objective, n_trials=5)
print(f"C={study.trials[0].params['svc_c']}, Value={study.trials[0].value}")
print(f"C={study.best_trial.params['svc_c']}, Value={study.best_trial.value}")
assert [study.trials[i].params["svc_c"] for i in (0, 1)] == [1, 10]
