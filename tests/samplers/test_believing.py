"""Every sampler takes priors, follows them at first and forgets them with the trials."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import tunekit as tk
from tunekit import registry
from tunekit.errors import InvalidArgument, UnknownParameter
from tunekit.records import Outcome, TrialState
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.samplers.believing import BelievingSampler
from tunekit.samplers.racing.sampler import RacingSampler
from tunekit.samplers.random import RandomSampler
from tunekit.spaces import Categorical, Float, Int, Params, Space
from tunekit.testing.samplers import SamplerConformance, ended, random_trials, view_of

SPACE = Space(
    lr=Float(1e-6, 1, log=True),
    bs=Int(16, 4096, log=True),
    opt=Categorical({"adamw": Space(wd=Float(1e-4, 1, log=True)), "sgd": None}),
)
PRIORS = {
    "lr": {"lognormal": [1e-3, 0.1]},
    "bs": {"lognormal": [512, 0.1]},
    "wd": {"lognormal": [0.1, 0.1]},
}
OTHERS = ["random", "sobol", "tpe", "cmaes", "evolution", "mcts", "smbo", "nsgaii"]


class TestConformance(SamplerConformance):
    learns = False

    @pytest.fixture
    def make_sampler(self):
        return lambda: BelievingSampler(sampler=RandomSampler(), priors={})


class TestWithAPrior(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(Anywhere, sampler=RandomSampler(), priors={})


class Anywhere(BelievingSampler):
    """Believes something of the first number of whatever space it sees."""

    def suggest(self, view, numbers):
        numeric = [p for p in view.space if isinstance(p.domain, Float | Int)]
        beliefs = {p.path: {"normal": [p.domain.lo, 1.0]} for p in numeric[:1]}
        inner = BelievingSampler(sampler=self._inner, priors=beliefs)
        return inner.suggest(view, numbers)


def near(params) -> bool:
    return abs(math.log(params["lr"] / 1e-3)) < 0.5


@pytest.mark.parametrize("name", OTHERS)
def test_every_sampler_starts_at_the_prior_and_forgets_it(name):
    sampler = registry.make("sampler", name, {"priors": PRIORS})
    early = [sampler.suggest(view_of(SPACE, seed=s), [3])[0] for s in range(12)]
    assert sum(near(p.params) for p in early) >= 8
    assert all("prior" in p.reason for p in early if near(p.params))
    made = registry.make("sampler", name, {"priors": PRIORS, "prior_strength": 1e-3})
    late = made.suggest(view_of(SPACE, random_trials(SPACE, 40)), [41])[0]
    assert "prior" not in late.evidence


def test_the_share_of_drawn_values_is_half_after_as_many_trials_as_the_strength():
    sampler = BelievingSampler(sampler=RandomSampler(), priors={"lr": PRIORS["lr"]})
    view = view_of(SPACE, random_trials(SPACE, 10))
    proposals = sampler.suggest(view, range(100, 500))
    shares = {p.evidence["prior"]["share"] for p in proposals if "prior" in p.evidence}
    assert shares == {0.5}
    assert np.mean(["prior" in p.evidence for p in proposals]) == pytest.approx(0.5, abs=0.08)


def test_a_value_that_the_user_fixed_stays_and_other_draws_follow_the_branch():
    sampler = BelievingSampler(sampler=RandomSampler(), priors=PRIORS)
    view = replace(view_of(SPACE), fixed={0: Params({"lr": 0.5, "opt": "sgd"})})
    (proposal,) = sampler.suggest(view, [0])
    assert proposal.params["lr"] == 0.5
    assert proposal.evidence["prior"]["drawn"] == ["bs"]


def test_a_draw_that_would_violate_a_constraint_is_dropped():
    space = Space(lr=Float(1e-6, 1, log=True), x=Float(0, 1), constraints=["lr > 0.1"])
    sampler = BelievingSampler(sampler=RandomSampler(), priors={"lr": PRIORS["lr"]})
    proposals = sampler.suggest(view_of(space), range(40))
    assert all(p.params["lr"] > 0.1 for p in proposals)


def test_a_repetition_of_a_configuration_is_left_as_it_is():
    space = Space(lr=Float(1e-6, 1, log=True))
    inner = RacingSampler(n_start=2)
    sampler = BelievingSampler(sampler=inner, priors={"lr": PRIORS["lr"]}, prior_strength=1e6)
    trials = []
    for number in range(12):
        (proposal,) = sampler.suggest(view_of(space, trials), [number])
        if "replicate_of" in proposal.evidence:
            assert "prior" not in proposal.evidence
        loss = abs(math.log(proposal.params["lr"])) + 0.1 * (number % 3)
        trials.append(
            ended(number, proposal, Outcome(TrialState.COMPLETE, metrics={"loss": loss}))
        )
    assert any("replicate_of" in t.evidence for t in trials)


def test_a_stored_study_keeps_its_priors(tmp_path):
    url = f"sqlite:///{tmp_path / 's.db'}"
    options = {"priors": {"lr": PRIORS["lr"]}}
    study = tk.study(
        "s", space=SPACE, sampler="random", sampler_options=options, storage=url, seed=1
    )
    first = study.ask().params
    assert near(first)
    again = tk.load_study("s", storage=url)
    assert near(again.ask().params)


def test_bayesian_and_auto_weigh_the_priors_themselves():
    made = registry.make("sampler", "bayesian", {"priors": PRIORS})
    assert isinstance(made, BayesianSampler)
    auto = registry.make("sampler", "auto", {"priors": PRIORS})
    proposals = [auto.suggest(view_of(SPACE, seed=s), [1])[0] for s in range(8)]
    assert sum(near(p.params) for p in proposals) >= 5
    assert all("follows the priors" in p.reason for p in proposals)


def test_priors_that_cannot_be_are_refused():
    with pytest.raises(InvalidArgument, match="tries every point"):
        registry.make("sampler", "grid", {"priors": PRIORS})
    with pytest.raises(InvalidArgument, match="expected one of"):
        registry.make("sampler", "tpe", {"priors": {"lr": 3}})
    with pytest.raises(InvalidArgument, match="prior_strength"):
        registry.make("sampler", "tpe", {"priors": PRIORS, "prior_strength": -1})
    with pytest.raises(InvalidArgument, match="unknown option"):
        registry.make("sampler", "random", {"prior_strength": 1})
    made = registry.make("sampler", "random", {"priors": {"rate": {"normal": [0, 1]}}})
    with pytest.raises(UnknownParameter, match="rate"):
        made.suggest(view_of(SPACE), [0])
