"""tunekit's samplers and stoppers inside a real Optuna study."""

from __future__ import annotations

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument

optuna = pytest.importorskip("optuna")
bridge = pytest.importorskip("tunekit_integrations.optuna")

SPACE = tk.Space(
    model=tk.Categorical(
        {"svm": tk.Space(C=tk.Float(1e-3, 1e3, log=True)), "forest": tk.Space(depth=tk.Int(2, 32))}
    )
)


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial):
    if trial.suggest_categorical("model", ["forest", "svm"]) == "svm":
        return 0.2 + 1 / (5 + trial.suggest_float("C", 1e-3, 1e3, log=True))
    return 0.1 + abs(trial.suggest_int("depth", 2, 32) - 12) / 100


def study(sampler="bayesian", *, n=12, target=objective, **options):
    made = optuna.create_study(sampler=bridge.as_optuna_sampler(sampler, seed=1, **options))
    made.optimize(target, n_trials=n)
    return made


@pytest.mark.parametrize("space", [None, SPACE], ids=["discovered", "declared"])
def test_a_sampler_learns_from_the_trials_of_optuna(space):
    found = study(space=space)
    assert found.best_value <= 0.11
    last = found.trials[-1]
    assert "model of 11 trials" in last.system_attrs[bridge.REASON]
    assert "theta" in last.system_attrs[bridge.EVIDENCE]


@pytest.mark.parametrize("space", [None, SPACE], ids=["discovered", "declared"])
def test_the_same_seed_gives_the_same_trials(space):
    first, again = study("random", n=8, space=space), study("random", n=8, space=space)
    assert [t.params for t in first.trials] == [t.params for t in again.trials]


def test_a_declared_space_answers_full_paths_too():
    def by_path(trial):
        if trial.suggest_categorical("model", ["svm", "forest"]) == "svm":
            return trial.suggest_float("model.svm.C", 1e-3, 1e3, log=True)
        return trial.suggest_int("model.forest.depth", 2, 32)

    found = study("sobol", n=6, target=by_path, space=SPACE)
    history = bridge.history_of(found, found.trials, SPACE)
    for trial in history:
        assert SPACE.validate(trial.params) == trial.params


def test_a_fixed_value_stays_and_the_rest_is_proposed_for_it():
    made = optuna.create_study(sampler=bridge.as_optuna_sampler("bayesian", space=SPACE, seed=1))
    made.enqueue_trial({"model": "svm"})
    made.optimize(objective, n_trials=2)
    assert made.trials[0].params["model"] == "svm"
    assert "C" in made.trials[0].params


def test_failed_pruned_and_infeasible_trials_are_told_as_what_they_are():
    def target(trial):
        x = trial.suggest_float("x", 0.0, 1.0)
        if trial.number == 1:
            raise ValueError("broken")
        trial.report(x, step=3)
        if trial.number == 2:
            raise optuna.TrialPruned
        trial.set_constraint("size", x - 0.5)
        return x

    made = optuna.create_study(sampler=bridge.as_optuna_sampler("random", seed=1))
    made.optimize(target, n_trials=4, catch=(ValueError,))
    history = bridge.history_of(made, made.trials, None)
    states = [str(t.state) for t in history]
    assert states == ["complete", "failed", "stopped", "complete"]
    assert history.get(2).metrics["value"] == made.trials[2].params["x"]
    x = made.trials[3].params["x"]
    assert history.violation(history.get(3)) == pytest.approx(max(0.0, x - 0.5))


def test_several_objectives_are_maximised_and_minimised_as_asked():
    made = optuna.create_study(
        directions=["minimize", "maximize"], sampler=bridge.as_optuna_sampler("random", seed=1)
    )
    made.optimize(lambda t: (t.suggest_float("x", 0, 1), t.suggest_float("y", 0, 1)), n_trials=4)
    history = bridge.history_of(made, made.trials, None)
    assert [o.direction for o in history.objectives] == ["minimize", "maximize"]
    best = {t.number for t in history.pareto()}
    assert best == {t.number for t in made.best_trials}


def test_a_pruner_ends_what_its_stopper_would_stop_and_says_why():
    def target(trial):
        x = trial.suggest_float("x", 0.0, 1.0)
        for step in range(8):
            trial.report(x + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x

    made = optuna.create_study(
        sampler=bridge.as_optuna_sampler("random", seed=1),
        pruner=bridge.as_optuna_pruner("median", options={"min_trials": 3}),
    )
    made.optimize(target, n_trials=12)
    pruned = [t for t in made.trials if t.state is optuna.trial.TrialState.PRUNED]
    whole = [t for t in made.trials if t.state is optuna.trial.TrialState.COMPLETE]
    assert pruned and len(whole) >= 3
    assert min(t.params["x"] for t in made.trials) == made.best_params["x"]
    assert "worse than the median" in pruned[0].system_attrs[bridge.STOPPED]


def test_options_beside_an_instance_are_refused():
    from tunekit.samplers.random import RandomSampler

    with pytest.raises(InvalidArgument, match="given with a sampler instance"):
        bridge.as_optuna_sampler(RandomSampler(), options={"n_start": 3})
    with pytest.raises(InvalidArgument, match='unknown sampler "nope"'):
        bridge.as_optuna_sampler("nope")


@pytest.mark.parametrize("space", [None, SPACE], ids=["discovered", "declared"])
def test_a_trial_that_has_ended_is_read_once(space, monkeypatch):
    from tunekit_integrations import optuna_history

    read = []
    real = optuna_history.record_of

    def counted(trial, *rest):
        read.append((trial.number, trial.state.is_finished()))
        return real(trial, *rest)

    monkeypatch.setattr(optuna_history, "record_of", counted)
    study("random", n=30, space=space)
    ended = [number for number, is_finished in read if is_finished]
    assert ended == list(range(29))
    assert len(read) <= 3 * 30


def test_a_bridge_that_is_used_again_forgets_the_study_before():
    sampler = bridge.as_optuna_sampler("bayesian", seed=1)
    for _ in range(2):
        made = optuna.create_study(sampler=sampler)
        made.optimize(objective, n_trials=12)
        assert "model of 11 trials" in made.trials[-1].system_attrs[bridge.REASON]
