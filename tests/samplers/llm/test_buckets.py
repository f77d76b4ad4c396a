"""The codec of configurations: every point survives buckets and text within a bucket."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tunekit as tk
from tunekit.errors import InvalidParams, UnknownParameter
from tunekit.samplers.llm.buckets import LABELS, BucketCodec
from tunekit.testing.spaces import random_point, spaces

KNOBS = tk.Space(
    {
        "shared_mb": tk.Int(16, 16384, log=True),
        "work_mb": tk.Int(1, 2048, log=True),
        "clients": tk.Int(4, 400),
        "wal_buffers": tk.Int(32, 262144, special=[-1], default=-1),
        "workers": tk.Int(0, 4),
        "jit": tk.Categorical({True: tk.Space(jit_cost=tk.Float(0, 1e6)), False: None}),
    },
    constraints=["shared_mb + work_mb * clients <= 16384"],
)


@settings(max_examples=300, deadline=None)
@given(spaces(), st.integers(0, 2**32 - 1))
def test_every_valid_point_survives_buckets_and_text_within_a_bucket(space, seed):
    point = random_point(space, seed)
    assume(not space.violated(point))
    codec = BucketCodec(space)
    buckets = codec.encode(point)
    read = codec.decode(json.loads(json.dumps(buckets)))
    assert codec.encode(read.params) == buckets
    assert read.moved == read.filled == ()
    assert space.validate(read.params) == read.params
    listed = codec.schema()["properties"]
    assert all(bucket in listed[path]["enum"] for path, bucket in buckets.items())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_constrained_point_stays_valid_and_in_its_buckets(seed):
    point = random_point(KNOBS, seed)
    assume(not KNOBS.violated(point))
    codec = BucketCodec(KNOBS)
    read = codec.decode(codec.encode(point))
    assert not KNOBS.violated(read.params)
    same = [p for p, b in codec.encode(point).items() if codec.encode(read.params)[p] == b]
    assert set(read.moved) == set(read.params) - set(same)
    assert len(read.moved) <= 1  # the points of a cell may be too few to be found


def test_all_ten_parts_are_read_and_none_forgets_the_lower_bound():
    codec = BucketCodec(tk.Space(x=tk.Float(100.0, 200.0), y=tk.Int(1, 10**6, log=True)))
    found = [codec.decode({"x": b, "y": b}).params for b in LABELS]
    assert [p["x"] for p in found] == [105.0 + 10 * i for i in range(10)]
    assert [p["y"] for p in found] == [2, 8, 32, 126, 501, 1995, 7943, 31623, 125893, 501187]


def test_special_values_choices_and_few_values_stand_for_themselves():
    codec = BucketCodec(KNOBS)
    buckets = {"wal_buffers": -1, "workers": 3, "jit": False, "clients": "0-10%"}
    read = codec.decode(buckets)
    assert {k: read.params[k] for k in ("wal_buffers", "workers", "jit")} == {
        "wal_buffers": -1, "workers": 3, "jit": False,
    }  # fmt: skip
    assert set(read.filled) == {"shared_mb", "work_mb"}
    assert "jit_cost" not in str(read.params)


def test_a_point_that_breaks_a_constraint_is_moved_and_says_where():
    codec = BucketCodec(KNOBS)
    read = codec.decode({"shared_mb": "90-100%", "work_mb": "90-100%", "clients": "90-100%"})
    assert not KNOBS.violated(read.params)
    assert read.moved and set(read.moved) <= {"shared_mb", "work_mb", "clients"}


@pytest.mark.parametrize(
    ("buckets", "error", "said"),
    [
        ({"work_mb": "30-45%"}, InvalidParams, "expected one of 0-10%"),
        ({"work_mb": 64}, InvalidParams, "expected one of 0-10%"),
        ({"work_mb": True}, InvalidParams, "expected one of 0-10%"),
        ({"work_mb": ["0-10%"]}, InvalidParams, "expected one of 0-10%"),
        ({"work_mb": {}}, InvalidParams, "expected one of 0-10%"),
        ({"wal_buffers": -2}, InvalidParams, "or -1"),
        ({"workers": "0-10%"}, InvalidParams, "workers"),
        ({"jit": "maybe"}, InvalidParams, "jit"),
        ({"jit": False, "jit.True.jit_cost": "0-10%"}, InvalidParams, "is not active"),
        ({"fsync": False}, UnknownParameter, "fsync"),
    ],
)
def test_what_is_no_bucket_is_refused_in_a_sentence(buckets, error, said):
    with pytest.raises(error, match=said):
        BucketCodec(KNOBS).decode(buckets)
