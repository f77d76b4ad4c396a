"""Samplers and pruners that were made with Optuna, given to a study."""

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument

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
