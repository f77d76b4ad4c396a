"""The parts of tree search against hand-computed values: decisions, scores, back-up, selection."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tunekit.records import Outcome, Proposal, TrialRecord, TrialState
from tunekit.samplers.base import sample
from tunekit.samplers.mcts.decisions import Edge, axes_of, descend, edges_of
from tunekit.samplers.mcts.paths import PathCache
from tunekit.samplers.mcts.sampler import TreeSearchSampler
from tunekit.samplers.mcts.scores import ranked, scored_trials
from tunekit.samplers.mcts.search_tree import ROOT, SearchTree
from tunekit.samplers.mcts.selection import argmax, max_biased, puct, ucb1, ucb_tuned, widened
from tunekit.samplers.mcts.statistics import Statistics, backed_up, pooled
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Categorical, Float, Int, Params, Repeat, Space, When
from tunekit.testing.samplers import (
    BOUND,
    SPACES,
    TREE,
    TWO,
    ended,
    random_trials,
    view_of,
)

NAN = math.nan
GOLDEN = Path(__file__).parent / "golden_tree.json"


def statistics(visits, scored, total, squares, best):
    return Statistics(*(np.array(a, dtype=float) for a in (visits, scored, total, squares, best)))


# Decisions: what is a level of the tree


def test_choices_and_counts_are_levels_and_plain_numbers_are_not():
    space = Space(
        op=Categorical({"conv": Space(width=Int(1, 9)), "pool": None}),
        lr=Float(0, 1),
        layers=Repeat(1, 4, Space(norm=bool)),
        workers=Int(1, 4),
        when=When("workers", 2, Space(fetch=Int(1, 8))),
    )
    assert [p for p in axes_of(space) if "norm" not in p] == ["op", "layers", "workers"]


def test_an_unordered_choice_has_a_child_for_each_value():
    axis = axes_of(Space(op=["a", "b", "c"]))["op"]
    assert axis.split(0, 3) == [Edge("op", 0, 1), Edge("op", 1, 2), Edge("op", 2, 3)]
    assert axis.edges_to("c") == [Edge("op", 2, 3)]


def test_an_ordered_choice_is_bisected_at_the_floor_of_its_middle():
    axis = axes_of(Space(size=Categorical(list("abcdefg"), ordered=True)))["size"]
    # seven values: middle = floor((0 + 6) / 2) = 3, so the lower half is 0..3
    assert axis.split(0, 7) == [Edge("size", 0, 4), Edge("size", 4, 7)]
    assert axis.edges_to("f") == [Edge("size", 4, 7), Edge("size", 4, 6), Edge("size", 5, 6)]


def test_a_count_on_a_log_scale_is_bisected_at_its_geometric_middle_after_the_special_values():
    space = Space(n=Int(1, 64, log=True, special=(-1, 0)), when=When("n", 64, Space(x=bool)))
    axis = axes_of(space)["n"]
    assert [axis.value(i) for i in (0, 1, 2, 65)] == [-1, 0, 1, 64]
    assert axis.split(0, 66) == [Edge("n", 0, 2), Edge("n", 2, 66)]
    assert axis.value(axis.split(2, 66)[1].lo) == 9  # the lower half is 1..8 = sqrt(64)


@pytest.mark.parametrize("bins", [None, 4])
@pytest.mark.parametrize("name", SPACES)
def test_the_edges_of_a_point_lead_back_to_its_decisions(name, bins):
    space = SPACES[name]
    axes = axes_of(space, bins=bins)
    for k in range(20):
        edges = list(edges_of(axes, sample(space, stream(1, k))))
        ahead = iter(edges)
        chosen, taken = descend(space, axes, lambda _, it=ahead: next(it), fixed={})
        assert list(taken) == edges
        assert list(edges_of(axes, chosen)) == edges


def test_a_huge_count_is_never_listed():
    space = Space(n=Int(1, 10**9), when=When("n", [1, 7], Space(x=bool)))
    edges = axes_of(space)["n"].edges_to(123_456_789)
    assert 29 <= len(edges) <= 30
    proposal = TreeSearchSampler(leaf="random").suggest(view_of(space), [3])[0]
    space.validate(proposal.params)


# Scores


def test_ranks_are_even_and_ties_share_their_mean():
    assert ranked(np.array([3.0, 1.0, 2.0])).tolist() == [0.0, 1.0, 0.5]
    assert ranked(np.array([1.0, 5.0, 5.0, 9.0])).tolist() == [1.0, 0.5, 0.5, 0.0]
    assert ranked(np.array([4.0, 4.0])).tolist() == [0.5, 0.5]
    assert ranked(np.array([])).tolist() == []


def test_failed_and_diverged_trials_are_the_worst_and_lost_ones_say_nothing():
    points = [sample(TREE, stream(0, k)) for k in range(6)]
    states = [
        Outcome(TrialState.COMPLETE, metrics={"loss": 1e300}),
        Outcome(TrialState.FAILED),
        Outcome(TrialState.DIVERGED, metrics={"loss": -math.inf}),
        Outcome(TrialState.STOPPED, metrics={"loss": 0.5}),
        Outcome(TrialState.LOST),
        Outcome(TrialState.CANCELLED),
    ]
    trials = [
        ended(k, Proposal(p, "x"), o) for k, (p, o) in enumerate(zip(points, states, strict=True))
    ]
    pending = TrialRecord(6, TrialState.RUNNING, seq=7, params=points[0])
    found, scores = scored_trials(view_of(TREE, [*trials, pending]).history)
    assert [t.number for t in found] == [0, 1, 2, 3, 6]
    assert scores[:4].tolist() == pytest.approx([0.6, 0.0, 0.0, 1.0])  # places 1, 2.5, 2.5, 0
    assert math.isnan(scores[4])


def test_infeasible_trials_come_after_feasible_ones_by_how_much_they_violate():
    points = random_trials(TREE, 3)
    metrics = [{"loss": 0.1, "memory": 0.9}, {"loss": 9.0, "memory": 0.1}, {"loss": 0.0}]
    trials = [
        ended(t.number, Proposal(t.params, "x"), Outcome(TrialState.COMPLETE, metrics=m))
        for t, m in zip(points, metrics, strict=True)
    ]
    _, scores = scored_trials(view_of(TREE, trials, constraints=BOUND).history)
    assert scores.tolist() == [0.5, 1.0, 0.0]


def test_trials_of_several_objectives_are_ranked_by_how_many_others_dominate_them():
    metrics = [(1, 1), (0, 0), (2, 0), (2, 2)]  # (loss down, speed up): none, none, all, none
    trials = [
        ended(k, Proposal(Params(x=0.5), "x"), Outcome(TrialState.COMPLETE, metrics=m))
        for k, m in enumerate({"loss": float(a), "speed": float(b)} for a, b in metrics)
    ]
    space = Space(x=Float(0, 1))
    _, scores = scored_trials(view_of(space, trials, objectives=TWO).history)
    assert scores[[0, 1, 3]].tolist() == [1.0, 1.0, 1.0]
    assert scores[2] == 0.0


# Back-up


def test_back_up_adds_a_score_to_its_path_and_a_pending_trial_as_a_visit_only():
    paths = [[0, 1, 2], [0, 1, 3], [0, 4], [0, 1, 2]]
    s = backed_up(paths, np.array([1.0, 0.0, 0.5, NAN]), 6)
    assert s.visits.tolist() == [4, 3, 2, 1, 1, 0]
    assert s.scored.tolist() == [3, 2, 1, 1, 1, 0]
    assert s.total.tolist() == [1.5, 1.0, 1.0, 0.0, 0.5, 0.0]
    assert s.best.tolist() == [1.0, 1.0, 1.0, 0.0, 0.5, 0.0]
    assert s.mean(0.25).tolist() == [0.5, 0.5, 1.0, 0.0, 0.5, 0.25]
    assert s.variance().tolist() == pytest.approx([1.25 / 3 - 0.25, 0.25, 0, 0, 0, 0])


def test_a_branch_borrows_at_most_its_limit_from_other_branches():
    own = statistics([2, 0], [2, 0], [1.0, 0.0], [0.5, 0.0], [0.5, 0.0])
    everywhere = statistics([10, 2], [10, 1], [9.0, 0.75], [8.5, 0.5625], [1.0, 0.75])
    p = pooled(own, everywhere, 4.0)
    assert p.visits.tolist() == [6.0, 2.0]  # 2 of its own and 4 of 8; all of 2
    assert p.scored.tolist() == [6.0, 1.0]
    assert p.total.tolist() == [1.0 + 8.0 / 2, 0.75]
    assert p.best.tolist() == pytest.approx([(2 * 0.5 + 4 * 1.0) / 6, 0.75])
    nothing = pooled(own, everywhere, 0.0)
    assert nothing.visits.tolist() == [2.0, 0.0]
    assert nothing.total.tolist() == [1.0, 0.0]


# Selection


def test_ucb1_is_the_published_formula_and_infinite_without_a_visit():
    s = statistics([2, 6, 0], [2, 6, 0], [1.0, 1.5, 0.0], [0.5, 0.4, 0.0], [0.5, 0.5, 0.0])
    got = ucb1(s, 0.5)
    assert got[0] == pytest.approx(0.5 + 0.5 * math.sqrt(2 * math.log(8) / 2))
    assert got[1] == pytest.approx(0.25 + 0.5 * math.sqrt(2 * math.log(8) / 6))
    assert got[2] == math.inf


def test_ucb_tuned_is_the_published_formula():
    s = statistics([4, 16], [4, 16], [2.0, 8.0], [1.36, 4.0], [0.8, 0.5])
    q = max_biased(s, 0.5, 0.0)
    assert q.tolist() == pytest.approx([0.65, 0.5])
    got = ucb_tuned(q, s, 1.0)
    first = min(0.25, 0.09 + math.sqrt(2 * math.log(20) / 4))
    second = min(0.25, 0.0 + math.sqrt(2 * math.log(20) / 16))
    assert got[0] == pytest.approx(0.65 + math.sqrt(math.log(20) / 4 * first))
    assert got[1] == pytest.approx(0.5 + math.sqrt(math.log(20) / 16 * second))


def test_a_child_with_pending_trials_only_is_worth_what_its_parent_is():
    s = statistics([1, 1], [0, 1], [0.0, 0.3], [0.0, 0.09], [0.0, 0.3])
    assert max_biased(s, 0.5, 0.7).tolist() == pytest.approx([0.7, 0.3])


def test_a_prior_decides_first_and_fades_with_the_visits():
    none = statistics([0, 0], [0, 0], [0, 0], [0, 0], [0, 0])
    shares = np.array([0.2, 0.8])
    assert puct(np.array([0.5, 0.5]), none, 1.0, prior=shares).tolist() == [0.7, 1.3]
    many = statistics([40, 60], [40, 60], [0, 0], [0, 0], [0, 0])
    got = puct(np.array([0.5, 0.3]), many, 1.0, prior=shares)
    assert got.tolist() == pytest.approx([0.5 + 2 / 41, 0.3 + 8 / 61])


def test_a_wide_node_opens_new_children_only_as_it_is_visited():
    visits = [4, 3, 2, 0, 0]
    s = statistics(visits, visits, [0] * 5, [0] * 5, [0] * 5)
    scores = np.array([1.0, 2.0, 3.0, np.inf, np.inf])
    assert widened(scores, s, 1.0).tolist() == [1, 2, 3, -np.inf, -np.inf]  # 3 = sqrt(9) are open
    assert widened(scores, s, 1.5).tolist() == scores.tolist()


def test_ties_are_broken_at_random():
    rng = np.random.default_rng(0)
    assert {argmax(np.array([1.0, 0.0, 1.0]), rng) for _ in range(20)} == {0, 2}


# The tree


def test_the_original_tree_grows_by_one_level_a_trial():
    a, b, c = Edge("x", 0, 1), Edge("y", 0, 1), Edge("z", 0, 1)
    tree = SearchTree(grows_by_one=True)
    sizes = []
    for _ in range(3):
        tree.add([a, b, c], 0.5)
        sizes.append(len(tree))
    assert sizes == [2, 3, 4]
    assert tree.visits(tree.child(ROOT, a)) == 3
    assert tree.visits(tree.child(tree.child(ROOT, a), b)) == 2


def test_the_tree_of_a_study_is_the_golden_one():
    space = SPACES["repeat"]
    trials = [
        ended(k, Proposal(sample(space, stream(4, k)), "random"), Outcome(state, metrics=metrics))
        for k, (state, metrics) in enumerate(
            [
                *((TrialState.COMPLETE, {"loss": float(v)}) for v in (5, 3, 8, 1, 9, 2, 7)),
                (TrialState.FAILED, {}),
            ]
        )
    ]
    pending = TrialRecord(8, TrialState.RUNNING, seq=9, params=sample(space, stream(4, 8)))
    axes = axes_of(space)
    tree = PathCache().tree(view_of(space, [*trials, pending]), axes)
    assert dumped(tree, axes) == json.loads(GOLDEN.read_text())


def dumped(tree, axes):
    """Return every node as [path, lo, hi, visits, scored, mean, best, children]."""

    def node(k, edge):
        s = tree._computed()[0].at([k])
        numbers = [int(s.visits[0]), int(s.scored[0])]
        values = [round(float(v), 6) for v in (s.mean(0.0)[0], s.best[0])]
        below = sorted(tree._children[k].items())
        return [*edge, *numbers, *values, [node(child, e) for e, child in below]]

    return node(ROOT, ("root", 0, 0))
