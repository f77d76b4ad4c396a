"""Give up classifiers that learn slowly, and count the trials by state."""

import optuna
from optuna.trial import TrialState
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split


def objective(trial):
    x, y = load_iris(return_X_y=True)
    train_x, valid_x, train_y, valid_y = train_test_split(x, y, test_size=0.25)
    classifier = SGDClassifier(alpha=trial.suggest_float("alpha", 1e-5, 1e-1, log=True))
    for step in range(10):
        classifier.partial_fit(train_x, train_y, classes=list(set(y)))
        trial.report(classifier.score(valid_x, valid_y), step)
        if trial.should_prune():
            raise optuna.TrialPruned()
    return classifier.score(valid_x, valid_y)


study = optuna.create_study(direction="maximize")
study.optimize(objective, n_trials=12)
pruned_trials = study.get_trials(deepcopy=False, states=[TrialState.PRUNED])
complete_trials = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
print(len(study.trials), len(pruned_trials), len(complete_trials))
for key, value in study.best_trial.params.items():
    print(f"    {key}: {value}")
assert len(pruned_trials) + len(complete_trials) == 12
