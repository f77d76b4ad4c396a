"""DeepArchitect's ridge model: features, hashing and the regression against independent values."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from tunekit.errors import InvalidArgument
from tunekit.records import Outcome, Proposal, TrialState
from tunekit.registry import make
from tunekit.samplers.smbo import DeepArchitectSmbo, ridge_regression
from tunekit.samplers.smbo_features import (
    bucket,
    features,
    frequent_grams,
    gram_rows,
    grams,
    hashed,
    modules,
)
from tunekit.spaces import Categorical, Float, Int, Repeat, Space
from tunekit.testing.samplers import TREE, SamplerConformance, ended, random_trials, view_of

BLOCK = Space(op=Categorical({"conv": Space(width=Int(8, 64)), "pool": None}))
NET = Space(layers=Repeat(1, 4, BLOCK), lr=Float(1e-4, 1.0, log=True))
POINT = NET.validate(
    {
        "layers": 3,
        "layers.0.op": "conv",
        "layers.0.op.conv.width": 8,
        "layers.1.op": "conv",
        "layers.1.op.conv.width": 64,
        "layers.2.op": "pool",
        "lr": 0.01,
    }
)


class TestHashed(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(DeepArchitectSmbo, n_candidates=16)


class TestNgrams(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(DeepArchitectSmbo, form="ngrams")


def test_features_say_what_follows_what_and_forget_the_branch():
    assert modules(NET, POINT) == ["op='conv'", "op='conv'", "op='pool'"]
    assert list(features(NET, POINT)) == [
        "start/layers = 3",
        "op='conv'",
        "start |-> op='conv'",
        "op='conv'/width = 8",
        "op='conv'",
        "op='conv' |-> op='conv'",
        "op='conv'/width = 64",
        "op='pool'",
        "op='conv' |-> op='pool'",
        "op='pool'/lr = bin 8",
    ]


def test_n_grams_are_counted_and_rare_ones_are_dropped():
    counted = grams(NET, POINT)
    conv, pool = "op='conv'", "op='pool'"
    assert counted == {
        (conv,): 2,
        (pool,): 1,
        (conv, conv): 1,
        (conv, pool): 1,
        (conv, conv, pool): 1,
    }
    assert frequent_grams([counted]) == []
    assert frequent_grams([counted, counted]) == [(conv,)]  # four times; all others twice
    assert gram_rows([counted], [(conv,), (pool, conv)]).tolist() == [[2, 0, 3]]  # depth 3


def test_hashes_are_the_same_in_a_process_with_another_hash_seed():
    program = (
        "from tunekit.samplers.smbo_features import bucket;"
        "print([bucket(f) for f in ('conv', 'a |-> b', 'conv/width = 8')])"
    )
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        out = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, check=True
        )
        assert out.stdout.decode().strip() == "[447, 1083, 1143]"


def test_a_row_counts_every_feature_once_in_its_bucket():
    row = hashed([POINT], NET)[0]
    assert row.shape == (2048,)
    assert row.sum() == 10
    assert row[bucket("op='conv'")] >= 2


@pytest.mark.parametrize("n", [5, 40])
def test_the_regression_is_that_of_scikit_learn_with_few_and_with_many_trials(n):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (n, 12)).astype(float)
    x[:, 3] = 1.0  # never varies
    y = rng.normal(size=n)
    weights, intercept = ridge_regression(x, y, 0.5)
    reference = Ridge(alpha=0.5).fit(x, y)
    assert weights == pytest.approx(reference.coef_, abs=1e-9)
    assert intercept == pytest.approx(reference.intercept_)


def test_the_model_finds_the_best_choice():
    trials = [
        ended(
            t.number,
            Proposal(t.params, "x"),
            Outcome(TrialState.COMPLETE, metrics={"loss": float(t.params["model"] != "svm")}),
        )
        for t in random_trials(TREE, 20)
    ]
    view = view_of(TREE, trials)
    greedy = DeepArchitectSmbo(exploration=0, n_candidates=64)
    proposals = greedy.suggest(view, range(30, 36))
    assert {p.params["model"] for p in proposals} == {"svm"}
    random = DeepArchitectSmbo(exploration=1).suggest(view, range(30, 36))
    assert {p.reason for p in random} == {"a random point"}


def test_the_forms_have_their_published_settings():
    old, new = DeepArchitectSmbo(form="ngrams"), DeepArchitectSmbo()
    assert (old.ridge, old.n_candidates, old.exploration) == (1e3, 50, 0.25)
    assert (new.ridge, new.n_candidates, new.exploration) == (1e-5, 512, 0.1)


@pytest.mark.parametrize(
    "options",
    [{"form": "gp"}, {"ridge": 0}, {"n_candidates": 0}, {"exploration": 1.5}, {"bins": 3}],
)
def test_an_option_outside_of_its_range_is_refused(options):
    with pytest.raises(InvalidArgument):
        make("sampler", "smbo", options)
