"""The encoder: points to rows and back, exactly, and rows that nobody encoded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import InvalidArgument
from tunekit.spaces import Categorical, Constant, Float, Int, Space, When
from tunekit.spaces.encode import Encoder
from tunekit.testing.spaces import random_point, spaces

SPACE = Space(
    lr=Float(1e-4, 1, log=True, default=0.1),
    model=Categorical({"svm": Space(C=Float(0, 1)), "rf": None}),
    size=Categorical(["s", "m", "l"], ordered=True),
    fixed=3,
    n=Int(1, 4),
    when=When("n", [3, 4], Space(x=Float(-1, 1))),
)


@settings(max_examples=40, deadline=None)
@given(spaces(), st.integers(0, 2**32))
def test_points_come_back_exactly(space, seed):
    encoder = Encoder(space)
    points = [random_point(space, seed + i) for i in range(4)] + [space.default()]
    array = encoder.encode(points)
    assert array.shape == (5, len(encoder))
    assert array.dtype == np.float64
    assert np.nanmin(array, initial=0.0) >= 0.0
    assert np.nanmax(array, initial=1.0) <= 1.0
    for row, point in zip(array, points, strict=True):
        for column, u in zip(encoder.columns, row, strict=True):
            assert np.isnan(u) == (column.path not in point)
    back = encoder.decode(array)
    assert back == points
    assert [[type(v) for v in p.values()] for p in back] == [
        [type(v) for v in p.values()] for p in points
    ]


@settings(max_examples=40, deadline=None)
@given(spaces(), st.data())
def test_any_row_decodes_to_a_point_of_the_tree(space, data):
    encoder = Encoder(space)
    value = st.just(np.nan) | st.floats(0, 1) | st.sampled_from([-1.0, 2.0, np.inf, -np.inf])
    row = data.draw(st.lists(value, min_size=len(encoder), max_size=len(encoder)))
    (point,) = encoder.decode(np.array([row]).reshape(1, len(encoder)))
    if not space.violated(point):
        assert space.validate(point) == point


@settings(max_examples=40, deadline=None)
@given(spaces(), st.integers(0, 2**32))
def test_columns_agree_with_the_domains_one_by_one(space, seed):
    encoder = Encoder(space)
    point = random_point(space, seed)
    for column, u in zip(encoder.columns, encoder.encode([point])[0], strict=True):
        if column.path in point:
            expected = space.by_path[column.path].domain.to_unit(point[column.path])
            assert u == pytest.approx(expected, abs=1e-12)


def test_columns_say_what_they_hold():
    kinds = {c.path: (c.kind, c.size) for c in Encoder(SPACE).columns}
    assert kinds == {
        "lr": ("float", np.inf), "model": ("categorical", 2), "model.svm.C": ("float", np.inf),
        "size": ("ordered", 3), "n": ("int", 4), "x": ("float", np.inf),
    }  # fmt: skip
    encoder = Encoder(SPACE)
    assert encoder.index("C") == 2
    with pytest.raises(InvalidArgument, match="constant"):
        encoder.index("fixed")


def test_active_nan_is_the_default_and_inactive_values_are_ignored():
    (point,) = Encoder(SPACE).decode(np.array([[np.nan, 0.9, 0.3, np.nan, 0.0, 0.7]]))
    assert point == {"lr": 0.1, "model": "rf", "size": "s", "fixed": 3, "n": 1}


def test_a_row_of_another_length_is_refused():
    with pytest.raises(InvalidArgument, match=r"\(2, 3\)"):
        Encoder(SPACE).decode(np.zeros((2, 3)))
    with pytest.raises(InvalidArgument, match=r"\(6,\)"):
        Encoder(SPACE).decode(np.zeros(6))


def test_no_points_and_no_columns():
    assert Encoder(SPACE).encode([]).shape == (0, 6)
    assert Encoder(SPACE).decode(np.empty((0, 6))) == []
    assert Encoder(Space(a=Constant(1))).decode(np.empty((2, 0))) == [{"a": 1}, {"a": 1}]
