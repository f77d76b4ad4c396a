"""Cheap trials at low fidelities where they tell much; only those at the target are results."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import tunekit as tk
from tunekit.errors import NoCompleteTrial
from tunekit.records import MetricConstraint, Outcome, TrialState
from tunekit.samplers.bayesian import unpredicted
from tunekit.samplers.bayesian.cost_model import learnt_costs
from tunekit.samplers.bayesian.costs import Costs
from tunekit.samplers.bayesian.fidelity import Fidelity
from tunekit.samplers.bayesian.fidelity_choice import chosen
from tunekit.samplers.bayesian.fidelity_levels import CREDIT, SHARE
from tunekit.samplers.bayesian.models import model_of
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.samplers.bayesian.training_data import TrialRows, observed
from tunekit.spaces import Categorical, Float, Int, Params, Space
from tunekit.spaces.encode import Encoder
from tunekit.testing.samplers import TWO, check, check_cheap, ended, random_trials, view_of

EPOCHS = Int(1, 81, log=True, fidelity=True)
NETS = Space(lr=Float(1e-4, 1, log=True), depth=Int(1, 12))
BOOST = Space(eta=Float(0.01, 1, log=True), leaves=Int(4, 256, log=True))


def models(epochs):
    model = Categorical({"net": NETS, "boost": BOOST})
    return Space(model=model, kind=["a", "b", "c"], decay=Float(0, 1), epochs=epochs)


CURVES = models(EPOCHS)


def whole(p):
    """Return the loss at the target; the best is 0."""
    u = {path: CURVES.by_path[path].domain.to_unit(v) for path, v in p.items()}
    loss = {"a": 0.05, "b": 0.0, "c": 0.02}[p["kind"]] + 0.3 * (p["decay"] - 0.35) ** 2
    if p["model"] == "boost":
        loss += 0.6 * (u["model.boost.eta"] - 0.3) ** 2
        return loss + 0.07 + 0.4 * (u["model.boost.leaves"] - 0.7) ** 2
    return loss + (u["model.net.lr"] - 0.7) ** 2 + 0.5 * (u["model.net.depth"] - 0.6) ** 2


def done(p):
    return math.log(p["epochs"]) / math.log(81)


def informative(p):
    """Return a loss that falls with the epochs; nets are slower, so the curves cross."""
    return whole(p) + (1 - done(p)) ** 1.5 * (0.5 if p["model"] == "net" else 0.25)


def misleading(p):
    """Return a loss that has its minimum elsewhere as long as there are few epochs."""
    u = done(p) ** 3
    elsewhere = {"a": 0.0, "b": 0.2, "c": 0.05}[p["kind"]] + (p["decay"] - 0.9) ** 2
    return u * whole(p) + (1 - u) * (elsewhere + (0.3 if p["model"] == "net" else 0.0))


def cost_to_reach(loss, function, space, seed, budget):
    """Return what it cost in full runs until one of them was as good, at most the budget."""
    sampler, trials, spent = BayesianSampler(), [], 0.0
    while spent < budget:
        (proposal,) = sampler.suggest(view_of(space, trials, seed=seed), [len(trials)])
        p = proposal.params
        outcome = Outcome(TrialState.COMPLETE, metrics={"loss": function(p)})
        trials.append(ended(len(trials), proposal, outcome))
        spent += p["epochs"] / 81
        if p["epochs"] == 81 and function(p) < loss:
            return spent
    return budget


@cache
def total(function, epochs):
    space = models(epochs)
    return sum(cost_to_reach(0.02, function, space, seed, 50.0) for seed in (0, 2, 3))


def test_low_fidelities_that_tell_much_save_a_third_of_the_cost():
    assert total(informative, EPOCHS) < 0.66 * total(whole, 81)


def test_low_fidelities_that_mislead_cost_no_more_than_three_times_as_much():
    # Full runs get a quarter of the spending, so that four times would be without any doubt.
    assert total(misleading, EPOCHS) < 3.0 * total(whole, 81)


@pytest.fixture
def trusted(monkeypatch):
    """Let the model choose the fidelity from the first trial on, however well it predicts."""
    monkeypatch.setattr(unpredicted, "UNPREDICTED", math.inf)


def study(space, n, function, *, fresh=False, sampler=BayesianSampler, **options):
    trials, made = [], sampler()
    for number in range(n):
        made = sampler() if fresh else made
        view = view_of(space, trials, **options)
        (proposal,) = made.suggest(view, [number])
        metrics = {"loss": function(proposal.params), "speed": proposal.params.get("decay", 0.0)}
        trials.append(ended(number, proposal, Outcome(TrialState.COMPLETE, metrics=metrics)))
    return trials


@pytest.mark.parametrize("objectives", [TWO[:1], TWO], ids=["one", "two"])
def test_a_proposal_says_why_it_is_run_so_thoroughly_and_a_fresh_sampler_agrees(objectives):
    trials = study(CURVES, 24, informative, objectives=objectives)
    again = study(CURVES, 24, informative, objectives=objectives, fresh=True)
    assert [t.params for t in again] == [t.params for t in trials]
    assert trials[0].params == {**CURVES.default(), "epochs": 1}
    assert {t.params["epochs"] for t in trials[1:5]} == {1, 3, 9, 27}
    check_cheap(trials, "epochs", 81)
    view = view_of(CURVES, trials, objectives=objectives)
    check(view, [24, 25, 26], BayesianSampler().suggest(view, [24, 25, 26]))


def test_the_reason_names_the_fidelity_and_what_it_tells(trusted):
    trials = study(CURVES, 1, informative)
    trials += [replace(t, number=t.number + 1) for t in study(CURVES, 9, informative)[1:]]
    sampler = BayesianSampler()
    reasons = [
        p.reason for p in sampler.suggest(view_of(CURVES, trials), range(20, 26)) if p.evidence
    ]
    assert any("of 81, which removes" in r and "of its cost" in r for r in reasons)


def test_a_promising_point_climbs_to_the_target():
    space = Space(x=Float(0, 1), epochs=EPOCHS)
    encoder = Encoder(space)
    fidelity = Fidelity.of(encoder)
    trials = random_trials(space, 12)
    rows = TrialRows(encoder)
    row = fidelity.raised(np.array([[0.5, 0.0]]))[0]
    levels = []
    for number in range(20, 30):
        data = observed(view_of(space, trials), rows)
        model = model_of(view_of(space, trials), data, rows)
        full = np.concatenate([data.x, np.tile(row, (5, 1))])  # enough to afford any level
        spent = replace(model, data=replace(data, x=full))
        choice = chosen(spent, row, np.empty((0, 2)), fidelity.shares)
        levels += choice.values
        if choice.values == fidelity.target:
            break
        params = Params({"x": 0.5, "epochs": levels[-1]})
        loss = {"loss": 0.25 + 0.1 * (1 - done(params))}
        trials.append(replace(trials[0], number=number, seq=number, params=params, metrics=loss))
    assert levels[-1] == 81
    assert levels == sorted(set(levels))


def test_cheaper_runs_take_three_quarters_of_what_is_spent_after_a_small_credit(trusted):
    trials = study(CURVES, 50, informative)
    shares = [t.params["epochs"] / 81 for t in trials]
    for n in range(6, len(shares)):
        below = sum(s for s in shares[:n] if s < 1)
        full = sum(s for s in shares[:n] if s == 1)
        # A trial of the initial design may be the one that goes beyond the limit.
        assert below <= CREDIT + (1 - SHARE) / SHARE * full + 27 / 81 + 1e-9
    assert 1.0 in shares[:12]  # within the initial design: a result comes early


def test_a_full_run_that_is_due_takes_the_best_of_the_points_tried_for_less(trusted):
    trials = study(CURVES, 40, informative)
    due = [t for t in trials if "best_of" in t.evidence.get("fidelity", {})]
    assert due
    for t in due:
        assert t.params["epochs"] == 81
        point = {k: v for k, v in t.params.items() if k != "epochs"}
        earlier = [
            {k: v for k, v in e.params.items() if k != "epochs"} for e in trials[: t.number]
        ]
        assert point in earlier
    k = due[0].number
    (again,) = BayesianSampler().suggest(view_of(CURVES, trials[:k]), [k])
    assert f"a full run is due, of the best of {k} points tried for less" in again.reason


def test_the_first_trial_is_the_default_for_the_least():
    (first,) = study(CURVES, 1, informative)
    assert first.params == {**CURVES.default(), "epochs": 1}
    (fixed,) = BayesianSampler().suggest(view_of(CURVES, [], fixed={0: Params(epochs=9)}), [0])
    assert fixed.params == {**CURVES.default(), "epochs": 9}


def test_levels_are_a_third_of_each_other_and_lie_in_the_domain():
    def levels(domain):
        return tuple(v for (v,) in Fidelity.of(Encoder(Space(f=domain))).levels)

    assert levels(EPOCHS) == (1, 3, 9, 27, 81)
    assert levels(Int(10, 100, step=10, fidelity=True)) == (10, 30, 100)
    assert levels(Int(5, 6, fidelity=True)) == (5, 6)
    assert levels(Int(7, 7, fidelity=True)) == (7,)
    assert levels(Float(0.5, 1, fidelity=True)) == (0.5, 1.0)
    assert levels(Float(0.1, 1, fidelity=True)) == pytest.approx((1 / 9, 1 / 3, 1))


def at_random_epochs(n):
    trials = random_trials(CURVES, n)
    epochs = [EPOCHS.from_unit(t.number * 0.37 % 1.0) for t in trials]
    return [
        replace(t, params=Params({**t.params, "epochs": e}))
        for t, e in zip(trials, epochs, strict=True)
    ]


def test_measured_costs_take_the_place_of_the_fidelity():
    trials = at_random_epochs(25)

    def seconds(p):  # a start-up that does not depend on the epochs
        return (5.0 if p["model"] == "net" else 1.0) * (20.0 + p["epochs"])

    timed = [replace(t, started=0.0, finished=seconds(t.params)) for t in trials]
    rows = TrialRows(Encoder(CURVES))
    model = learnt_costs(Costs("seconds"), view_of(CURVES, timed), rows, n_start=6)
    points = [{**t.params, "epochs": 1} for t in at_random_epochs(40)[25:]]
    found = model.relative(rows.encoder.encode(points))
    assert np.median(found) == pytest.approx(21 / 101, rel=0.25)
    (proposal,) = BayesianSampler(cost="seconds").suggest(view_of(CURVES, timed), [30])
    assert {"cost", "fidelity"} <= proposal.evidence.keys()


def test_without_a_result_at_the_target_the_next_trial_is_one():
    trials = [
        replace(t, params=Params({**t.params, "epochs": 3})) for t in random_trials(CURVES, 30)
    ]
    (proposal,) = BayesianSampler().suggest(view_of(CURVES, trials), [40])
    assert proposal.params["epochs"] == 81
    (early,) = BayesianSampler().suggest(view_of(CURVES, trials[:12]), [40])
    assert early.params["epochs"] < 81


def test_failures_at_a_low_fidelity_lower_the_chance_at_the_target():
    space = Space(x=Float(0, 1), epochs=EPOCHS)
    good = [replace(t, params=Params(x=t.number / 24, epochs=1)) for t in random_trials(space, 12)]
    bad = [
        replace(t, number=t.number + 12, params=Params(x=0.5 + t.number / 24, epochs=1))
        for t in random_trials(space, 12, TrialState.DIVERGED)
    ]
    view, rows = view_of(space, good + bad), TrialRows(Encoder(space))
    data = observed(view, rows)
    assert data.failed.shape == (12, 2)
    (condition,) = model_of(view, data, rows).feasible
    at_target = rows.encoder.encode([{"x": 0.9, "epochs": 81}, {"x": 0.1, "epochs": 81}])
    failing, working = np.exp(condition.log_probability(at_target))
    assert failing < 0.2
    assert working > 0.9


def test_failed_cheap_runs_count_as_spending_before_a_full_run_is_due(trusted):
    good = [
        replace(t, params=Params({**t.params, "epochs": 1})) for t in random_trials(CURVES, 12)
    ]
    bad = [
        replace(t, number=t.number + 12, params=Params({**t.params, "epochs": 27}))
        for t in random_trials(CURVES, 4, TrialState.DIVERGED)
    ]
    (cheap,) = BayesianSampler().suggest(view_of(CURVES, good), [30])
    assert cheap.params["epochs"] < 81
    (full,) = BayesianSampler().suggest(view_of(CURVES, good + bad), [30])
    assert full.params["epochs"] == 81


def test_a_user_fixes_the_fidelity_of_a_trial():
    trials = study(CURVES, 10, informative)
    view = view_of(CURVES, trials, fixed={10: Params({"epochs": 5})})
    (proposal,) = BayesianSampler().suggest(view, [10])
    assert proposal.params["epochs"] == 5


def test_a_constraint_that_names_the_fidelity_holds_in_every_proposal():
    space = Space(batch=Int(1, 64), epochs=EPOCHS, constraints=["batch * epochs >= 81"])
    trials = []
    for number in range(16):
        (proposal,) = BayesianSampler().suggest(view_of(space, trials), [number])
        assert space.validate(proposal.params) == proposal.params
        trials.append(ended(number, proposal))


def made(sampler="random", **options):
    return tk.study(space=CURVES, objectives="loss", sampler=sampler, seed=1, **options)


def test_only_trials_at_the_target_are_the_best():
    s = made()
    s.enqueue_trial({"kind": "b", "epochs": 3})
    s.optimize(lambda t: float(t.params["epochs"]), n_trials=1)
    with pytest.raises(NoCompleteTrial, match="no complete trial at epochs=81"):
        _ = s.best_trial
    assert s.best_trials == []
    s.optimize(lambda t: float(t.params["epochs"]), n_trials=3)
    assert s.best_value == 81.0
    assert 0 not in [t.number for t in s.best_trials]
    assert all(row.params["epochs"] == 81 for row in tk_leaderboard(s))


def tk_leaderboard(s):
    from tunekit.noise.replicates import leaderboard

    return leaderboard(s)


def test_a_larger_target_makes_the_old_one_a_low_fidelity():
    s = made()
    s.optimize(lambda t: t.params["decay"], n_trials=2)
    assert s.best_trial
    s.edit_space(models(Int(1, 200, log=True, fidelity=True)))
    with pytest.raises(NoCompleteTrial, match="epochs=200"):
        _ = s.best_trial
    s.optimize(lambda t: t.params["decay"], n_trials=1)
    assert s.best_trial.number == 2


def test_a_study_over_fidelities_replays():
    s = made("auto")
    s.optimize(lambda t: informative(t.params), n_trials=16)
    assert {t.params["epochs"] for t in s.trials} > {81}
    assert s.best_trial.params["epochs"] == 81
    assert s.replay() == []


def test_bounds_on_metrics_and_failures_go_with_a_fidelity():
    bound = (MetricConstraint("speed", "<=", 0.5),)
    trials = study(CURVES, 14, informative, constraints=bound)
    trials += [
        replace(t, number=t.number + 20) for t in random_trials(CURVES, 4, TrialState.FAILED)
    ]
    view = view_of(CURVES, trials, constraints=bound)
    proposals = BayesianSampler().suggest(view, [30, 31])
    assert len(proposals) == 2
    check(view, [30, 31], proposals)


SCALED = Space(
    lr=Float(1e-4, 1, log=True),
    n=Int(100, 8100, log=True, scale="N"),
    d=Int(1_000, 81_000, log=True, scale="D"),
)


def of_scale(p):
    """Return a loss whose best learning rate falls with the size."""
    best = 0.3 * (p["n"] / 100) ** -0.5
    return p["n"] ** -0.2 + p["d"] ** -0.2 + 0.05 * math.log(p["lr"] / best) ** 2


def test_trials_run_at_smaller_sizes_along_several_scale_axes_and_only_the_largest_wins():
    trials = study(SCALED, 30, of_scale)
    sizes = {(t.params["n"], t.params["d"]) for t in trials}
    assert (8100, 81_000) in sizes
    assert len({n for n, _ in sizes}) > 2
    assert len({d for _, d in sizes}) > 2
    small = [t for t in trials if t.evidence.get("fidelity") and t.params["n"] < 8100]
    assert small
    for t in small:
        at = t.evidence["fidelity"]
        assert at["at"] == {"n": t.params["n"], "d": t.params["d"]}
        share = t.params["n"] / 8100 * t.params["d"] / 81_000
        assert at["relative_cost"] == pytest.approx(share, abs=1e-4)
    assert len({(t.params["n"], t.params["d"]) for t in trials[1:6]}) == 5
    proposals = BayesianSampler().suggest(view_of(SCALED, trials[:12]), range(12, 15))
    assert any("of n=8100, d=81000, which removes" in p.reason for p in proposals)
    best = view_of(SCALED, trials).history.best
    assert best is None or (best.params["n"], best.params["d"]) == (8100, 81_000)


def test_a_trial_of_a_fixed_size_keeps_it_and_may_be_cheaper_along_the_other_axis():
    trials = study(SCALED, 12, of_scale)
    view = view_of(SCALED, trials)
    fixed = {12: Params({"n": 300}), 13: Params({"n": 300, "d": 9000})}
    view = replace(view, fixed=fixed)
    one, both = BayesianSampler().suggest(view, [12, 13])
    assert one.params["n"] == 300
    assert (both.params["n"], both.params["d"]) == (300, 9000)
    assert "fidelity" in one.evidence
    assert "fidelity" not in both.evidence


@pytest.mark.parametrize(
    "sampler", ["random", "sobol", "cmaes", "tpe", "evolution", "grid", "mcts"]
)
def test_every_other_sampler_leaves_scale_axes_at_their_largest_value(sampler):
    s = tk.study(space=SCALED, sampler=sampler, seed=0)
    s.enqueue_trial({"n": 100})
    asked = [s.ask().params for _ in range(3)]
    assert [(p["n"], p["d"]) for p in asked] == [(100, 81_000), (8100, 81_000), (8100, 81_000)]
