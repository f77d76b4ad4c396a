"""Points that were measured or are about to be are not proposed again."""

from __future__ import annotations

from dataclasses import replace

import pytest

import tunekit as tk
from tunekit.noise.replicates import key_of
from tunekit.records import TrialState
from tunekit.samplers.base import sample
from tunekit.samplers.duplicates import Taken, distinct, taken
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Params
from tunekit.testing.samplers import TREE, random_trials, view_of

SMALL = tk.Space(
    model=tk.Categorical({"a": tk.Space(n=tk.Int(1, 3)), "b": None}),
    flag=bool,
    constraints=["not (flag and model == 'b')"],
)
"""Seven points: three with `a`, times two, and `b` without the flag."""


def free(view, number, wish, keys):
    return distinct(view, number, wishes=[wish], not_these=keys)


def test_a_wish_that_is_free_is_granted_as_it_is():
    view = view_of(TREE)
    first, second = sample(TREE, stream(1, 1)), sample(TREE, stream(1, 2))
    assert distinct(view, 0, wishes=[first, second], not_these=set()) is first
    assert distinct(view, 0, wishes=[first, second], not_these={key_of(first)}) is second


def test_every_point_of_a_discrete_space_is_found_once_and_then_none():
    view, keys = view_of(SMALL), set()
    wish = SMALL.validate({"model": "b", "flag": False})
    for number in range(7):
        point = free(view, number, wish, keys)
        assert not SMALL.violated(point) and key_of(point) not in keys
        keys.add(key_of(SMALL.validate(point)))
    assert free(view, 7, wish, keys) is None


def test_what_is_fixed_is_kept_while_there_is_a_free_point_with_it():
    fixed = {number: Params({"model.a.n": 2}) for number in range(3)}
    view, keys = view_of(SMALL, fixed=fixed), set()
    wish = SMALL.validate({"model": "a", "model.a.n": 2, "flag": False})
    for number in range(2):
        point = free(view, number, wish, keys)
        assert point["model.a.n"] == 2
        keys.add(key_of(point))
    assert free(view, 2, wish, keys) is None


def test_a_continuous_space_always_has_another_point():
    space = tk.Space(x=tk.Float(0, 1))
    wish = space.validate({"x": 0.5})
    assert free(view_of(space), 3, wish, {key_of(wish)}) != wish


def test_running_trials_take_their_point_and_lost_ones_give_it_back():
    trials = random_trials(TREE, 4)
    trials[1] = replace(trials[1], state=TrialState.RUNNING)
    trials[2] = replace(trials[2], state=TrialState.LOST)
    trials[3] = replace(trials[3], state=TrialState.FAILED)
    assert taken(trials) == {key_of(trials[k].params) for k in (0, 1, 3)}


def test_kept_keys_follow_the_history():
    keys, trials = Taken(), random_trials(TREE, 6)
    view = view_of(TREE, trials[:3])
    assert keys(view) == taken(trials[:3])
    view.history.update(trials, 6)
    assert keys(view) == taken(trials)
    assert keys(view_of(TREE, trials[:2])) == taken(trials[:2])


@pytest.mark.parametrize("a, b", [({"x": 1}, {"x": True}), ({"x": "1"}, {"x": 1})])
def test_equal_is_only_what_is_equal_and_of_one_kind(a, b):
    assert key_of(a) != key_of(b)
    assert key_of({"x": 1, "y": 2}) == key_of({"y": 2, "x": 1})
