"""A converged search spends trials on what lies beyond, above all on further feasible islands."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import tunekit as tk
from tunekit.bench.fronts import zdt2
from tunekit.bench.growing_front import GrowingFront
from tunekit.records import MetricConstraint, ObjectiveSpec, Outcome, TrialState
from tunekit.samplers.bayesian.beyond import EARLY, doubting, log_patience
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.testing.samplers import ONE, ended, view_of
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.tree_gp import fit

LINE = tk.Space(x=tk.Float(0.0, 1.0))
SQUARE = tk.Space(x=tk.Float(0.0, 1.0, default=0.25), y=tk.Float(0.0, 1.0))
FEASIBLE = (MetricConstraint.parse("g <= 0"),)


def outcome(**metrics):
    return Outcome(TrialState.COMPLETE, metrics=metrics)


def islands(params):
    """Return a loss with a wide feasible island, and a small one further on that is better."""
    near = (params["x"] - 0.25) ** 2 + (params["y"] - 0.4) ** 2
    far = (params["x"] - 0.8) ** 2 + (params["y"] - 0.7) ** 2
    loss = 8.0 * far - 0.5 if far < 0.016 else 2.0 * near
    return {"loss": loss, "g": min(near - 0.04, far - 0.004)}


@pytest.mark.parametrize("seed", [4, 6])
def test_a_search_leaves_the_first_feasible_island(seed):
    trials = []
    for number in range(40):
        view = view_of(SQUARE, trials, constraints=FEASIBLE, seed=seed)
        (proposal,) = BayesianSampler().suggest(view, [number])
        trials.append(ended(number, proposal, outcome(**islands(proposal.params))))
    assert min(t.metrics["loss"] for t in trials if t.metrics["g"] <= 0) < -0.4
    assert any(t.metrics["loss"] < 0.01 and t.params["x"] < 0.5 for t in trials), "both were seen"


def test_a_proposal_that_promises_nothing_is_replaced_and_says_so():
    trials, beyond = [], []
    for number in range(30):
        (proposal,) = BayesianSampler().suggest(view_of(LINE, trials), [number])
        loss = (proposal.params["x"] - 0.3) ** 2
        trials.append(ended(number, proposal, outcome(loss=loss)))
        if proposal.evidence.get("beyond"):
            beyond.append(proposal)
    assert beyond and all("it may be wrong about" in p.reason for p in beyond)
    assert max(abs(p.params["x"] - 0.3) for p in beyond) > 0.1


def test_a_front_without_constraints_is_filled_to_the_end():
    space = tk.Space({f"x{i}": tk.Float(0.0, 1.0) for i in range(4)})
    two = (ObjectiveSpec("f1"), ObjectiveSpec("f2"))
    trials, front = [], GrowingFront((1.1, 4.0))
    for number in range(30):
        view = replace(view_of(space, trials, objectives=two), planned=30)
        (proposal,) = BayesianSampler().suggest(view, [number])
        assert "beyond" not in proposal.evidence
        f1, f2 = zdt2(np.array(list(proposal.params.values())))
        trials.append(ended(number, proposal, outcome(f1=f1, f2=f2)))
        reached = front.add((f1, f2))
    assert reached > 0.94 * (4.4 - 2.0 / 3.0), "of the hypervolume below the true front"


def test_a_doubting_model_knows_its_data_and_little_else():
    x = np.linspace(0.0, 0.4, 8)[:, None]
    y = 5.0 * (x[:, 0] - 0.2)
    gp = fit(BlockStructure.flat([0]), x, y)
    doubt = doubting(gp)
    np.testing.assert_allclose(doubt.predict(x)[0], y, atol=0.1)
    far = np.array([[1.0]])
    assert doubt.predict(far)[1] > gp.predict(far)[1]


@pytest.mark.parametrize(
    ("number", "planned", "factor"),
    [(7, None, 1.0), (0, 40, EARLY), (20, 40, EARLY**0.5), (40, 40, 1.0), (90, 40, 1.0)],
)
def test_what_is_negligible_falls_with_the_trials_that_are_left(number, planned, factor):
    assert log_patience(number, planned) == pytest.approx(math.log(factor))


def test_a_study_that_was_planned_is_replayed_with_its_plan():
    study = tk.study(space=LINE, seed=3)
    study.optimize(lambda trial: (trial.params["x"] - 0.3) ** 2, n_trials=14)
    study.optimize(lambda trial: (trial.params["x"] - 0.3) ** 2, n_trials=4)
    planned = [t.evidence.get("planned") for t in study.trials]
    assert planned == 6 * [None] + 8 * [14] + 4 * [18]
    assert study.replay() == []


def test_another_plan_may_lead_to_another_proposal():
    assert any(only_the_longer_plan_looks_beyond())


def only_the_longer_plan_looks_beyond():
    """Yield after each trial whether a plan of many more trials alone goes beyond."""
    trials = []
    sampler = BayesianSampler()
    for number in range(24):
        (proposal,) = sampler.suggest(view_of(LINE, trials), [number])
        trials.append(ended(number, proposal, outcome(loss=(proposal.params["x"] - 0.3) ** 2)))
        early, late = (
            BayesianSampler().suggest(with_plan(trials, n), [number + 1])[0] for n in (999, 1)
        )
        yield early.evidence.get("beyond") and not late.evidence.get("beyond")


def with_plan(trials, planned):
    return replace(view_of(LINE, trials, objectives=ONE), planned=planned)
