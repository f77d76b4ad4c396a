"""Versions of a space: differences, widening, narrowing, and which old trials still fit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import InvalidArgument, InvalidParams, InvalidSpace, UnknownParameter
from tunekit.spaces import Categorical, Float, Int, Repeat, Space, When
from tunekit.spaces.versions import diff, fitted, is_widening, narrow, widen
from tunekit.testing.spaces import random_point, spaces

SPACE = Space(
    lr=Float(0.01, 1, default=0.5),
    model=Categorical({"svm": Space(C=Float(0, 1)), ("a", "b"): Space(n=Int(1, 5)), "no": None}),
    layers=Repeat(1, 2, Space(units=Int(1, 8))),
    when=When("model", ["svm", "no"], Space(k=Int(1, 2)), also={"layers": [1]}),
    constraints="lr < 0.9",
)


@settings(max_examples=40, deadline=None)
@given(spaces())
def test_a_space_does_not_differ_from_itself(space):
    assert diff(space, space) == []
    assert is_widening(space, space)


@settings(max_examples=40, deadline=None)
@given(spaces(), spaces(), st.integers(0, 2**32))
def test_a_widening_keeps_every_old_point(old, new, seed):
    if is_widening(old, new):
        point = random_point(old, seed)
        if not old.violated(point):
            assert fitted(point, new) is not None


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("lr", {"hi": 2}), ("lr", {"lo": 0}), ("model", {"choices": ["new"]}), ("C", {"hi": 3}),
        ("model", {"choices": {"new": Space(z=Float(0, 1))}}), ("layers", {"hi": 4}),
        ("layers.1.units", {"hi": 64}), ("n", {"lo": 0}), ("k", {"hi": 9}),
    ],
)  # fmt: skip
def test_after_widening_all_old_points_fit(path, change):
    new = widen(SPACE, path, **change)
    assert is_widening(SPACE, new)
    assert not is_widening(new, SPACE)
    assert new.constraints == SPACE.constraints
    for seed in range(50):
        assert fitted(SPACE.complete({"layers": 1 + seed % 2}), new) is not None
        point = random_point(SPACE, seed)
        if not SPACE.violated(point):
            kept = {path: fitted(point, new)[path] for path in point}
            # A wider range has a coarser resolution of its 12 digits.
            assert kept == {
                k: pytest.approx(v) if type(v) is float else v for k, v in point.items()
            }


@pytest.mark.parametrize(
    ("path", "change", "gone"),
    [
        ("lr", {"hi": 0.4}, {"lr": 0.5}),
        ("model", {"choices": ["svm", "no"]}, {"model": "b"}),
        ("model", {"choices": ["no"]}, {"model": "svm"}),
        ("layers", {"hi": 1}, {"layers": 2}),
        ("layers.0.units", {"lo": 4}, {"layers.0.units": 2}),
    ],
)
def test_after_narrowing_only_the_points_inside_fit(path, change, gone):
    new = narrow(SPACE, path, **change)
    assert not is_widening(SPACE, new)
    assert fitted(SPACE.complete(gone), new) is None
    assert new.default()["lr"] <= 0.5


def test_a_default_outside_a_narrowed_range_is_dropped():
    assert narrow(SPACE, "lr", hi=0.4).by_path["lr"].domain.default is None
    assert narrow(SPACE, "model", choices=["no"]).default()["model"] == "no"


def test_a_trial_that_lacks_a_new_parameter_takes_its_default():
    new = Space(lr=Float(0.01, 1), momentum=Float(0, 1, default=0.9))
    assert fitted({"lr": 0.1}, new) == {"lr": 0.1, "momentum": 0.9}
    assert fitted({"lr": 0.1, "old": 1}, new) is None
    assert fitted({"C": 0.1}, Space(m=Categorical({"x": Space(C=Float(0, 1))}))) is None


def test_the_differences_read_like_sentences():
    new = Space(
        lr=Float(0.1, 10, log=True),
        model=Categorical({"svm": None, "new": None, "no": None}),
        extra=Int(1, 3),
    )
    texts = [str(change) for change in diff(SPACE, new)]
    assert texts[:3] == [
        "lr: bounds [0.01, 1.0] -> [0.1, 10.0] (widening)",
        "lr: bounds [0.01, 1.0] -> [0.1, 10.0] (narrowing)",
        "lr: log False -> True (neutral)",
    ]
    assert "model: choices ['new'] added (widening)" in texts
    assert "model: choices ['a', 'b'] removed (narrowing)" in texts
    assert "model.svm.C: removed (narrowing)" in texts
    assert "extra: added, old trials take 2 (widening)" in texts
    assert texts[-1] == "lr < 0.9: constraint removed (widening)"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (Int(0, 8), Int(0, 8, step=2), False),
        (Int(0, 8, step=4), Int(0, 8, step=2), True),
        (Int(0, 8, step=2), Int(-1, 8, step=2), False),
        (Int(0, 8, step=2), Int(-2, 8, step=2), True),
        (Float(0, 1), Float(0, 1, step=0.5), False),
        (Float(0, 1, step=0.5), Float(0, 1), True),
        (Int(0, 8, special=-1), Int(0, 8), False),
        (Int(0, 8), Int(0, 8, special=-1), True),
        (Int(0, 1), Float(0, 1), False),
        (Categorical([1]), Categorical([True]), False),
        (Categorical([1, 2]), Categorical([2, 1]), True),
    ],
)
def test_what_widens_a_domain(old, new, expected):
    assert is_widening(Space(x=old), Space(x=new)) is expected


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: widen(SPACE, "lrr", hi=2), UnknownParameter),
        (lambda: widen(SPACE, "lr", hi=0.5), InvalidSpace),
        (lambda: narrow(SPACE, "lr", hi=2), InvalidSpace),
        (lambda: widen(SPACE, "lr"), InvalidArgument),
        (lambda: widen(SPACE, "lr", choices=["a"]), InvalidSpace),
        (lambda: widen(SPACE, "model", hi=2), InvalidSpace),
        (lambda: widen(SPACE, "model", choices=["svm"]), InvalidSpace),
        (lambda: narrow(SPACE, "model", choices=["a", "no"]), InvalidSpace),
        (lambda: narrow(SPACE, "model", choices=["other"]), InvalidParams),
        (lambda: narrow(SPACE, "lr", lo=2), InvalidSpace),
    ],
)
def test_what_is_no_widening_or_narrowing_is_refused(call, error):
    with pytest.raises(error):
        call()
