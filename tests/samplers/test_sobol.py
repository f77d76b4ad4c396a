"""Sobol points: SciPy's, keyed by the study, even on every branch."""

from __future__ import annotations

import numpy as np
from scipy.stats import qmc

from tunekit.samplers import sobol
from tunekit.samplers.sobol import SobolSampler
from tunekit.spaces import Categorical, Float, Int, Space
from tunekit.testing.samplers import view_of


def points(space, numbers, seed=0):
    proposals = SobolSampler().suggest(view_of(space, seed=seed), numbers)
    return np.array([list(p.params.values()) for p in proposals])


def test_a_block_of_256_points_is_far_more_even_than_random_ones():
    space = Space(x=Float(0, 1), y=Float(0, 1), z=Float(0, 1))
    random = np.random.default_rng(0).random((256, 3))
    assert qmc.discrepancy(points(space, range(256))) < 0.1 * qmc.discrepancy(random)


def test_each_half_of_a_branch_gets_its_share():
    space = Space(model=Categorical({"a": Space(x=Float(0, 1)), "b": None}))
    chosen = SobolSampler().suggest(view_of(space), range(64))
    xs = [p.params["model.a.x"] for p in chosen if p.params["model"] == "a"]
    assert len(xs) == 32
    assert sum(x < 0.5 for x in xs) == 16


def test_points_are_the_same_in_any_order_and_far_ahead():
    space = Space(x=Float(0, 1), y=Float(0, 1))
    there = points(space, [100_000, 3, 7, 3])
    assert (there[[1, 2, 0]] == points(space, [3, 7, 100_000])).all()


def test_another_seed_gives_other_points():
    space = Space(x=Float(0, 1))
    assert points(space, [5], seed=1) != points(space, [5], seed=2)


def test_a_point_that_breaks_a_constraint_is_drawn_again_and_says_so():
    space = Space(a=Int(1, 10), b=Int(1, 10), constraints=["a + b <= 6"])
    proposals = SobolSampler().suggest(view_of(space), range(20))
    again = [p for p in proposals if "a + b <= 6" in p.reason]
    assert 5 < len(again) < 20
    assert all(not space.violated(p.params) for p in proposals)


def test_more_dimensions_than_the_sequence_has_fall_back_to_random_draws(monkeypatch):
    monkeypatch.setattr(sobol, "MAX_DIMENSIONS", 2)
    space = Space(x=Float(0, 1), y=Float(0, 1), z=Float(0, 1))
    proposal = SobolSampler().suggest(view_of(space), [4])[0]
    assert "a random draw: Sobol's sequence has 2 dimensions" in proposal.reason


def test_points_beyond_the_sequence_fall_back_to_random_draws():
    proposal = SobolSampler().suggest(view_of(Space(x=Float(0, 1))), [1 << 30])[0]
    assert "a random draw" in proposal.reason


def test_the_limit_is_scipys():
    assert sobol.MAX_DIMENSIONS == qmc.Sobol.MAXDIM
