"""The grid: complete, without repetition, and never listed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.errors import InvalidArgument, InvalidSpace, SpaceExhausted
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState
from tunekit.samplers.base import StudyView
from tunekit.samplers.grid import Grid, GridSampler, shuffled
from tunekit.spaces import Categorical, Float, Int, Params, Repeat, Space, When

LOSS = (ObjectiveSpec("loss"),)

TREE = Space(
    model=Categorical(
        {
            "svm": Space(C=Float(0.1, 10, log=True), kernel=["linear", "rbf", "poly"]),
            "forest": Space(depth=Int(2, 5)),
            "none": None,
        }
    ),
    layers=Repeat(0, 2, Space(units=Int(8, 24, step=8))),
    threads=Int(1, 1_000_000_000),
    when=[When("threads", [1, 7], Space(pinned=bool))],
    seed=3,
)


def view_of(space, *, seed=0, fixed=None, trials=()):
    history = History(LOSS)
    history.update(trials, len(trials))
    return StudyView(space, LOSS, (), seed, history, fixed or {})


def test_the_count_is_the_sum_over_choices_of_the_products_below():
    models = 3 * 3 + 4 + 1  # n_points x kernels + depths + none
    layers = 1 + 3 + 9
    threads = 1_000_000_000 + 2
    assert Grid(TREE, 3).size == models * layers * threads


def test_every_combination_of_a_tree_comes_exactly_once():
    space = Space(
        model=Categorical({"a": Space(x=Int(1, 3)), ("b", "c"): Space(y=bool)}),
        n=Int(0, 3, special=(-1, 2)),
        when=When("n", [-1, 3], Space(z=["p", "q"])),
    )
    grid = Grid(space, 5)
    points = [tuple(grid.point(k).items()) for k in range(grid.size)]
    assert grid.size == (3 + 2 + 2) * (3 + 2 * 2)
    assert len(set(points)) == grid.size
    for point in points:
        space.validate(dict(point))


@given(st.integers(0, Grid(TREE, 3).size - 1))
def test_any_rank_of_a_huge_grid_is_a_valid_point(rank):
    point = Grid(TREE, 3).point(rank)
    assert TREE.validate(point) == point


@given(st.integers(1, 300), st.integers(0, 2**64 - 1))
def test_the_shuffle_is_a_permutation(size, seed):
    assert sorted(shuffled(i, size, seed) for i in range(size)) == list(range(size))


def test_a_shuffle_of_more_points_than_a_machine_word_stays_inside():
    size = 10**40 + 7
    assert len({shuffled(i, size, 1) for i in range(100)}) == 100
    assert all(0 <= shuffled(i, size, 1) < size for i in range(100))


def test_points_beyond_the_grid_say_how_many_there_were():
    sampler = GridSampler()
    view = view_of(Space(a=[1, 2], b=[1, 2, 3]))
    points = {tuple(p.params.values()) for p in sampler.suggest(view, range(6))}
    assert len(points) == 6
    with pytest.raises(SpaceExhausted, match="has 6 points"):
        sampler.suggest(view, [6])


def test_points_that_violate_a_constraint_are_passed_over():
    space = Space(a=Int(1, 4), b=Int(1, 4), constraints=["a * b <= 6"])
    for shuffle in (True, False):
        sampler = GridSampler(shuffle=shuffle)
        points = [tuple(p.params.values()) for p in sampler.suggest(view_of(space), range(10))]
        assert sorted(points) == [(a, b) for a in range(1, 5) for b in range(1, 5) if a * b <= 6]
        with pytest.raises(SpaceExhausted, match=r"10 points \(6 more violate"):
            sampler.suggest(view_of(space), [10])


def test_the_plain_order_counts_like_nested_loops():
    points = GridSampler(shuffle=False).suggest(view_of(Space(a=[1, 2], b=[1, 2])), range(4))
    assert [tuple(p.params.values()) for p in points] == [(1, 1), (2, 1), (1, 2), (2, 2)]


def test_enqueued_trials_cost_the_grid_no_point():
    space = Space(a=[1, 2, 3])
    enqueued = TrialRecord(0, TrialState.FAILED, seq=1, params=Params(a=2), sampler="user")
    view = view_of(space, trials=[enqueued], fixed={2: Params(a=1)})
    proposals = GridSampler().suggest(view, [1, 2, 3, 4])
    assert proposals[1].params == {"a": 1}
    assert sorted(proposals[i].params["a"] for i in (0, 2, 3)) == [1, 2, 3]


def test_a_continuous_parameter_takes_n_points_on_its_scale():
    space = Space(lr=Float(1e-4, 1e-2, log=True, special=(0,)), step=Float(0, 1, step=0.25))
    view = view_of(space)
    points = GridSampler(n_points=3).suggest(view, range(4 * 5))
    assert sorted({p.params["lr"] for p in points}) == pytest.approx([0, 1e-4, 1e-3, 1e-2])
    assert sorted({p.params["step"] for p in points}) == [0, 0.25, 0.5, 0.75, 1]


def test_a_fine_step_costs_no_memory_and_specials_on_it_count_once():
    space = Space(x=Float(0, 1, step=1e-9, special=(0.5, -1)), y=Float(0.1, 0.7, step=0.1))
    grid = Grid(space, 2)
    assert grid.size == (10**9 + 2) * 7
    assert grid.point(0) == {"x": -1.0, "y": 0.1}
    assert grid.point(grid.size - 1) == {"x": 1.0, "y": 0.7}


def test_a_grid_without_a_valid_point_is_refused_in_finite_time():
    space = Space(a=Int(1, 10**9), constraints=["a < 0"])
    with pytest.raises(InvalidSpace, match='no point can satisfy the constraint "a < 0"'):
        GridSampler(shuffle=False).suggest(view_of(space), [0])


@pytest.mark.parametrize("n_points", [0, -1, 2.5, True, "3"])
def test_a_grid_needs_a_whole_number_of_points(n_points):
    with pytest.raises(InvalidArgument, match="n_points"):
        GridSampler(n_points=n_points)
