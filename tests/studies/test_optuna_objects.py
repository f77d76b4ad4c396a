"""Samplers and pruners that were made with Optuna, given to a study."""

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, InvalidSpace

optuna = pytest.importorskip("optuna")


def objective(trial):
    x = trial.suggest_float("x", -1, 1)
    k = trial.suggest_categorical("k", ["a", "b"])
    for step in range(6):
        trial.report(x * x + (k == "b") + 1 / (step + 1), step)
    return x * x + (k == "b")


def run(sampler, n=14, **options):
    study = tk.study(sampler=sampler, **options)
    study.optimize(objective, n_trials=n)
    return study


@pytest.mark.parametrize("name", ["TPESampler", "RandomSampler", "CmaEsSampler", "NSGAIISampler"])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_an_object_proposes_by_its_own_seed(name):
    make = getattr(optuna.samplers, name)
    one, again, other = (run(make(seed=seed)) for seed in (1, 1, 2))
    assert [t.params for t in one.trials] == [t.params for t in again.trials]
    assert [t.params for t in one.trials] != [t.params for t in other.trials]
    assert one.trials[-1].sampler == name


def test_a_study_goes_on_with_the_same_object_as_if_it_had_not_ended(tmp_path):
    url = f"sqlite:///{tmp_path}/t.db"
    whole = run(optuna.samplers.TPESampler(seed=3), n=16)
    for _ in range(2):
        run(optuna.samplers.TPESampler(seed=3), n=8, name="s", storage=url)
    found = tk.load_study("s", storage=url, sampler=optuna.samplers.TPESampler(seed=3))
    assert [t.params for t in found.trials] == [t.params for t in whole.trials]


def test_a_pruner_object_stops_what_it_would_prune():
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)
    study = run(optuna.samplers.RandomSampler(seed=1), n=20, pruner=pruner, audit=0.0)
    stopped = study.get_trials(states=["pruned"])
    assert stopped
    assert "MedianPruner prunes it" in stopped[0].end_reason
    named = {"name": "MedianPruner", "n_startup_trials": 3, "n_warmup_steps": 1}
    same = run(
        optuna.samplers.RandomSampler(seed=1), n=20, stopper="optuna", stopper_options=named,
        audit=0.0,
    )  # fmt: skip
    assert [t.state for t in study.trials] == [t.state for t in same.trials]


def test_an_object_that_computes_constraints_names_what_to_use():
    with pytest.warns(Warning):
        sampler = optuna.samplers.TPESampler(constraints_func=lambda trial: (0.0,))
    with pytest.raises(InvalidArgument, match=r"constraints=\["):
        tk.study(sampler=sampler)
    with pytest.raises(InvalidArgument, match="short name or a Sampler"):
        tk.study(sampler=optuna.samplers)


def test_a_pruner_prunes_all_that_it_condemns_as_in_optuna() -> None:
    pruner = optuna.pruners.ThresholdPruner(upper=0.5)
    assert tk.study(pruner=pruner).audit == 0.0
    assert tk.study(pruner="median").audit == 0.0
    assert tk.study(pruner=pruner, audit=0.2).audit == 0.2
    assert tk.study(stopper="median").audit == 0.05


GRID = {"x": [-50, 0, 50], "k": ["a", "b"]}


def test_a_grid_of_optuna_goes_on_in_another_process_and_ends(tmp_path):
    url, seen = f"sqlite:///{tmp_path}/g.db", []
    for n_trials in (4, None, None):
        study = tk.study("g", storage=url, sampler=optuna.samplers.GridSampler(GRID))
        study.optimize(lambda t: float(t.suggest_int("x", -99, 99)), n_trials=n_trials)
        seen.append(len(study.trials))
    assert seen == [4, 6, 6]
    assert sorted(t.params["x"] for t in study.trials) == [-50, -50, 0, 0, 50, 50]
    assert [t.reason for t in study.trials][-1] == "grid point 6 of 6"


def test_a_grid_of_optuna_fits_a_declared_space():
    space = tk.Space(m=tk.Categorical({"n": {"x": tk.Float(-99, 99)}}), k=["a", "b"], c=3)
    study = tk.study(space=space, sampler=optuna.samplers.GridSampler(GRID))
    study.optimize(lambda t: t.params["x"], n_trials=99)
    assert {(t.params["x"], t.params["k"]) for t in study.trials} == {
        (x, k) for x in GRID["x"] for k in GRID["k"]
    }


def test_a_parameter_that_a_grid_of_optuna_does_not_have_is_refused():
    space = tk.Space(x=tk.Float(-99, 99), k=["a", "b"], z=tk.Float(0, 1))
    study = tk.study(space=space, sampler=optuna.samplers.GridSampler(GRID))
    with pytest.raises(InvalidSpace, match='"z" has infinitely many values, but none in the grid'):
        study.ask()


def test_a_value_of_a_grid_that_the_program_excludes_fails_its_trial():
    study = tk.study(sampler=optuna.samplers.GridSampler({"x": [5]}))
    study.optimize(lambda t: t.suggest_float("x", 0, 1))
    assert [str(t.state) for t in study.trials] == ["failed"]
    assert "the sampler's value does not fit the domain" in study.trials[0].end_reason


def test_a_name_of_a_grid_may_be_asked_for_on_one_branch_only():
    study = tk.study(sampler=optuna.samplers.GridSampler(GRID))
    study.optimize(
        lambda t: t.suggest_categorical("k", ["a", "b"]) == "a" or t.suggest_float("x", -99, 99)
    )
    assert [str(t.state) for t in study.trials] == ["complete"] * 6


def test_a_search_by_brute_force_is_refused_with_what_to_use():
    with pytest.raises(InvalidArgument, match='use sampler="grid"'):
        tk.study(sampler=optuna.samplers.BruteForceSampler())


def test_a_pruner_of_optuna_announces_no_study(capfd):
    study = tk.study(pruner=optuna.pruners.MedianPruner(), space={"x": tk.Float(0, 1)})
    study.optimize(lambda t: t.report(1.0, 1) or 1.0, n_trials=2, progress=False)
    assert "created" not in capfd.readouterr().err


def test_a_class_in_place_of_its_object_is_refused_with_what_to_write():
    with pytest.raises(InvalidArgument, match=r"write TPESampler\(\)"):
        tk.study(sampler=optuna.samplers.TPESampler)
    with pytest.raises(InvalidArgument, match=r"write MedianPruner\(\)"):
        tk.study(pruner=optuna.pruners.MedianPruner)


def test_a_storage_of_optuna_is_refused_with_what_to_give():
    with pytest.raises(InvalidArgument, match=r"InMemoryStorage object.*tk\.from_optuna"):
        tk.study("s", storage=optuna.storages.InMemoryStorage())
    with pytest.raises(InvalidArgument, match="int object: expected"):
        tk.load_study("s", storage=5)


def test_a_direction_may_be_a_member_of_optuna():
    direction = optuna.study.StudyDirection
    assert tk.study(direction=direction.MAXIMIZE).direction == "maximize"
    assert tk.study(directions=[direction.MINIMIZE, direction.MAXIMIZE]).directions == [
        "minimize",
        "maximize",
    ]
    with pytest.raises(InvalidArgument, match="direction"):
        tk.study(direction=direction.NOT_SET)


def test_callbacks_may_be_none_as_in_optuna():
    study = tk.study(space={"x": [1, 2]}, sampler="random")
    study.optimize(lambda trial: 1.0, n_trials=1, callbacks=None)
    assert len(study.trials) == 1
