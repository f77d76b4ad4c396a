"""What fails or breaks a bound is learnt as a chance, never as a bad value."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tunekit.records import MetricConstraint, Outcome, TrialState
from tunekit.samplers.bayesian.feasibility import RISKY, ConditionModel, cautious
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.samplers.bayesian.training_data import TrialRows, observed
from tunekit.spaces import Categorical, Float, Space
from tunekit.spaces.encode import Encoder
from tunekit.testing.samplers import TREE, TWO, check, ended, random_trials, view_of
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.tree_gp import fit

SQUARE = Space(x=Float(0, 1), y=Float(0, 1))
BRANCHES = Space(kind=Categorical({"good": Space(x=Float(0, 1)), "broken": Space(z=Float(0, 1))}))


def study(space, n, outcome_of, *, seed=1, **kwargs):
    trials = []
    for number in range(n):
        view = view_of(space, trials, seed=seed, **kwargs)
        (proposal,) = BayesianSampler().suggest(view, [number])
        trials.append(ended(number, proposal, outcome_of(proposal.params)))
    return trials


def complete(**metrics):
    return Outcome(TrialState.COMPLETE, metrics=metrics)


def test_a_branch_that_always_raises_is_left_after_a_few_failures():
    def run(p):
        if p["kind"] == "broken":
            return Outcome(TrialState.FAILED, reason="it raised")
        return complete(loss=(p["kind.good.x"] - 0.3) ** 2)

    trials = study(BRANCHES, 24, run)
    assert sum(t.state is TrialState.FAILED for t in trials[8:]) <= 2
    assert min(t.metrics["loss"] for t in trials if t.metrics) < 1e-3


@pytest.mark.parametrize("seed", [1, 2])
def test_the_best_beside_a_region_that_diverges_is_found(seed):
    def run(p):
        if p["x"] > 0.6:  # where it would be best
            return Outcome(TrialState.DIVERGED, metrics={"loss": math.nan})
        return complete(loss=(p["x"] - 0.9) ** 2 + (p["y"] - 0.5) ** 2)

    trials = study(SQUARE, 30, run, seed=seed)
    assert min(t.metrics["loss"] for t in trials if t.state is TrialState.COMPLETE) < 0.092
    assert sum(t.state is TrialState.DIVERGED for t in trials) <= 20


def test_a_small_chance_counts_with_a_power_and_its_gradient_follows():
    rng = np.random.default_rng(0)
    x = rng.random((20, 2))
    gp = fit(BlockStructure.flat([0, 0]), x, np.where(x[:, 0] > 0.5, 2.0, 0.0))
    chance = ConditionModel("no failure", gp, -1.0, is_label=True)
    (term,) = cautious([chance])
    rows = rng.random((40, 2))
    plain, counted = chance.log_probability(rows), term.log_probability(rows)
    likely = plain > math.log(RISKY)
    assert 0 < likely.sum() < 40
    assert counted[likely] == pytest.approx(plain[likely])
    assert np.all(counted[~likely] < plain[~likely])
    value, gradient = term.climber(rows)(rows)
    assert value == pytest.approx(counted)
    step = 1e-6 * np.eye(2)
    ends = [(term.log_probability(rows + s), term.log_probability(rows - s)) for s in step]
    numeric = np.stack([(high - low) / 2e-6 for high, low in ends], axis=1)
    assert gradient == pytest.approx(numeric, rel=1e-3, abs=1e-3)
    known = ConditionModel("memory <= 1", gp, -1.0)
    assert cautious([known]) == [known]


def test_without_a_feasible_trial_the_chance_of_being_feasible_leads():
    bound = (MetricConstraint("memory", "<=", 0.2),)

    def run(p):  # the loss pulls the other way
        return complete(loss=p["x"], memory=1 - p["x"] * p["y"])

    trials = study(SQUARE, 16, run, constraints=bound)
    assert any(t.metrics["memory"] <= 0.2 for t in trials)


def test_a_better_value_that_is_infeasible_is_not_the_best():
    bound = (MetricConstraint("memory", "<=", 0.5),)

    def run(p):
        return complete(loss=p["x"] + (p["y"] - 0.5) ** 2, memory=1 - p["x"])

    trials = study(SQUARE, 25, run, constraints=bound)
    best = min(t.metrics["loss"] for t in trials if t.metrics["memory"] <= 0.5)
    assert best < 0.52


def test_a_failure_is_no_value_of_the_objective():
    trials = random_trials(SQUARE, 10)
    failed = random_trials(SQUARE, 14, TrialState.FAILED)[10:]
    view = view_of(SQUARE, [*trials, *failed])
    assert len(observed(view, TrialRows(Encoder(SQUARE))).losses) == 10


@pytest.mark.parametrize("objectives", [view_of(TREE).objectives, TWO])
@pytest.mark.parametrize("n", [1, 8, 30])
def test_when_all_trials_have_failed_it_still_proposes_new_points(n, objectives):
    view = view_of(TREE, random_trials(TREE, n, TrialState.FAILED), objectives=objectives)
    numbers = [40, 41, 42]
    proposals = BayesianSampler().suggest(view, numbers)
    check(view, numbers, proposals)
    assert len({tuple(p.params.items()) for p in proposals}) == 3


def test_what_is_pending_sends_others_elsewhere_while_nothing_has_worked():
    view = view_of(SQUARE, random_trials(SQUARE, 8, TrialState.FAILED))
    points = [p.params for p in BayesianSampler().suggest(view, [20, 21, 22, 23])]
    x = np.array([[p["x"], p["y"]] for p in points])
    apart = np.linalg.norm(x[:, None] - x[None], axis=2)[np.triu_indices(4, 1)]
    assert apart.min() > 0.05


def test_a_constraint_whose_metric_is_missing_or_nan_does_no_harm():
    trials = random_trials(SQUARE, 10)
    bad = [
        ended(t.number, t, complete(loss=1.0, **({"memory": math.nan} if t.number % 2 else {})))
        for t in trials
    ]
    view = view_of(SQUARE, bad, constraints=(MetricConstraint("memory", "<=", 0.5),))
    check(view, [20, 21], BayesianSampler().suggest(view, [20, 21]))
