"""Scripts in the shape of Optuna's examples, with the import and the constructor changed."""

import pytest

import tunekit as tk

optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def quadratic(trial):
    return trial.suggest_float("x", -100, 100) ** 2 + trial.suggest_categorical("y", [-1, 0, 1])


def sphere(trial):
    return trial.suggest_float("x", -15, 15) ** 2 + trial.suggest_float("y", -15, 15) ** 2


def pruned(trial):
    x = trial.suggest_float("x", -1, 1)
    for step in range(5):
        trial.report(x * x + 1 / (step + 1), step)
        if trial.should_prune():
            raise tk.TrialPruned()
    return x * x


def test_the_number_of_complete_trials_is_limited_by_a_callback_of_optuna(tmp_path):
    url = f"sqlite:///{tmp_path}/database.sqlite3"
    study = tk.study(study_name="test", storage=url, load_if_exists=True)
    states = (optuna.trial.TrialState.COMPLETE,)
    study.optimize(quadratic, 20, callbacks=[optuna.study.MaxTrialsCallback(5, states=states)])
    assert study.best_trial.value == study.best_value
    assert 5 <= len(study.get_trials(deepcopy=False, states=states)) <= 6


def test_a_script_with_a_pruner_counts_its_trials_by_state():
    study = tk.study(direction="minimize", pruner=optuna.pruners.WilcoxonPruner(p_threshold=0.1))
    study.enqueue_trial({"x": 0.25})
    study.optimize(pruned, n_trials=8)
    assert study.trials[0].params["x"] == 0.25
    stopped = study.get_trials(states=[optuna.trial.TrialState.PRUNED])
    complete = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    assert len(stopped) + len(complete) == 8


def test_batches_are_asked_and_told_by_number():
    study = tk.study()
    for _ in range(2):
        asked = [(t.number, t.suggest_float("x", -10, 10)) for t in (study.ask(), study.ask())]
        for number, x in asked:
            study.tell(number, (x - 2) ** 2)
    assert study.best_value == min(t.value for t in study.trials)


def test_one_study_starts_the_sampler_of_the_next():
    first = tk.study(sampler=optuna.samplers.CmaEsSampler(seed=1))
    first.optimize(sphere, n_trials=20)
    trials = first.to_optuna().trials
    second = tk.study(sampler=optuna.samplers.CmaEsSampler(source_trials=trials, seed=1))
    second.optimize(sphere, n_trials=4)
    assert len(second.trials) == 4
