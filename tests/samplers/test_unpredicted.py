"""Where a model does not predict the results of a flat space, every second point is random."""

from __future__ import annotations

import random

import numpy as np
import pytest

import tunekit as tk
from tunekit.records import TrialState
from tunekit.samplers.bayesian.unpredicted import (
    MIN_DIFFERENT,
    RANDOM_EVERY,
    WHY_RANDOM,
    is_unpredicted,
)
from tunekit.spaces import Categorical, Float, Space
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.tree_gp import TreeGP, fit

FLAT = Space(x=Float(0, 1), y=Float(0, 1), z=Float(0, 1))


def rough(params):
    """Return a loss that no point tells of another."""
    return random.Random(repr(sorted(params.items()))).random()


def smooth(params):
    return sum((v - 0.3) ** 2 for v in params.values() if isinstance(v, float))


def run(space, function, n=30, **options):
    study = tk.study(space=space, objectives="loss", sampler="auto", seed=5, **options)
    study.optimize(lambda t: function(t.params), n_trials=n)
    return study


def drawn(study):
    return [t.number for t in study.trials if WHY_RANDOM in t.reason]


def test_rough_results_make_every_second_point_random_and_the_study_replays():
    study = run(FLAT, rough)
    numbers = drawn(study)
    assert len(numbers) >= 5
    assert min(numbers) >= MIN_DIFFERENT
    assert all(k % RANDOM_EVERY == 0 for k in numbers)
    assert study.replay() == []


@pytest.mark.parametrize(
    "function", [smooth, lambda p: round(smooth(p), 1)], ids=["smooth", "steps"]
)
def test_a_model_that_predicts_the_results_keeps_all_points(function):
    assert len(drawn(run(FLAT, function))) <= 1


def test_branches_and_priors_keep_the_model():
    tree = Space(model=Categorical({"a": Space(u=Float(0, 1)), "b": Space(v=Float(0, 1))}))
    assert drawn(run(tree, rough)) == []
    priors = {"priors": {"x": {"normal": [0.5, 0.1]}}}
    assert drawn(run(FLAT, rough, sampler_options=priors)) == []


def test_priors_keep_the_model_along_a_fidelity_too():
    space = Space(x=Float(0, 1), epochs=tk.Int(1, 27, log=True, fidelity=True))
    priors = {"priors": {"x": {"normal": [0.5, 0.1]}}}

    def loss(params):
        return random.Random(params["x"]).random()

    assert drawn(run(space, loss))
    assert drawn(run(space, loss, sampler_options=priors)) == []


def test_stopped_trials_keep_the_model():
    def training(trial):
        loss = 1.0
        for step in range(1, 28):
            loss *= 1 - trial.params["x"] / 10
            trial.report(loss, step)
        return loss

    study = tk.study(space={"x": tk.Float(0, 1)}, stopper="asha", sampler="auto", seed=5)
    study.optimize(training, n_trials=30)
    assert any(t.state is TrialState.STOPPED for t in study.trials)
    assert drawn(study) == []


def test_a_flat_space_of_few_points_repeats_none_while_there_are_others():
    few = Space(a=tk.Int(1, 8), b=tk.Int(1, 8))
    study = run(few, rough, n=50)
    assert drawn(study)
    at_random = [t.params for t in study.trials if WHY_RANDOM in t.reason]
    points = [t.params for t in study.trials]
    assert all(points.index(p) == k for k, p in zip(drawn(study), at_random, strict=True))


def test_equal_results_do_not_count_as_predicted():
    rng = np.random.default_rng(0)
    places = rng.random((12, 1))
    values = rng.standard_normal(12)
    x = np.concatenate(
        [places, np.repeat(places[:1] + np.linspace(0, 1e-3, 30)[:, None], 1, axis=1)]
    )
    y = np.concatenate([values, np.full(30, -3.0)])
    gp = fit(BlockStructure(((0,),), (-1,), (0,)), x, y)
    assert isinstance(gp, TreeGP)
    error = gp.y - gp.leave_one_out()[0]
    assert np.mean(error**2) < 0.3 * np.var(gp.y)  # the plateau predicts itself
    assert is_unpredicted(gp)
    assert not is_unpredicted(gp, least=13)
