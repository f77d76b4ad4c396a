"""What trials cost divides what they promise, less and less as the budget is spent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument
from tunekit.records import Outcome, TrialState
from tunekit.samplers.auto import AutoSampler
from tunekit.samplers.bayesian.cost_model import learnt_costs
from tunekit.samplers.bayesian.costs import Costs
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.samplers.bayesian.training_data import TrialRows
from tunekit.spaces import Categorical, Float, Space
from tunekit.spaces.encode import Encoder
from tunekit.testing.samplers import TREE, TWO, check, ended, random_trials, run, view_of

SQUARE = Space(x=Float(0, 1), y=Float(0, 1))
PLANE = Space(x=Float(0, 1), y=Float(0, 1))
SIZES = Space(size=Categorical({"large": PLANE, "small": PLANE}), z=Float(0, 1))


def lasting(trials, seconds_of):
    return [replace(t, started=5.0, finished=5.0 + seconds_of(t)) for t in trials]


def in_x(trial):
    return 2.0 + 20.0 * trial.params["x"]


def of_size(params):
    """Return the loss and the cost; the large half is ten times as dear and hardly better."""
    is_large = params["size"] == "large"
    x, y = (params[f"size.{params['size']}.{name}"] for name in "xy")
    loss = (x - (0.2 if is_large else 0.3)) ** 2 + (y - 0.8) ** 2 + (params["z"] - 0.85) ** 2
    return loss + (0.0 if is_large else 0.002), 10.0 if is_large else 1.0


def cost_to_reach(loss, seed, **options):
    sampler, trials, clock = BayesianSampler(**options), [], 0.0
    while len(trials) < 60:
        (proposal,) = sampler.suggest(view_of(SIZES, trials, seed=seed), [len(trials)])
        found, cost = of_size(proposal.params)
        outcome = Outcome(TrialState.COMPLETE, metrics={"loss": found})
        trial = ended(len(trials), proposal, outcome)
        trials.append(replace(trial, started=clock, finished=clock + cost))
        clock += cost
        if found < loss:
            break
    return clock


def test_a_good_point_is_found_for_less_where_half_of_the_space_is_ten_times_as_dear():
    plain = sum(cost_to_reach(0.012, seed) for seed in range(4))
    aware = sum(cost_to_reach(0.012, seed, cost="seconds") for seed in range(4))
    assert aware < 0.85 * plain


def proposed(trials, space=SQUARE, **options):
    view = view_of(space, trials)
    return BayesianSampler(**options).suggest(view, [len(trials)])[0]


def test_a_proposal_says_its_cost_and_the_exponent_which_falls_with_the_budget():
    trials = lasting(random_trials(SQUARE, 20), in_x)
    at = [proposed(trials[:n], cost="seconds", budget=20) for n in (6, 13, 20)]
    assert [p.evidence["cost"]["exponent"] for p in at] == [1.0, 0.5, 0.0]
    expected = at[1].evidence["cost"]["expected"]
    assert expected == pytest.approx(2.1 + 20 * at[1].params["x"], rel=0.1)
    assert f"its cost, about {expected:g} s, to the power of 0.50" in at[1].reason
    assert at[2].params == proposed(trials).params  # nothing is left of it at the end


def test_without_a_budget_the_exponent_stays_above_a_half():
    trials = lasting(random_trials(SQUARE, 60), in_x)
    costs = [proposed(trials[:n], cost="seconds").evidence["cost"] for n in (6, 12, 60)]
    first, middle, last = (c["exponent"] for c in costs)
    assert first == 1.0 > middle > last > 0.5


def test_a_budget_in_the_unit_of_the_cost_counts_what_is_pending():
    trials = random_trials(SQUARE, 10)
    trials = [replace(t, metrics={**t.metrics, "usd": in_x(t)}) for t in trials]
    spent = sum(t.metrics["usd"] for t in trials)
    rows = TrialRows(Encoder(SQUARE))
    start = sum(t.metrics["usd"] for t in trials[:6])
    costs = Costs("usd", cost_budget=2 * spent)
    model = learnt_costs(costs, view_of(SQUARE, trials), rows, n_start=6)
    nothing, pending = np.empty((0, 2)), np.array([[0.5, 0.5]])
    assert model.term(nothing).exponent == pytest.approx(spent / (2 * spent - start))
    paid = (2 * spent - start) * (model.term(nothing).exponent - model.term(pending).exponent)
    assert paid == pytest.approx(12.0, rel=0.1)


def test_the_term_has_the_gradient_of_its_values():
    trials = lasting(random_trials(TREE, 30), lambda t: 1.0 + 5.0 * (t.params["model"] == "svm"))
    encoder = Encoder(TREE)
    model = learnt_costs(Costs("seconds"), view_of(TREE, trials), TrialRows(encoder), n_start=6)
    term = model.term(np.empty((0, len(encoder))))
    x = encoder.encode([t.params for t in random_trials(TREE, 5)])
    values, slopes = term.climber(x)(x)
    assert values == pytest.approx(term.log_probability(x))
    for j in range(len(encoder)):
        moved = x.copy()
        moved[:, j] += 1e-6
        found = (term.log_probability(moved) - values) / 1e-6
        is_number = encoder.columns[j].kind != "categorical"
        active = ~np.isnan(x[:, j]) & is_number
        assert slopes[active, j] == pytest.approx(found[active], abs=1e-4)


@pytest.mark.parametrize(
    "seconds_of",
    [
        lambda t: 30.0 + 0.3 * t.params["x"],
        lambda t: 1e-4 + 5e-3 * t.params["x"],
        lambda t: 5.0 + 100.0 * (t.number * 7919 % 13) / 13,
    ],
    ids=["all alike", "tiny", "unforeseeable"],
)
def test_costs_that_do_not_matter_or_are_not_foreseen_change_nothing(seconds_of):
    trials = lasting(random_trials(SQUARE, 25), seconds_of)
    assert proposed(trials, cost="seconds") == proposed(trials)


def test_trials_that_failed_or_still_run_do_not_teach_what_a_trial_costs():
    trials = lasting(random_trials(SQUARE, 20), in_x)
    short = lasting(random_trials(SQUARE, 30, TrialState.FAILED)[20:], lambda t: 0.01)
    running = lasting(random_trials(SQUARE, 40, TrialState.RUNNING)[30:], lambda t: 1e4)
    rows = TrialRows(Encoder(SQUARE))
    few, many = (
        learnt_costs(Costs("seconds"), view_of(SQUARE, found), rows, n_start=6)
        for found in (trials, [*trials, *short, *running])
    )
    x = np.random.default_rng(1).random((5, 2))
    assert np.array_equal(few.log_cost(x), many.log_cost(x))


@pytest.mark.parametrize("objectives", [TWO[:1], TWO], ids=["one", "two"])
def test_any_objectives_go_with_costs_and_a_fresh_instance_answers_the_same(objectives):
    def priced(fresh):
        make = lambda: BayesianSampler(cost="memory", budget=30)  # noqa: E731
        return run(make(), TREE, 14, make if fresh else None, objectives=objectives)

    trials = priced(fresh=False)
    assert [t.params for t in trials] == [t.params for t in priced(fresh=True)]
    view = view_of(TREE, lasting(trials, lambda t: 3.0 + 9.0 * (t.params["scaler"] == "none")))
    proposals = AutoSampler(cost="seconds", budget=40).suggest(view, [20, 21])
    check(view, [20, 21], proposals)
    assert all(p.evidence["cost"]["of"] == "seconds" for p in proposals)


def test_a_study_that_weighs_costs_replays():
    study = tk.study(
        space=SQUARE,
        objectives="loss",
        seed=3,
        sampler="bayesian",
        sampler_options={"cost": "usd", "cost_budget": 500},
    )
    study.optimize(lambda t: {"loss": (t.params["y"] - 0.2) ** 2, "usd": in_x(t)}, n_trials=14)
    assert "cost" in study.trials[-1].evidence
    assert study.replay() == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cost": 3}, 'expected "seconds"'),
        ({"cost": ""}, "the name of a metric"),
        ({"budget": 10}, "give cost="),
        ({"cost_budget": 10}, "give cost="),
        ({"cost": "usd", "budget": 10, "cost_budget": 10}, "got both"),
        ({"cost": "usd", "budget": 0}, "whole number of 1 or more"),
        ({"cost": "usd", "cost_budget": float("nan")}, "expected a finite number"),
    ],
)
def test_options_that_cannot_be_right_are_refused(options, words):
    with pytest.raises(InvalidArgument, match=words):
        BayesianSampler(**options)


def test_a_metric_that_no_trial_has_or_that_is_negative_is_an_error():
    trials = random_trials(SQUARE, 10)
    with pytest.raises(InvalidArgument, match="they have loss, memory, speed"):
        proposed(trials, cost="price")
    below = [replace(t, metrics={**t.metrics, "price": -1.0}) for t in trials]
    with pytest.raises(InvalidArgument, match="-1 in trial 0, expected values above 0"):
        proposed(below, cost="price")
