"""The trust region: replayed from the trials alone, its box kept, and begun anew when too small."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tunekit.errors import InvalidArgument
from tunekit.samplers.bayesian import BayesianSampler
from tunekit.samplers.candidates import Candidates
from tunekit.samplers.tree_model import TrialRows, observed
from tunekit.samplers.trust_region import (
    LENGTH,
    SHORTEST,
    Branches,
    RegionCandidates,
    RegionState,
    TrustRegion,
    local,
    replayed,
)
from tunekit.spaces import Categorical, Float, Params, Space
from tunekit.spaces.encode import Encoder
from tunekit.testing.samplers import SamplerConformance, ended, random_trials, run, view_of
from tunekit.trial import Outcome, Proposal, TrialState

WIDE = Space({f"x{i}": Float(0, 1) for i in range(24)})
DEEP = Space(
    model=Categorical(
        {
            "net": Space({f"w{i}": Float(0, 1) for i in range(5)}),
            "tree": Space(depth=Float(0, 1)),
        }
    ),
    rate=Float(0, 1),
    kind=["a", "b", "c"],
)


class TestBayesianInATrustRegion(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(BayesianSampler, trust_region=1)


def told(losses, *, region=0, n_dims=5, state=None):
    """Return a state that has heard of one trial of a region for each loss."""
    state = state or RegionState()
    for loss in losses:
        number = max(state.members, default=-1) + 1
        evidence = {} if region is None else {"region": {"id": region}}
        proposal = Proposal(Params(), "bayesian", evidence=evidence)
        state.tell(ended(number, proposal), loss, b"here", n_dims)
    return state


def region_around(space, row, length=0.2):
    branches = Branches(Candidates(Encoder(space), None, np.random.default_rng(0)))
    return TrustRegion(RegionState(length=length), row, branches)


def test_three_improvements_in_a_row_double_the_box_and_as_many_failures_as_dimensions_halve_it():
    assert told([9, 5, 4, 3]).length == 2 * LENGTH
    assert told([9, 5, 4, 6, 3, 2]).length == LENGTH
    assert told([9] * 5).length == LENGTH
    assert told([9] * 6).length == LENGTH / 2
    assert told([9, *[np.inf] * 5]).length == LENGTH / 2


def test_a_gain_too_small_to_matter_is_no_success():
    assert told([0, 10, 10, 0, *(-1e-6 * k for k in range(1, 5))]).successes == 0


def test_trials_that_the_region_did_not_propose_move_it_and_leave_its_size():
    state = told([9, 8, 7, 6, 5, *[9] * 12], region=None)
    assert (state.centre, state.length) == (4, LENGTH)


def test_a_box_that_became_too_small_begins_anew_and_hears_no_more_of_its_old_trials():
    n = 1 + 5 * int(np.log2(LENGTH / SHORTEST) + 1)
    state = told([1.0] * n)
    assert (state.id, state.length, state.centre, state.members) == (1, LENGTH, -1, set())
    assert told([0.5], state=state).centre == -1
    assert told([3.0, 2.0], region=None, state=state).best == 2.0


def test_a_best_trial_in_another_branch_takes_the_region_there_at_full_size():
    state = told([9] * 6)
    state.tell(ended(50, Proposal(Params(), "x")), 1.0, b"there", 7)
    assert (state.id, state.centre, state.n_dims, state.length) == (1, 50, 7, LENGTH)


def test_the_state_follows_the_order_of_the_ends_alone():
    trials = run(BayesianSampler(), WIDE, 12)
    late = [replace(t, seq=100) if t.number == 8 else t for t in trials]
    states = []
    for order in (late, late[::-1]):
        view = view_of(WIDE, order)
        rows = TrialRows(Encoder(WIDE))
        branches = Branches(Candidates(rows.encoder, None, np.random.default_rng(0)))
        states.append(replayed(view.history, observed(view, rows), branches))
    assert states[0] == states[1]
    told_last = trials[8].metrics["loss"] == min(t.metrics["loss"] for t in trials)
    assert states[0].failures == 0 if told_last else states[0].members == set(range(12))


def test_a_fresh_instance_answers_the_same_in_many_dimensions():
    cached = run(BayesianSampler(), WIDE, 16)
    assert cached == run(BayesianSampler(), WIDE, 16, fresh=BayesianSampler)
    stored = cached[-1].evidence["region"]
    best = min(cached[:-1], key=lambda t: t.metrics["loss"])
    assert stored["centre"] == best.number


@pytest.mark.parametrize("space", [WIDE, DEEP], ids=["flat", "tree"])
def test_all_candidates_in_the_branch_of_the_centre_lie_in_the_box(space):
    encoder = Encoder(space)
    rng = np.random.default_rng(3)
    pool = Candidates(encoder, None, rng).random(30)
    region = region_around(space, pool[0])
    lengths = rng.normal(size=len(encoder))
    low, high = region.box(lengths)
    at = region.numbers
    sides = np.log(np.exp(lengths[at]))
    assert np.ptp((high - low)[at]) > 0  # it has the shape of the length scales
    assert sides.argmin() in np.flatnonzero((high - low)[at] <= np.median((high - low)[at]))
    candidates = RegionCandidates(encoder, None, rng, region=region, lengths=lengths)

    def uphill(x):
        return np.nansum(x, axis=1), np.where(np.isnan(x), 0.0, 1.0)

    for rows in (
        candidates.random(200),
        candidates.mutations(pool, 200),
        candidates.around(pool[:3], 20, 0.3),
        candidates.climbed(pool[:1], uphill),
    ):
        inside = region.branches.same(rows, region.centre)
        assert inside.any()
        assert np.all(rows[inside][:, at] >= low[at] - 1e-12)
        assert np.all(rows[inside][:, at] <= high[at] + 1e-12)
    if space is DEEP:
        assert not region.branches.same(candidates.random(200), region.centre).all()


def test_random_candidates_keep_most_of_a_centre_with_many_dimensions():
    space = Space({f"x{i}": Float(0, 1) for i in range(100)})
    encoder, rng = Encoder(space), np.random.default_rng(0)
    region = region_around(space, np.full(100, 0.4))
    made = RegionCandidates(encoder, None, rng, region=region, lengths=np.zeros(100)).random(300)
    changed = (made != region.centre).sum(axis=1)
    assert changed.min() >= 1
    assert 17 < changed.mean() < 24


def test_after_a_restart_only_later_trials_count_and_the_first_are_spread_again():
    first = random_trials(WIDE, 10)
    n = 24 * int(np.log2(LENGTH / SHORTEST) + 1)
    bad = Outcome(TrialState.COMPLETE, metrics={"loss": 99.0})
    point = first[0].params
    evidence = {"region": {"id": 0, "length": LENGTH, "centre": 0}}
    stuck = [
        ended(10 + k, Proposal(point, "bayesian", evidence=evidence), bad) for k in range(n)
    ]
    trials = [*first, *stuck]
    view, rows = view_of(WIDE, trials), TrialRows(Encoder(WIDE))
    data, region = local(view.history, observed(view, rows), rows.encoder, 20)
    assert (len(data.trials), region) == (0, None)
    sampler = BayesianSampler()
    for number in range(len(trials), len(trials) + 10):
        (proposal,) = sampler.suggest(view_of(WIDE, trials), [number])
        trials.append(ended(number, proposal))
    assert "covers the branches" in trials[-10].reason or trials[-10].evidence == {}
    assert trials[-1].evidence["region"]["id"] == 1
    assert trials[-1].evidence["region"]["centre"] >= 10 + n


def test_few_dimensions_or_several_objectives_have_no_region():
    narrow = Space({f"x{i}": Float(0, 1) for i in range(3)})
    assert "region" not in run(BayesianSampler(), narrow, 12)[-1].evidence
    assert "region" not in run(BayesianSampler(trust_region=None), WIDE, 12)[-1].evidence


@pytest.mark.parametrize("given", [0, -3, 2.5, True, "20"])
def test_a_threshold_that_is_no_number_of_parameters_is_refused(given):
    with pytest.raises(InvalidArgument, match="trust_region="):
        BayesianSampler(trust_region=given)
