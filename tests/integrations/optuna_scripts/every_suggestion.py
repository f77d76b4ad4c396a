"""Every kind of suggestion, a loop of layers, and what a finished trial knows of itself."""

import optuna


def note_the_best(study, trial):
    if study.user_attrs.get("best") != study.best_value:
        study.set_user_attr("best", study.best_value)


def objective(trial):
    n_layers = trial.suggest_int("n_layers", 1, 3)
    for i in range(n_layers):
        trial.suggest_int(f"n_units_l{i}", 4, 128, log=True)
    trial.suggest_categorical("optimizer", ["MomentumSGD", "Adam"])
    trial.suggest_int("num_units", 10, 100, step=5)
    rate = trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True)
    drop = trial.suggest_float("drop_path_rate", 0.0, 1.0, step=0.1)
    kind = trial.suggest_categorical("classifier", ["SVC", None, True, 3])
    return drop + rate + (kind is None)


sampler = optuna.samplers.TPESampler(multivariate=True, group=True, seed=10, n_startup_trials=5)
study = optuna.create_study(study_name="kinds", sampler=sampler)
guess = {"optimizer": "Adam", "n_layers": 2}
study.enqueue_trial(guess, user_attrs={"memo": "guess"}, skip_if_exists=True)
study.enqueue_trial(guess, skip_if_exists=True)
study.optimize(objective, n_trials=12, callbacks=[note_the_best], catch=(ValueError,))
first = study.trials[0]
assert first.params["n_layers"] == 2 and first.user_attrs == {"memo": "guess"}
for t in study.get_trials(deepcopy=True, states=(optuna.trial.TrialState.COMPLETE,)):
    assert t.state.is_finished() and t.datetime_complete and t.duration.total_seconds() >= 0
    assert set(t.distributions) == set(t.params)
assert study.user_attrs["best"] == study.best_value
