"""Constraints that interact: points are found, and what excludes each other is named."""

import numpy as np
import pytest

from tunekit.errors import InvalidSpace
from tunekit.spaces import Categorical, Float, Int, Repeat, Space
from tunekit.spaces.backtrack import conflict
from tunekit.spaces.feasible import Feasible
from tunekit.spaces.possible import Decisions

BITS = [2, 3, 4, 8]
WEIGHTS = [7, 13, 5, 9, 11, 3, 17, 8, 6, 12, 4, 10]


def ints(n, lo, hi, name="x"):
    return {f"{name}{i}": Int(lo, hi) for i in range(n)}


def words(*constraints):
    return Space(e=Repeat(24, 24, Space(bits=Categorical(BITS))), constraints=constraints)


def different(n, hi):
    pairs = [(i, j) for i in range(n) for j in range(i)]
    return Space(ints(n, 1, hi, "q"), constraints=[f"q{i} != q{j}" for i, j in pairs])


FOUND = {
    "chain": Space(
        ints(5, 0, 9), constraints=[f"x{i} < x{i + 1}" for i in range(4)] + ["x0 + x4 == 9"]
    ),
    "hardly wide enough": Space(
        ints(10, 0, 10), constraints=[f"x{i} < x{i + 1}" for i in range(9)]
    ),
    "at most": words("sum(e[*].bits) <= 50"),
    "equal": words("sum(e[*].bits) == 64"),
    "equal, near the top": words("sum(e[*].bits) == 187"),
    "aggregates": words(
        "sum(e[*].bits) <= 68",
        "count(e[*].bits == 8) == 2",
        "max(e[*].bits) == 8",
        "count(e[*].bits == 3) >= 3",
    ),
    "knapsack": Space(
        e=Repeat(12, 12, Space(on=bool)),
        constraints=[f"38 <= sum({WEIGHTS} * e[*].on) <= 40", "count(e[*].on) == 5"],
    ),
    "knapsack of counts": Space(
        e=Repeat(12, 12, Space(n=Int(0, 4))),
        constraints=[f"100 <= sum({WEIGHTS} * e[*].n) <= 101", "sum(e[*].n) <= 11"],
    ),
    "powers of two": Space(
        batch=[2**i for i in range(9)], accum=Int(1, 300), constraints="batch * accum == 256"
    ),
    "product": Space(batch=Int(1, 300), accum=Int(1, 300), constraints="batch * accum == 256"),
    "squares": Space(
        a=Int(0, 1000, default=0),
        b=Int(0, 1000, default=0),
        c=Int(0, 1000),
        constraints=["a * a + b * b == 250000", "c > a > 0", "b > 0"],
    ),
    "implications": Space(
        a=["x", "y", "z"],
        b=Int(0, 9),
        c=Int(0, 9),
        d=bool,
        constraints=[
            "a == 'x' or b > 7",
            "not d or c == b",
            "d or a == 'x'",
            "a != 'x' or (b == 3 and c < 2)",
        ],
    ),
    "alternatives": Space(
        a=["x", "y"],
        b=Int(0, 99),
        c=Int(0, 99),
        constraints=["b == 2 * c if a == 'x' else b == 3 * c + 1", "b + c >= 60"],
    ),
    "active entries": Space(
        l=Repeat(
            1,
            6,
            Space(
                op=Categorical(
                    {
                        "conv": Space(units=Int(1, 64), k=Int(1, 5)),
                        "skip": None,
                        "fc": Space(units=Int(1, 512)),
                    }
                )
            ),
        ),
        constraints=[
            "sum(l[*].op.conv.units * l[*].op.conv.k) + sum(l[*].op.fc.units) == 40",
            "count(l[*].op == 'conv') >= 2",
            "max(l[*].op.fc.units) <= 9",
        ],
    ),
    "deep branches": Space(
        m=Categorical(
            {
                "a": Space(k=Categorical({"u": Space(x=Int(0, 100)), "v": Space(y=Int(0, 100))})),
                "b": Space(z=Int(0, 100)),
                "c": None,
            }
        ),
        t=Int(0, 100),
        constraints=[
            "m.a.k.u.x > 95 and t < 3",
            "m.a.k.v.y == t + 98",
            "m == 'a' or m == 'b'",
            "z > 97 and t > z",
        ],
    ),
    "a branch without points": Space(
        m=Categorical({"a": Space(x=Int(0, 9)), "b": Space(y=Int(0, 9))}),
        n=Int(0, 9),
        constraints=["x > 20", "y == n", "n > 6"],
    ),
    "steps": Space(
        a=Float(0, 1, step=0.1),
        b=Float(0, 1, step=0.1),
        c=Float(0, 1, step=0.05),
        d=Float(0, 10, step=0.01),
        constraints=["a + b + c == 1", "a >= 2 * b", "d == 5 * a"],
    ),
    "mixture": Space(
        a=Float(0, 1),
        b=Float(0, 1),
        c=Float(0, 1),
        constraints=["a + b + c == 1", "a <= 0.2 or b <= 0.1"],
    ),
    "log scales": Space(
        lr=Float(1e-6, 1, log=True),
        wd=Float(1e-6, 1, log=True),
        b=Int(1, 4096, log=True),
        constraints=[
            "1e-9 <= lr * wd <= 1.1e-9",
            "log2(b) == 5 or log2(b) == 9",
            "lr * b <= 0.01",
        ],
    ),
    "heads": Space(
        d=Int(64, 1024, step=8),
        h=Int(1, 32),
        n=Int(1, 48),
        constraints=["d % h == 0", "d // h == 64", "15e6 <= n * d * d * 12 <= 20e6"],
    ),
    "all different": different(7, 7),
    "queens": Space(
        ints(8, 1, 8, "q"),
        constraints=[
            f"q{i} != q{j} and q{i} - q{j} != {i - j} and q{j} - q{i} != {i - j}"
            for i in range(8)
            for j in range(i)
        ],
    ),
    "ordered": Space(
        s=Categorical(["s", "m", "l", "xl"], ordered=True),
        n=Int(1, 1000),
        constraints=["s in ['l', 'xl']", "n > 990 if s == 'xl' else n == 7"],
    ),
    "many reals": Space(
        {f"x{i}": Float(0, 1) for i in range(40)},
        constraints=[
            " + ".join(f"x{i}" for i in range(40)) + " <= 4",
            " + ".join(f"x{i}" for i in range(0, 40, 2)) + " >= 2",
        ],
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_points_are_found_where_constraints_interact(name):
    space = FOUND[name]
    found = [Feasible(space, np.random.default_rng(seed)).draw() for seed in range(8)]
    assert all(space.validate(point) == point for point in found)
    assert len({tuple(p.items()) for p in found}) >= 3
    assert found[3] == Feasible(space, np.random.default_rng(3)).draw()


EXCLUDED = {
    "chain": (
        Space(ints(12, 0, 9), constraints=[f"x{i} < x{i + 1}" for i in range(11)]),
        ["x0 < x1", "x3 < x4", "6 more"],
        [],
    ),
    "sum": (words("sum(e[*].bits) <= 47", "e[0].bits <= 4"), ["<= 47"], ["e[0].bits <= 4"]),
    "equations": (
        Space(
            a=Int(0, 9),
            b=Int(0, 9),
            c=Int(0, 9),
            constraints=["a + b == 5", "c <= 8", "b + c == 5", "a - c == 1"],
        ),
        ["a + b == 5", "b + c == 5", "a - c == 1"],
        ["c <= 8"],
    ),
    "reals": (
        Space(a=Float(0, 1), b=Float(0, 1), constraints=["a + b >= 1.5", "a * 2 + b <= 1.4"]),
        ["a + b >= 1.5", "a * 2 + b <= 1.4"],
        [],
    ),
    "parity": (
        Space(a=Int(0, 50, step=2), b=Int(0, 50, step=2), constraints="a + b == 51"),
        ["a + b == 51"],
        [],
    ),
    "branches": (
        Space(
            m=Categorical({"a": Space(x=Int(0, 9)), "b": Space(y=Int(0, 9))}),
            n=Int(0, 9),
            constraints=["x > 20", "y < 0", "n > 3"],
        ),
        ["x > 20", "y < 0"],
        ["n > 3"],
    ),
}


@pytest.mark.parametrize("name", EXCLUDED)
def test_constraints_that_exclude_each_other_are_named_and_no_others(name):
    space, named, unnamed = EXCLUDED[name]
    with pytest.raises(InvalidSpace, match="no point can satisfy") as caught:
        Feasible(space, np.random.default_rng(0)).draw()
    assert all(text in str(caught.value) for text in named)
    assert not any(text in str(caught.value) for text in unnamed)


def test_bounds_that_approach_each_other_in_a_million_steps_are_given_up_early():
    # Each narrows the other by 1: a fixed point is a million rounds away.
    space = Space(ints(2, 0, 10**6), z=Int(0, 3), constraints=["x0 < x1", "x1 < x0", "z < 2"])
    with pytest.raises(InvalidSpace, match=r"\"x0 < x1\" and \"x1 < x0\" are in the way"):
        Feasible(space, np.random.default_rng(0)).draw()


def test_more_of_the_same_than_there_is_room_for_ends_in_bounded_effort():
    with pytest.raises(InvalidSpace, match="are in the way"):
        Feasible(different(7, 6), np.random.default_rng(0)).draw()


def test_a_conflict_holds_no_constraint_that_it_does_not_need():
    pairs = [f"x{i} + x{i + 1} >= 3" for i in range(9)]
    space = Space(ints(10, 0, 9), constraints=[*pairs, "x4 <= 1", "x5 <= 1"])
    assert conflict(space, {}) == ["x4 + x5 >= 3", "x4 <= 1", "x5 <= 1"]
    assert conflict(space, {"x4": 0}) == ["x4 + x5 >= 3", "x5 <= 1"]
    assert conflict(Space(ints(2, 0, 9), constraints="x0 < x1"), {}) == []


def test_bounds_are_narrowed_to_a_fixed_point_across_constraints():
    made = Decisions(FOUND["chain"])
    assert made.settle() is None
    assert [made.range(f"x{i}").values for i in range(5)] == [
        tuple(range(0, 6)), tuple(range(1, 7)), tuple(range(2, 8)), tuple(range(3, 9)),
        tuple(range(4, 10)),
    ]  # fmt: skip
    made.decide("x4", 5)
    assert made.settle(["x4"]) is not None  # x0 is 4, which leaves no room


def test_a_branch_whose_parameters_have_no_value_left_closes_its_switch():
    made = Decisions(FOUND["a branch without points"])
    assert made.settle() is None
    assert made.range("m").values == ("b",)
    assert made.range("m.b.y").values == (7, 8, 9)
    assert not made.is_active("m.a.x")
