"""Leaf domains: bounds, types, and the way to the unit interval and back."""

import enum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import InvalidParams, InvalidSpace
from tunekit.spaces import Categorical, Constant, Float, Int, Space
from tunekit.testing.spaces import domains


@settings(max_examples=500, deadline=None)
@given(domains(), st.floats(0, 1))
def test_every_value_comes_back_from_its_place(domain, u):
    value = domain.from_unit(u)
    assert domain.validate(value, "x") == value
    assert domain.from_unit(domain.to_unit(value)) == value


@settings(max_examples=300, deadline=None)
@given(domains(), st.floats(0, 1))
def test_validated_values_and_bounds_and_defaults_come_back(domain, u):
    values = [domain.default_value()]
    if isinstance(domain, Float) and domain.step is None:
        raw = domain.lo + u * (domain.hi - domain.lo)  # at full precision, not at ours
        values += [domain.validate(v, "x") for v in (domain.lo, domain.hi, raw) if v <= domain.hi]
    for value in values:
        assert domain.validate(value, "x") == value
        assert domain.from_unit(domain.to_unit(value)) == value
        assert 0.0 <= domain.to_unit(value) <= 1.0


@given(st.integers(1, 60))
def test_a_discrete_domain_has_as_many_values_as_it_says(n):
    for domain in (
        Int(3, 2 + n),
        Int(0, 7 * n - 1, step=7),
        Categorical([str(i) for i in range(n)]),
    ):
        found = {domain.from_unit((k + 0.5) / n) for k in range(n)}
        assert len(found) == domain.size == n


def test_a_log_range_is_uniform_in_its_decades():
    domain = Float(1e-4, 1.0, log=True)
    assert [domain.from_unit(u) for u in (0, 0.25, 0.5, 0.75, 1)] == [1e-4, 1e-3, 1e-2, 0.1, 1.0]


def test_special_values_take_a_fifth_and_may_lie_outside():
    domain = Int(1, 100, special=-1)
    values = [domain.from_unit(u) for u in np.linspace(0, 1, 1001)]
    assert values.count(-1) == 200
    assert domain.validate(-1, "x") == -1
    assert domain.size == 101
    assert Float(0, 1, step=0.5, special=(0.5, 9.0)).size == 4


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Float(2, 1), "swap"),
        (lambda: Float(0, 1, log=True), "above 0"),
        (lambda: Float(float("nan"), 1), "finite"),
        (lambda: Float(-1e308, 1e308), "finite"),
        (lambda: Float(0, 10**400), "finite"),
        (lambda: Float("0", 1), "finite"),
        (lambda: Float(True, 2), "finite"),
        (lambda: Float(1, 2, log=True, step=0.1), "exclude"),
        (lambda: Float(0, 1, step=0), "above 0"),
        (lambda: Float(0, 1, step=1e-12), "increase or remove"),
        (lambda: Float(0, 1, default=2), "default"),
        (lambda: Float(0, 1, special=(2, 2)), "twice"),
        (lambda: Float(0, 1, log="yes"), "True or False"),
        (lambda: Int(0, 1.5), "whole"),
        (lambda: Int(0, 5, log=True), "above 0"),
        (lambda: Int(0, 2**70), "too many values"),
        (lambda: Categorical([]), "no choices"),
        (lambda: Categorical("abc"), "expected a list"),
        (lambda: Categorical(["a", "a"]), "twice"),
        (lambda: Categorical([True, 1]), "equal in Python"),
        (lambda: Categorical([[1]]), "list"),
        (lambda: Categorical([float("nan")]), "not finite"),
        (lambda: Categorical(["a"], default="b"), "expected one of"),
    ],
)
def test_a_domain_that_cannot_be_is_refused(make, words):
    with pytest.raises(InvalidSpace, match=words):
        make()


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (Float(0, 1), 1.1), (Float(0, 1), float("nan")), (Float(0, 1), True), (Float(0, 1), "1"),
        (Float(0, 1, step=0.25), 0.3), (Int(0, 3), 1.5), (Int(0, 9, step=3), 4), (Int(0, 3), None),
        (Int(0, 3), 10**400), (Categorical([1, 2]), True), (Categorical(["a"]), "b"),
        (Categorical(["a"]), ["a"]), (Constant(1), True), (Constant(1), 2),
    ],
)  # fmt: skip
def test_a_value_outside_its_domain_is_refused_by_name(domain, value):
    with pytest.raises(InvalidParams, match='"lr"'):
        domain.validate(value, "lr")


def test_numpy_and_enum_values_become_plain():
    class Color(enum.StrEnum):
        RED = "red"

    class Size(enum.IntEnum):
        BIG = 3

    domain = Categorical([Color.RED, Size.BIG, np.float32(0.5)])
    assert [type(c) for c in domain.choices] == [str, int, float]
    assert type(Int(0, 5).validate(np.int64(3), "x")) is int
    assert type(Float(0, 5).validate(np.float32(3), "x")) is float


def test_true_and_one_and_one_point_zero_are_three_values():
    variants = [True, 1, 1.0]
    for i, a in enumerate(variants):
        for j, b in enumerate(variants):
            assert (Categorical([a]) == Categorical([b])) is (i == j)
            assert (Space(x=Constant(a)) == Space(x=Constant(b))) is (i == j)
    assert Int(0, 1) != Float(0, 1)


class Counted(str):
    """A text that counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        Counted.compared += 1
        return str.__eq__(self, other)


def test_a_choice_is_found_without_looking_at_the_others():
    choices = [Counted(f"choice {i}") for i in range(2000)]
    domain = Categorical(["other"])
    object.__setattr__(domain, "choices", tuple(choices))
    object.__setattr__(domain, "_places", Categorical([str(c) for c in choices])._places)
    Counted.compared = 0
    assert [domain.index(c) for c in choices] == list(range(2000))
    assert Counted.compared <= 4000


def test_choices_that_are_equal_in_python_keep_their_kinds():
    domain = Categorical([0, "a", None, 2.5])
    assert [domain.index(v) for v in (0, 0.0, False, None, 2.5, [], {})] == [
        0,
        0,
        -1,
        2,
        3,
        -1,
        -1,
    ]


def test_an_error_names_the_first_of_many_choices():
    domain = Categorical([f"choice {i}" for i in range(5000)])
    with pytest.raises(InvalidParams, match=r"'choice 49'\] and 4950 more"):
        domain.validate("nowhere", "x")
