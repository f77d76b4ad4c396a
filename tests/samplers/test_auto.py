"""`auto` picks by rules that its reasons tell, and beats random search."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from statistics import median

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.records import TrialState
from tunekit.samplers.auto import AutoSampler
from tunekit.samplers.random import RandomSampler
from tunekit.spaces import Float, Int, Params, Space
from tunekit.testing.samplers import TREE, TWO, random_trials, run, view_of

FLAT = Space(x=Float(-5, 5), y=Float(1e-4, 1, log=True), n=Int(1, 100))


@pytest.mark.parametrize("space", [FLAT, TREE])
def test_the_default_comes_first_then_walks_then_a_model(space):
    trials = run(AutoSampler(), space, 9)
    assert {t.sampler for t in trials} == {"bayesian"}
    assert trials[0].params == space.default()
    assert [bool(t.evidence) for t in trials] == 6 * [False] + 3 * [True]


def test_every_proposal_says_who_and_why_in_one_line():
    for view in (view_of(FLAT), view_of(FLAT, random_trials(FLAT, 20))):
        for proposal in AutoSampler().suggest(view, [0, 20]):
            assert proposal.reason.startswith("auto: ")
            assert "\n" not in proposal.reason


def test_pending_trials_do_not_end_the_start():
    view = view_of(FLAT, random_trials(FLAT, 30, TrialState.RUNNING))
    assert "covers the branches" in AutoSampler().suggest(view, [30])[0].reason


def test_when_all_trials_have_failed_it_looks_for_one_that_works():
    view = view_of(FLAT, random_trials(FLAT, 30, TrialState.FAILED))
    assert "no trial is feasible yet" in AutoSampler().suggest(view, [30])[0].reason


def test_a_small_discrete_space_is_searched_completely_then_goes_on():
    space = Space(a=[1, 2, 3], b=bool, constraints=["a < 3 or b"])
    trials = run(AutoSampler(), space, 7)
    assert len({tuple((t.params or {}).items()) for t in trials[:5]}) == 5
    assert [t.sampler for t in trials[:5]] == 5 * ["grid"]
    assert trials[5].sampler != "grid"


def test_a_budget_that_holds_the_grid_makes_it_complete():
    space = Space(a=Int(1, 10), b=Int(1, 10))
    view = view_of(space)
    assert AutoSampler(budget=100).suggest(view, [5])[0].sampler == "grid"
    assert AutoSampler(budget=99).suggest(view, [5])[0].sampler == "bayesian"
    assert AutoSampler().suggest(view, [5])[0].sampler == "bayesian"


def test_several_objectives_and_a_large_budget_are_bred():
    view = view_of(TREE, random_trials(TREE, 20), objectives=TWO)
    assert AutoSampler().suggest(view, [20])[0].sampler == "bayesian"
    proposal = AutoSampler(budget=2000).suggest(view, [20])[0]
    assert proposal.sampler == "evolution"
    assert proposal.reason.startswith("auto: 2 objectives and a budget of 2000 trials; ")


def timed(n, seconds):
    """Return finished trials that took so long."""
    return [replace(t, started=50.0, finished=50.0 + seconds) for t in random_trials(TREE, n)]


@pytest.mark.parametrize(
    ("budget", "n", "seconds", "sampler"),
    [
        (2000, 40, 0.002, "evolution"),
        (1000, 40, 0.002, "evolution"),
        (2000, 120, 0.05, "evolution"),  # the model's suggestion costs more after more trials
        (2000, 40, 0.05, "bayesian"),
        (2000, 40, 20.0, "bayesian"),
        (999, 40, 0.002, "bayesian"),
        (None, 40, 0.002, "bayesian"),
        (2000, 5, 0.002, "bayesian"),
    ],
)
def test_many_trials_that_are_cheaper_than_a_suggestion_are_bred(budget, n, seconds, sampler):
    view = view_of(TREE, timed(n, seconds))
    proposal = AutoSampler(budget=budget).suggest(view, [n])[0]
    assert proposal.sampler == sampler
    assert ("a trial takes 2 ms" in proposal.reason) == (sampler == "evolution" and n == 40)


def test_trials_of_unknown_duration_are_left_to_the_model():
    view = view_of(TREE, random_trials(TREE, 40))
    assert AutoSampler(budget=2000).suggest(view, [40])[0].sampler == "bayesian"


def test_how_long_trials_take_is_kept_while_they_end_and_change(monkeypatch):
    chance, view, kept = random.Random(0), view_of(TREE), AutoSampler(budget=2000)
    walks = []
    real = History.finished
    monkeypatch.setattr(History, "finished", lambda h: walks.append(h) or real(h))
    found = set()
    for seq, trial in enumerate(timed(60, 0.0), start=1):
        number = trial.number if chance.random() < 0.8 else chance.randrange(trial.number + 1)
        lasted = chance.uniform(0.001, 0.06)
        state = chance.choice([TrialState.COMPLETE, TrialState.COMPLETE, TrialState.RUNNING])
        changed = replace(trial, number=number, state=state, seq=seq, finished=50.0 + lasted)
        view.history.update([changed], seq)
        reason = kept._reason_to_breed(view)
        fresh = AutoSampler(budget=2000)._reason_to_breed(view)
        assert reason == fresh
        found.add(reason)
    assert len(found) > 3
    assert len(walks) == 60 + 1  # a fresh sampler looks at all trials, a kept one once


def test_a_study_of_many_cheap_trials_goes_from_the_model_to_evolution():
    study = tk.study(
        space=FLAT, objectives="loss", sampler="auto", sampler_options={"budget": 2000}, seed=1
    )
    study.optimize(lambda trial: abs(trial.params["x"]), n_trials=16)
    assert [t.sampler for t in study.trials] == 10 * ["bayesian"] + 6 * ["evolution"]


def test_without_the_package_it_learns_by_a_model_and_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)
    view = view_of(TREE, random_trials(TREE, 20), objectives=TWO)
    proposal = AutoSampler(budget=2000).suggest(view, [20])[0]
    assert proposal.sampler == "bayesian"
    assert "pip install 'tunekit-hpo[evolution]'" in proposal.reason


@pytest.mark.parametrize("budget", [0, -3, 1.5, True, "many"])
def test_a_budget_is_a_whole_number(budget):
    with pytest.raises(InvalidArgument, match="budget"):
        AutoSampler(budget=budget)


def test_a_default_that_breaks_a_constraint_is_not_proposed():
    space = Space(x=Float(0, 1, default=0.1), y=Float(0, 1), constraints=["x > 0.5"])
    point = AutoSampler().suggest(view_of(space), [0])[0].params
    assert point["x"] > 0.5


def test_auto_beats_random_search_clearly(monkeypatch):
    """Medians of 5 seeds and 40 trials, of a smooth function in 4 dimensions."""
    space = Space({f"x{i}": Float(-5, 5, default=4) for i in range(4)})

    def sphere(params: Params) -> dict[str, float]:
        return {"loss": sum((float(v) - 1 - i) ** 2 for i, v in enumerate(params.values()))}

    monkeypatch.setattr("tunekit.testing.samplers.measured", sphere)

    def best(make):
        ends = []
        for seed in range(5):
            trials = run(make(), space, 40, seed=seed)
            ends.append(min(t.metrics["loss"] for t in trials))
        return median(ends)

    assert best(AutoSampler) < 0.5 * best(RandomSampler)
