"""A cheap function screens candidates; its failures cost nothing but the screening."""

from __future__ import annotations

import json
import math
from functools import partial

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, InvalidSpace
from tunekit.samplers.evolutionary.evolution import EvolutionSampler
from tunekit.samplers.proxy import ProxySampler
from tunekit.samplers.random import RandomSampler
from tunekit.spaces import Float, Int, Space
from tunekit.testing.samplers import TREE, SamplerConformance, random_trials, run, view_of

SHAPE = Space(width=Int(8, 512, log=True), depth=Int(1, 12), lr=Float(1e-4, 1, log=True))


def n_named(params):
    """Count the parameters: a proxy that other processes can import."""
    return float(len(params))


def size(params):
    mib = params["width"] * params["depth"] / 100
    return {"score": -mib, "size_mib": mib}


class TestConformance(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(ProxySampler, proxy=n_named, options={"start": 4}, candidates=3)


class TestRandomScreened(SamplerConformance):
    learns = False

    @pytest.fixture
    def make_sampler(self):
        return partial(ProxySampler, proxy=n_named, sampler="random", candidates=3)


class TestEvolutionWithAProxy(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(EvolutionSampler, start=4, proxy=n_named, candidates=3)


@pytest.mark.parametrize("name", ["sobol", "tpe", "cmaes"])
def test_any_sampler_may_make_the_candidates(name):
    sampler = ProxySampler(proxy=lambda p: p["width"], sampler=name, candidates=4)
    proposal = sampler.suggest(view_of(SHAPE, random_trials(SHAPE, 15)), [15])[0]
    assert proposal.sampler == "proxy"
    assert proposal.evidence["proxy"]["values"] == {"score": proposal.params["width"]}
    assert proposal.evidence["proxy"]["candidates"] == 4


def test_the_best_of_all_candidates_is_proposed():
    screened = ProxySampler(proxy=lambda p: p["lr"], sampler=RandomSampler(), candidates=200)
    proposals = screened.suggest(view_of(SHAPE), range(10))
    assert max(p.params["lr"] for p in proposals) < 3e-4
    assert len({p.params["lr"] for p in proposals}) == 10
    assert "the best of 200 by the proxy (score 0.0001" in proposals[0].reason


def test_a_bound_rejects_what_scores_best():
    make = partial(ProxySampler, proxy=size, sampler="random", candidates=50)
    free = make().suggest(view_of(SHAPE), [1])[0]
    bounded = make(bounds=["size_mib <= 2.5"]).suggest(view_of(SHAPE), [1])[0]
    assert size(free.params)["size_mib"] > 20
    assert 2 < size(bounded.params)["size_mib"] <= 2.5
    assert 0 < bounded.evidence["proxy"]["accepted"] < 50


def test_where_no_candidate_keeps_a_bound_the_nearest_is_proposed():
    sampler = ProxySampler(proxy=size, sampler="random", candidates=20, bounds="size_mib <= 0.01")
    proposal = sampler.suggest(view_of(SHAPE), [1])[0]
    assert "all outside its bounds" in proposal.reason
    assert proposal.evidence["proxy"]["accepted"] == 0
    assert size(proposal.params)["size_mib"] < 1


@pytest.mark.parametrize(
    ("proxy", "error"),
    [
        (lambda p: 1 / 0, "ZeroDivisionError"),
        (lambda p: math.nan, "NaN"),
        (lambda p: {"flops": 3}, "score is missing"),
        (lambda p: "much", "ValueError"),
        (lambda p: None, "TypeError"),
    ],
)
def test_a_proxy_that_always_fails_is_noted_and_costs_nothing(proxy, error):
    own = RandomSampler().suggest(view_of(SHAPE), [5])[0]
    proposal = ProxySampler(proxy=proxy, sampler="random").suggest(view_of(SHAPE), [5])[0]
    assert proposal.params == own.params
    assert error in proposal.evidence["proxy"]["error"]
    assert "not screened" in proposal.reason


def test_a_proxy_that_fails_on_some_candidates_loses_only_these():
    def fragile(params):
        if params["depth"] > 6:
            raise ValueError("too deep")
        return params["lr"]

    proposal = ProxySampler(proxy=fragile, sampler="random", candidates=40).suggest(
        view_of(SHAPE), [2]
    )[0]
    assert proposal.params["depth"] <= 6
    assert 0 < proposal.evidence["proxy"]["failed"] < 40
    assert proposal.evidence["proxy"]["error"] == "ValueError: too deep"


def test_infinite_values_are_kept_out_of_the_evidence():
    sampler = ProxySampler(proxy=lambda p: {"score": 1, "x": math.inf}, sampler="random")
    proposal = sampler.suggest(view_of(SHAPE), [2])[0]
    assert json.loads(json.dumps(proposal.evidence))["proxy"]["values"] == {"score": 1}


def test_the_proxy_may_not_change_the_candidate():
    def rude(params):
        params.clear()
        return 0.0

    proposal = ProxySampler(proxy=rude, sampler="random").suggest(view_of(TREE), [3])[0]
    assert TREE.validate(proposal.params)


def test_evolution_goes_on_learning_behind_its_proxy():
    trials = run(EvolutionSampler(start=4, proxy=n_named, candidates=3), TREE, 30)
    arms = {t.evidence.get("arm") for t in trials}
    assert len(arms & {"cross", "mutate", "step", "cma"}) >= 3
    assert all(t.evidence["proxy"]["candidates"] == 3 for t in trials)


def test_a_study_names_its_proxy_by_module_and_function():
    study = tk.study(
        space=SHAPE,
        objectives="loss",
        sampler="evolution",
        sampler_options={"proxy": "math:fsum"},  # fails on names: such a proxy does no harm
        seed=1,
    )
    study.optimize(lambda trial: trial.params["lr"], n_trials=3)
    assert "not screened" in study.trials[1].reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proxy": "nowhere.to.be:found"}, "nowhere"),
        ({"proxy": "math"}, "module:function"),
        ({"proxy": "math:cosinus"}, "module:function"),
        ({"proxy": 3}, "module:function"),
        ({"proxy": n_named, "candidates": 0}, "candidates"),
        ({"proxy": n_named, "candidates": 2.0}, "candidates"),
        ({"proxy": n_named, "bounds": ["size"]}, "size"),
        ({"proxy": n_named, "sampler": "evolve"}, "evolution"),
        ({"proxy": n_named, "sampler": RandomSampler(), "options": {"a": 1}}, "short name"),
    ],
)
def test_what_cannot_work_is_refused_at_construction(options, message):
    with pytest.raises(InvalidArgument, match=message):
        ProxySampler(**options)


def test_bounds_of_evolution_need_a_proxy():
    with pytest.raises(InvalidArgument, match="proxy"):
        EvolutionSampler(bounds=["size_mib <= 3"])


def test_an_impossible_space_is_the_inner_samplers_error():
    with pytest.raises(InvalidSpace):
        ProxySampler(proxy=n_named, sampler="random").suggest(
            view_of(Space(x=Float(0, 1), constraints=["x > 2"])), [0]
        )


@pytest.mark.parametrize("name", ["proxy", "evolution"])
def test_a_proxy_given_as_a_function_to_a_study_says_how_it_is_named(name):
    with pytest.raises(InvalidArgument, match=rf'"{n_named.__module__}:n_named"'):
        tk.study(space=SHAPE, sampler=name, sampler_options={"proxy": n_named})
    with pytest.raises(InvalidArgument, match=r'proxy is the function .*"module:function"'):
        tk.study(space=SHAPE, sampler=name, sampler_options={"proxy": lambda p: p["width"]})
    tk.study(space=SHAPE, sampler=ProxySampler(proxy=n_named))
    tk.study(space=SHAPE, sampler=name, sampler_options={"proxy": "math:fsum"})
