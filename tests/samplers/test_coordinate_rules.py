"""Rules of a descent that cannot be right are refused, each in a sentence."""

from __future__ import annotations

import math

import pytest

import tunekit as tk
from tests.samplers.test_coordinate import FLAT
from tunekit.errors import InvalidArgument
from tunekit.samplers.coordinate.sampler import CoordinateSampler
from tunekit.testing.samplers import TREE, TWO, view_of


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"n_points": 1}, "n_points=1, expected a whole number of 2 or more"),
        ({"reach": 0}, "reach=0, expected a whole number of 1 or more"),
        ({"tolerance": -1.0}, "tolerance=-1.0, expected a finite number of 0 or more"),
        ({"tolerance": math.nan}, "tolerance=nan, expected a finite number"),
        ({"n_blocks": 2.5}, "n_blocks=2.5, expected a whole number"),
        ({"alpha": 0.0}, "alpha=0.0, expected a finite number above 0 and at most 0.5"),
        ({"values": {"lr": 0.1}}, "expected a mapping of parameter to a list of values"),
        ({"values": [1]}, "expected a mapping of parameter to a list of values"),
        ({"start": 3}, "start=3, expected a mapping"),
        ({"vary": [3]}, "expected texts"),
    ],
)
def test_options_that_cannot_be_right_are_refused(options, told):
    with pytest.raises(InvalidArgument, match=told):
        tk.study(space=FLAT, sampler="coordinate", sampler_options=options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"values": {"lrr": [0.1]}}, 'values: .*"lrr"'),
        ({"values": {"lr": [7.0]}}, 'values: parameter "lr": got 7.0'),
        ({"vary": ["depht"]}, "vary: "),
        ({"start": {"depth": 99}}, 'start: parameter "depth": got 99'),
    ],
)
def test_options_that_do_not_fit_the_space_say_so(options, told):
    with pytest.raises(InvalidArgument, match=told):
        CoordinateSampler(**options).suggest(view_of(FLAT), [0])


def test_several_objectives_and_unknown_rules_are_refused():
    with pytest.raises(InvalidArgument, match="one objective, but the study has 2"):
        CoordinateSampler().suggest(view_of(TREE, objectives=TWO), [0])
    study = tk.study(space=FLAT, objectives={"a": "minimize", "b": "minimize"})
    with pytest.raises(InvalidArgument, match="a certificate compares points by one objective"):
        study.certificate()
    with pytest.raises(InvalidArgument, match='unknown option "tol"'):
        tk.study(space=FLAT).certificate(tol=1)
