"""The trust region: replayed from the trials alone, its box kept, begun anew when too small."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tunekit.errors import InvalidArgument
from tunekit.records import Outcome, Proposal, TrialState
from tunekit.samplers.bayesian.candidates import Candidates
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.samplers.bayesian.training_data import TrialRows, observed
from tunekit.samplers.bayesian.trust_region import (
    LENGTH,
    SHORTEST,
    Branches,
    RegionCandidates,
    RegionState,
    TrustRegion,
    replayed,
)
from tunekit.spaces import Categorical, Float, Params, Space
from tunekit.spaces.encode import Encoder
from tunekit.testing.samplers import SamplerConformance, ended, random_trials, run, view_of

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
    chooses_fidelity = True

    @pytest.fixture
    def make_sampler(self):
        return partial(BayesianSampler, trust_region=1)


def told(losses, *, region=0, n_dims=20, state=None):
    """Return a state that has heard of one trial of a region for each loss."""
    state = state or RegionState(length=LENGTH, branch=b"here", n_dims=n_dims)
    for loss in losses:
        evidence = {} if region is None else {"region": {"id": region}}
        proposal = Proposal(Params(), "bayesian", evidence=evidence)
        state.tell(ended(len(state.known), proposal), loss, b"here", n_dims)
    return state


def region_around(space, row, length=0.2):
    branches = Branches(Candidates(Encoder(space), None, np.random.default_rng(0)))
    return TrustRegion(RegionState(length=length), row, branches)


def test_the_whole_space_is_searched_until_nothing_improves_for_half_as_many_trials_as_numbers():
    state = told([9, 9, 5, *[9] * 9], state=RegionState())
    assert state.length is None
    assert told([9], state=state).length == LENGTH


def test_three_improvements_in_a_row_double_the_box():
    assert told([9, 5, 4]).length == 2 * LENGTH
    assert told([9, 5, 6, 4, 3]).length == LENGTH


def test_as_many_failures_as_a_quarter_of_the_dimensions_halve_the_box():
    assert told([9] * 5).length == LENGTH
    assert told([9] * 6).length == LENGTH / 2
    assert told([9, *[np.inf] * 5]).length == LENGTH / 2
    assert told([9] * 11, n_dims=40).length == LENGTH / 2


def test_a_gain_too_small_to_matter_is_no_success():
    losses = [0, *[10] * 3, *(-1e-6 * k for k in range(1, 2))]
    assert told(losses).successes == 0
    assert told([*losses, -1]).successes == 1


def test_trials_that_the_region_did_not_propose_move_it_and_leave_its_size():
    state = told([9, 8, 7, 6, 5, *[9] * 12], region=None)
    assert (state.centre, state.length) == (4, LENGTH)


def test_a_box_that_became_too_small_gives_way_to_the_whole_space_and_hears_its_own_trials_only():
    n_halvings = int(np.log2(LENGTH / SHORTEST)) + 1
    state = told([1.0] * (1 + 5 * n_halvings))
    assert (state.id, state.length, state.centre) == (1, None, 0)
    assert told([1.0] * 19, state=state).length is None  # proposed before that
    assert told([1.0] * 10, region=1, state=state).length == LENGTH


def test_a_best_trial_in_another_branch_opens_the_search_again():
    state = told([9] * 6)
    state.tell(ended(50, Proposal(Params(), "x")), 1.0, b"there", 7)
    assert (state.id, state.centre, state.n_dims, state.length) == (1, 50, 7, None)


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
    assert len(states[0].known) == 12


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


def test_the_box_has_the_shape_of_the_length_scales_and_the_volume_of_a_cube():
    region = region_around(WIDE, np.full(24, 0.5), length=0.1)
    lengths = np.random.default_rng(0).normal(scale=0.3, size=24)
    low, high = region.box(lengths)
    assert np.log(high - low) - lengths == pytest.approx(np.full(24, np.log(0.1) - lengths.mean()))
    assert np.prod(high - low) == pytest.approx(0.1**24)


def test_random_candidates_keep_most_of_a_centre_with_many_dimensions():
    space = Space({f"x{i}": Float(0, 1) for i in range(100)})
    encoder, rng = Encoder(space), np.random.default_rng(0)
    region = region_around(space, np.full(100, 0.4))
    made = RegionCandidates(encoder, None, rng, region=region, lengths=np.zeros(100)).random(300)
    changed = (made != region.centre).sum(axis=1)
    assert changed.min() >= 1
    assert 17 < changed.mean() < 24


@pytest.fixture(scope="module")
def stuck():
    """Return the trials of a study in which nothing ever improves; the first ten are random."""
    flat = Outcome(TrialState.COMPLETE, metrics={"loss": 1.0})
    trials = [ended(t.number, t, flat) for t in random_trials(WIDE, 10)]
    for number in range(10, 70):
        (proposal,) = BayesianSampler(n_start=5).suggest(view_of(WIDE, trials), [number])
        trials.append(ended(number, proposal, flat))
    return trials


def test_a_study_that_is_stuck_goes_into_a_box_and_out_again(stuck):
    stored = [t.evidence["region"] for t in stuck[10:]]
    seen = [(s["id"], s["length"]) for s in stored]
    assert seen[:19] == [(0, None)] * 12 + [(0, LENGTH)] * 6 + [(0, LENGTH / 2)]
    assert seen[-1] == (1, None)
    assert {s["centre"] for s in stored} == {0}
    in_box = [t for t, (_, length) in zip(stuck[10:], seen, strict=True) if length == LENGTH / 8]
    x = Encoder(WIDE).encode([stuck[0].params, *(t.params for t in in_box)])
    assert len(in_box) == 6
    assert np.abs(x[1:] - x[0]).max() < LENGTH / 8


def test_a_fresh_instance_and_pending_trials_in_the_box(stuck):
    view = view_of(WIDE, stuck[:36])
    used = BayesianSampler(n_start=5)
    for n in (20, 36):
        proposals = used.suggest(view_of(WIDE, stuck[:n]), range(80, 84))
    assert proposals == BayesianSampler(n_start=5).suggest(view, range(80, 84))
    assert proposals[0].evidence["region"]["length"] < LENGTH
    x = Encoder(WIDE).encode([p.params for p in proposals])
    apart = np.linalg.norm(x[:, None] - x[None], axis=2)[np.triu_indices(4, 1)]
    assert apart.min() > 0.01


def test_few_dimensions_have_no_region_and_none_is_used_where_it_is_switched_off():
    narrow = Space({f"x{i}": Float(0, 1) for i in range(3)})
    assert "region" not in run(BayesianSampler(), narrow, 12)[-1].evidence
    assert "region" not in run(BayesianSampler(trust_region=None), WIDE, 12)[-1].evidence


@pytest.mark.parametrize("given", [0, -3, 2.5, True, "20"])
def test_a_threshold_that_is_no_number_of_parameters_is_refused(given):
    with pytest.raises(InvalidArgument, match="trust_region="):
        BayesianSampler(trust_region=given)
