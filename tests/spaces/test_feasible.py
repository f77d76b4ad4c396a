"""Points under tight constraints: found, spread as they should be, and never wrongly excluded."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.errors import InvalidSpace
from tunekit.spaces import Categorical, Float, Int, Repeat, Space
from tunekit.spaces.encode import Encoder
from tunekit.spaces.feasible import Feasible
from tunekit.spaces.outline import outline
from tunekit.spaces.point_columns import PointColumns
from tunekit.spaces.possible import Decisions
from tunekit.testing.spaces import random_point

BITS = (2, 3, 4, 8)
WORDS = Space(e=Repeat(24, 24, Space(bits=Categorical(BITS))), constraints="sum(e[*].bits) <= 68")

TIGHT = {
    "sum": WORDS,
    "written out": Space(
        {f"bits_{i}": Categorical(BITS) for i in range(24)},
        constraints=" + ".join(f"bits_{i}" for i in range(24)) + " <= 68",
    ),
    "weights": Space(
        e=Repeat(1, 8, Space(bits=Categorical(BITS))),
        constraints=[
            "sum([9, 8, 7, 6, 5, 4, 3, 2] * e[*].bits) <= 70",
            "sum(e[*].bits) >= 8",
        ],
    ),
    "equation": Space(a=Int(0, 10), b=Int(0, 10), constraints="a + b == 10"),
    "equation of reals": Space(
        a=Float(0, 1), b=Float(0, 1), c=Float(0, 1), constraints="0.999999 <= a + b + c <= 1"
    ),
    "memory": Space(
        layers=Int(1, 64), width=Int(1, 4096, log=True), constraints="layers * width * 4 <= 80"
    ),
    "log scale": Space(
        lr=Float(1e-6, 1, log=True),
        decay=Float(1e-6, 1, log=True),
        constraints="lr * decay < 2e-12",
    ),
    "branches": Space(
        m=Categorical(
            {
                "cnn": Space(f=Int(1, 256), k=Int(2, 9), constraints="f * k <= 5"),
                "mlp": Space(w=Int(1, 512), d=Int(1, 32), constraints=["w * d <= 9", "w > 2 * d"]),
            }
        ),
        batch=Int(1, 1024),
        constraints="batch * (f if m == 'cnn' else w) <= 16",
    ),
    "special": Space(x=Int(10, 900, special=(-1, 0)), y=Int(10, 900), constraints="x * y <= 0"),
}


@pytest.mark.parametrize("name", TIGHT)
def test_points_are_found_under_tight_constraints(name):
    space = TIGHT[name]
    found = [Feasible(space, np.random.default_rng(seed)).draw() for seed in range(12)]
    assert all(space.validate(point) == point for point in found)
    assert len({tuple(p.items()) for p in found}) >= 3
    again = [Feasible(space, np.random.default_rng(seed)).draw() for seed in range(12)]
    assert found == again


def count(n, budget):
    """Return how many ways there are to give n words bits within a budget."""
    ways = Counter({0: 1})
    for _ in range(n):
        new = Counter()
        for total, k in ways.items():
            for b in BITS:
                if total + b <= budget:
                    new[total + b] += k
        ways = new
    return sum(ways.values())


def test_draws_under_a_tight_budget_are_spread_as_all_points_within_it_are():
    points = [Feasible(WORDS, np.random.default_rng(seed)).draw() for seed in range(250)]
    bits = np.array([[p[f"e.{i}.bits"] for i in range(24)] for p in points])
    exact = [count(23, 68 - b) / count(24, 68) for b in BITS]
    assert exact == pytest.approx([0.492, 0.306, 0.185, 0.016], abs=0.001)
    # 6,000 words; the tolerance is four standard deviations of independent ones.
    assert [float((bits == b).mean()) for b in BITS] == pytest.approx(exact, abs=0.026)
    # No word is favoured for its place: 2.74 +- 0.06 each.
    assert np.abs(bits.mean(axis=0) - bits.mean()).max() < 0.3


def test_an_equation_leaves_all_of_its_points_about_as_likely():
    space = TIGHT["equation"]
    seen = Counter(Feasible(space, np.random.default_rng(seed)).draw()["a"] for seed in range(550))
    assert sorted(seen) == list(range(11))
    assert all(20 <= n <= 90 for n in seen.values())


def test_a_wanted_point_keeps_as_many_of_its_values_as_the_constraints_leave():
    near = Feasible(WORDS, np.random.default_rng(0)).near
    inside = WORDS.complete({f"e.{i}.bits": 2 for i in range(24)})
    assert near(inside) == inside
    outside = {**inside, **{f"e.{i}.bits": 8 for i in range(4)}}  # 24 * 2 + 4 * 6 = 72
    moved = near(outside)
    assert sum(moved[k] != v for k, v in outside.items()) == 1
    assert sum(moved[f"e.{i}.bits"] for i in range(24)) in (67, 68)


def test_what_is_fixed_is_kept():
    fixed = {"e.3.bits": 8, "e.4.bits": 8, "e.5.bits": 8}
    point = Feasible(WORDS, np.random.default_rng(1), fixed).draw()
    assert {k: point[k] for k in fixed} == fixed
    with pytest.raises(InvalidSpace, match=r"with \{.*can satisfy the constraint \"sum"):
        Feasible(WORDS, np.random.default_rng(1), {f"e.{i}.bits": 8 for i in range(4)}).draw()


def test_a_known_point_is_moved_from_where_bounds_lead_nowhere():
    # Parity: each factor alone can be anything, so bounds exclude nothing.
    text = "(a * 7919 + b * 104729 + c * 1299709) % 100003 == 4242"
    space = Space(a=Int(0, 999), b=Int(0, 999), c=Int(0, 999), constraints=text)
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidSpace, match=r"is in the way.*enqueued"):
        Feasible(space, rng).draw()
    known = next(
        {"a": a, "b": b, "c": c}
        for a in range(1000)
        for b in range(1000)
        for c in [(4242 - a * 7919 - b * 104729) * pow(1299709, -1, 100003) % 100003]
        if c < 1000
    )
    assert not space.violated(Feasible(space, rng).draw([known]))


def test_only_constraints_that_are_in_the_way_are_named():
    space = Space(
        a=Int(0, 9), b=Int(0, 9), c=Int(0, 9), constraints=["c <= 5", "a + b >= 17", "a - b > 5"]
    )
    with pytest.raises(InvalidSpace) as caught:
        Feasible(space, np.random.default_rng(0)).draw()
    assert "a + b >= 17" in str(caught.value)
    assert "a - b > 5" in str(caught.value)
    assert "c <= 5" not in str(caught.value)


ATOMS = st.sampled_from(
    ["a", "b", "x", "m", "C", "l[0].u", "l[1].u", "sum(l[*].u)", "max(l[*].u)", "count(l[*].u)",
     "2", "-3", "0.5", "min(a, C)", "abs(a)", "log(a)", "sqrt(x)", "exp(b)", "'svm'"]
)  # fmt: skip
NUMBERS = st.recursive(
    ATOMS,
    lambda inner: (
        st.builds(
            "({} {} {})".format,
            inner,
            st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]),
            inner,
        )
        | st.builds("-{}".format, inner)
    ),
    max_leaves=4,
)
COMPARED = st.builds(
    "{} {} {}".format, NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS
)
TRUTHS = st.recursive(
    COMPARED | st.builds("{} in [1, 'svm', a]".format, ATOMS),
    lambda inner: (
        st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
        | st.builds("not ({})".format, inner)
        | st.builds("(({}) if {} else ({}))".format, inner, inner, inner)
    ),
    max_leaves=4,
)
OPEN = dict(
    a=Int(-3, 5),
    b=Float(-2, 2),
    x=Float(1e-3, 10, log=True),
    m=Categorical({"svm": Space(C=Int(1, 200)), "rf": None, 3: None}),
    l=Repeat(0, 2, Space(u=Int(0, 3, special=(-1,)))),
)


@given(TRUTHS, st.integers(0, 10**6), st.integers(0, 10**6))
def test_what_counts_as_impossible_holds_in_no_point(text, seed, n_decided):
    try:
        space = Space(OPEN, constraints=text)
    except InvalidSpace:  # it names no parameter, or is nested too deeply
        return
    point = random_point(space, seed)
    for n in range(len(point) + 1):
        decided = dict(list(point.items())[:n])
        made = Decisions(space, decided)
        if list(made.impossible()):
            assert space.violated(point), (text, decided, point)
            break


@given(st.lists(TRUTHS, min_size=1, max_size=3), st.integers(0, 10**6), st.integers(0, 10**6))
def test_no_point_is_lost_by_narrowing(texts, seed, n_decided):
    try:
        space = Space(OPEN, constraints=texts)
    except InvalidSpace:  # a text names no parameter, or is nested too deeply
        return
    point = random_point(space, seed)
    if space.violated(point):
        return
    made = Decisions(space, dict(list(point.items())[: n_decided % (len(point) + 1)]))
    assert made.settle() is None, (texts, point)
    for path in space.by_path:
        left = made.range(path)
        assert left.holds(point[path]) if path in point else left.may_lack, (texts, point, path)


@given(st.lists(TRUTHS, min_size=1, max_size=3), st.integers(0, 10**6))
def test_many_points_are_judged_at_once_as_each_of_them_alone(texts, seed):
    try:
        space = Space(OPEN, constraints=texts)
    except InvalidSpace:  # a text names no parameter, or is nested too deeply
        return
    encoder, rng = Encoder(space), np.random.default_rng(seed)
    points = PointColumns(encoder, rng.random((12, len(encoder))))
    allowed = [not space.violated(point) for point in points.points()]
    assert points.allowed(space.compiled_constraints).tolist() == allowed, (texts, seed)
    p = space.parameters[seed % len(space)]
    opened = outline(space).opened_by[p.path]
    places = rng.random((3, 12))
    tried = points.allowed_with(p, places, opened, constraints=space.compiled_constraints)
    assert points.allowed(space.compiled_constraints).tolist() == allowed  # nothing has changed
    for k in range(3):
        points.put(p, places[k], opened)
        alone = [not space.violated(point) for point in points.points()]
        assert tried[k].tolist() == alone, (texts, seed, p.path)
