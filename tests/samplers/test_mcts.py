"""Tree search: pure, spread over branches, and not caught by a trap."""

from __future__ import annotations

import json
import math
from functools import partial

import pytest

from tunekit.errors import InvalidArgument
from tunekit.records import Outcome, Proposal, TrialRecord, TrialState
from tunekit.registry import make
from tunekit.samplers.mcts.deep_architect import DeepArchitectSampler
from tunekit.samplers.mcts.sampler import TreeSearchSampler
from tunekit.samplers.mcts.variants import mcts_sampler
from tunekit.spaces import Categorical, Float, Params, Repeat, Space
from tunekit.testing.samplers import (
    TREE,
    SamplerConformance,
    ended,
    view_of,
)

NAN = math.nan


class TestTreeSearch(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(TreeSearchSampler, leaf="random")


class TestTreeSearchWithModelAtItsLeaves(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return TreeSearchSampler


class TestTreeSearchWithPriorAndFewLevels(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        prior = {"scaler": {"robust": 9}, "layers": {2: 5}, "optimizer": {"adam": 0}}
        return partial(TreeSearchSampler, leaf="random", min_visits=3, prior=prior)


class TestDeepArchitect(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(mcts_sampler, variant="deep_architect")


def study(sampler, space, loss, *, n, seed=0):
    trials = []
    for k in range(n):
        p = sampler.suggest(view_of(space, trials, seed=seed), [k])[0]
        outcome = Outcome(TrialState.COMPLETE, metrics={"loss": loss(p.params)})
        trials.append(ended(k, p, outcome))
    return trials


def _switch(depth):
    child = _switch(depth - 1) if depth > 1 else None
    return Space(go=Categorical({"a": child, "b": child, "c": child}))


DEEP = _switch(6)


def trap(params):
    """Return the loss of a leaf: the best is below "a", which is the worst on average."""
    first, *rest = (str(v) for v in params.values())
    n_right = sum(x == y for x, y in zip(rest, "bcabc", strict=True))
    return 0.9 - 0.18 * n_right if first == "a" else 0.6 - 0.02 * n_right


def test_a_planted_leaf_in_a_deceptive_tree_is_found_more_often_than_by_chance():
    def found(name, **options):
        return sum(
            min(
                trap(t.params)
                for t in study(make("sampler", name, options), DEEP, trap, n=60, seed=s)
            )
            < 0.1
            for s in range(20)
        )

    assert found("random") <= 3  # 1 - (728 / 729) ** 60 = .08 of the runs
    assert found("mcts", leaf="random") >= 7


def test_a_batch_spreads_over_the_branches():
    space = Space(op=Categorical({c: Space(x=Float(0, 1)) for c in "abcd"}))
    proposals = TreeSearchSampler(leaf="random").suggest(view_of(space), range(1, 9))
    counts = [[p.params["op"] for p in proposals].count(c) for c in "abcd"]
    assert counts == [2, 2, 2, 2]


def test_pending_trials_turn_the_next_one_to_another_branch():
    space = Space(op=["a", "b"], x=Float(0, 1))
    done = [
        ended(
            k,
            Proposal(Params(op=op, x=0.5), "x"),
            Outcome(TrialState.COMPLETE, metrics={"loss": y}),
        )
        for k, (op, y) in enumerate([("a", 0.0), ("b", 0.1), ("a", 0.4), ("b", 0.3)])
    ]
    running = [
        TrialRecord(10 + k, TrialState.RUNNING, seq=11 + k, params=Params(op="a", x=0.1 * k))
        for k in range(9)
    ]
    sampler = TreeSearchSampler(leaf="random")
    assert sampler.suggest(view_of(space, done), [4])[0].params["op"] == "a"
    assert sampler.suggest(view_of(space, [*done, *running]), [4])[0].params["op"] == "b"


def test_what_a_value_did_in_one_branch_is_known_in_another():
    """`norm` is best on wherever it was tried; a block that never was there starts with it."""
    space = Space(kind=Categorical(["p", "q"]), norm=["off", "on"], x=Float(0, 1))
    trials = [
        ended(
            k,
            Proposal(Params(kind="p", norm=norm, x=0.5), "x"),
            Outcome(TrialState.COMPLETE, metrics={"loss": float(norm == "off")}),
        )
        for k, norm in enumerate(["off", "on"] * 6)
    ]
    fixed = {20: Params(kind="q"), 21: Params(kind="q"), 22: Params(kind="q")}
    view = view_of(space, trials, fixed=fixed)
    shared = TreeSearchSampler(leaf="random", exploration=0.1)
    assert {shared.suggest(view, [k])[0].params["norm"] for k in fixed} == {"on"}


def test_the_default_configuration_is_trial_0_unless_it_is_not_wanted():
    space = Space(op=Categorical(["a", "b"], default="b"), x=Float(0, 1, default=0.125))
    for variant in ("tree", "deep_architect"):
        first = mcts_sampler(variant=variant).suggest(view_of(space), [0])[0]
        assert first.params == space.default()
        other = mcts_sampler(variant=variant, default_first=False).suggest(view_of(space), [0])[0]
        assert other.params != space.default()


def test_a_discrete_space_is_tried_without_repetition():
    space = Space(
        a=["x", "y"], b=["p", "q", "r"], c=Categorical({"on": Space(d=bool), "off": None})
    )
    trials = study(TreeSearchSampler(leaf="random"), space, lambda p: len(repr(p)), n=18)
    assert len({tuple(t.params.items()) for t in trials}) == 18  # all of 2 * 3 * (2 + 1)


def test_a_choice_of_ten_thousand_values_is_proposed_from():
    space = Space(word=[f"w{i}" for i in range(10_000)], x=Float(0, 1))
    trials = study(
        TreeSearchSampler(leaf="random"), space, lambda p: int(p["word"][1:]) / 1e4, n=40
    )
    assert 4 < len({t.params["word"] for t in trials}) < 40  # some again, some new


def test_a_prior_is_followed_before_there_are_results_also_with_the_keys_of_stored_json():
    space = Space(
        op=["a", "b", "c"],
        flag=[True, False],
        layers=Repeat(1, 8, Space(norm=bool)),
        x=Float(0, 1),
    )
    prior = {"op": {"b": 50}, "flag": {"false": 50}, "layers": {"7": 500}}
    first = TreeSearchSampler(leaf="random", prior=prior).suggest(view_of(space), [1])[0]
    assert (first.params["op"], first.params["flag"], first.params["layers"]) == ("b", False, 7)


def test_a_prior_for_a_parameter_that_is_not_there_yet_is_named_in_the_reason():
    sampler = TreeSearchSampler(leaf="random", prior={"warmup": {"a": 2}})
    assert "warmup" in sampler.suggest(view_of(TREE), [1])[0].reason


@pytest.mark.parametrize(
    ("prior", "match"),
    [
        ({"C": {1.0: 2}}, "plain number"),
        ({"scaler": {"robst": 2}}, 'did you mean "robust"'),
    ],
)
def test_a_prior_that_does_not_fit_the_space_is_refused(prior, match):
    with pytest.raises(InvalidArgument, match=match):
        TreeSearchSampler(leaf="random", prior=prior).suggest(view_of(TREE), [1])


@pytest.mark.parametrize(
    "options",
    [
        {"variant": "alpha_go"},
        {"leaf": "tpe"},
        {"exploration": -1},
        {"exploration": NAN},
        {"max_bias": 1.5},
        {"borrow": True},
        {"min_visits": 1.5},
        {"prior": ["a"]},
        {"prior": {"op": {"a": -1}}},
        {"bins": 4},
        {"variant": "deep_architect", "bins": 1},
        {"variant": "deep_architect", "leaf": "random"},
    ],
)
def test_an_option_outside_of_its_range_or_of_another_variant_is_refused(options):
    with pytest.raises(InvalidArgument):
        make("sampler", "mcts", options)


def test_the_original_gives_values_in_the_middle_of_its_bins():
    space = Space(x=Float(0, 1), op=["a", "b"])
    sampler = DeepArchitectSampler(bins=4, default_first=False)
    xs = {sampler.suggest(view_of(space), [k])[0].params["x"] for k in range(40)}
    assert xs == {0.125, 0.375, 0.625, 0.875}


def test_choices_that_leave_no_valid_number_are_given_up_and_said():
    space = Space(
        op=["a", "b"], x=Float(0, 1), constraints=["x < 0.5 if op == 'a' else x * x > x"]
    )
    trials = study(TreeSearchSampler(leaf="random"), space, lambda p: p["x"], n=4)
    assert all(t.params["op"] == "a" for t in trials)
    proposals = TreeSearchSampler(leaf="random").suggest(view_of(space, trials[:1]), range(5, 9))
    assert any("satisfies the constraints" in p.reason for p in proposals)


def test_the_evidence_names_what_the_tree_decided():
    proposal = TreeSearchSampler(leaf="random").suggest(view_of(TREE), [1])[0]
    tree = json.loads(json.dumps(dict(proposal.evidence)))["tree"]
    assert tree["scaler"] == proposal.params["scaler"]
    assert "model.svm.C" not in tree
