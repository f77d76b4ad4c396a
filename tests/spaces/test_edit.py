"""Neighbours, mutation and crossover along the tree."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.spaces import Categorical, Float, Int, Repeat, Space
from tunekit.spaces.edit import crossover, mutate, neighbours
from tunekit.testing.spaces import random_point, spaces

SPACE = Space(
    model=Categorical({"svm": Space(C=Float(0, 1), g=Float(0, 1)), "rf": Space(n=Int(1, 9))}),
    size=Categorical(["s", "m", "l", "xl"], ordered=True),
    layers=Repeat(1, 3, Space(units=Int(1, 8))),
)


@settings(max_examples=40, deadline=None)
@given(spaces(), st.integers(0, 2**32))
def test_every_result_is_a_valid_point(space, seed):
    a, b = random_point(space, seed), random_point(space, seed + 1)
    if space.violated(a) or space.violated(b):
        return
    rng = np.random.default_rng(seed)
    results = [mutate(space, a, rng), crossover(space, a, b, rng)]
    results += neighbours(space, a) + neighbours(space, a, rng=rng)
    for point in results:
        assert space.validate(point) == point


def test_neighbours_differ_in_one_decision():
    point = SPACE.complete({"model": "svm", "C": 0.5, "size": "m", "layers": 1})
    found = neighbours(SPACE, point)
    changed = []
    for other in found:
        shared = [p for p in point if p in other and other[p] != point[p]]
        assert len(shared) == 1
        changed.append((shared[0], other[shared[0]]))
    assert len(set(changed)) == len(changed)
    assert ("model", "rf") in changed
    assert {v for p, v in changed if p == "size"} == {"s", "l"}
    assert {v for p, v in changed if p == "layers"} == {2}
    assert {v for p, v in changed if p == "model.svm.C"} == {0.45, 0.55}
    switched = next(o for o in found if o["model"] == "rf")
    assert switched["n"] == SPACE.by_path["model.rf.n"].domain.default_value()
    assert all(point not in (o,) for o in found)


def test_neighbours_of_a_fully_discrete_space_are_all_one_step_changes():
    space = Space(a=bool, n=Int(0, 5), c=[1, 2, 3])
    point = space.complete({"n": 2, "c": 2})
    assert {tuple(p.values()) for p in neighbours(space, point, step=0.0)} == {
        (True, 2, 2), (False, 1, 2), (False, 3, 2), (False, 2, 1), (False, 2, 3),
    }  # fmt: skip


def test_mutation_always_changes_something_and_a_small_scale_little():
    rng = np.random.default_rng(0)
    point = SPACE.default()
    assert all(mutate(SPACE, point, rng) != point for _ in range(200))
    space = Space(x=Float(0, 1))
    steps = [
        mutate(space, space.complete({"x": 0.5}), rng, scale=0.01)["x"] - 0.5 for _ in range(500)
    ]
    assert 0.008 < np.std(steps) < 0.012
    assert mutate(Space(a=1), Space(a=1).default(), rng) == {"a": 1}


def test_crossover_takes_a_branch_as_a_whole():
    a = SPACE.complete({"model": "svm", "C": 0.1, "g": 0.1})
    b = SPACE.complete({"model": "svm", "C": 0.9, "g": 0.9})
    c = SPACE.complete({"model": "rf", "n": 7})
    rng = np.random.default_rng(1)
    pairs = {(p["C"], p["g"]) for p in (crossover(SPACE, a, b, rng) for _ in range(50))}
    assert pairs == {(0.1, 0.1), (0.9, 0.9)}
    children = [crossover(SPACE, a, c, rng) for _ in range(50)]
    assert {p["model"] for p in children} == {"svm", "rf"}
    assert all(p["n"] == 7 if p["model"] == "rf" else p["C"] == 0.1 for p in children)


def test_a_point_that_nothing_may_replace_is_kept():
    space = Space(a=Int(0, 9), b=Int(0, 9), constraints=["a == 3", "b == 4"])
    point = space.validate({"a": 3, "b": 4})
    rng = np.random.default_rng(0)
    assert mutate(space, point, rng) == point
    assert crossover(space, point, point, rng) == point
    assert neighbours(space, point) == []
