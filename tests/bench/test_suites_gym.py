"""Gymnasium environments as problems."""

import numpy as np
import pytest

from tunekit.bench.gym_actions import action_of, space_of
from tunekit.bench.suites import suite
from tunekit.errors import InvalidArgument
from tunekit.samplers.base import sample
from tunekit.spaces import Categorical, Float, Int, Params

gymnasium = pytest.importorskip("gymnasium")
spaces = gymnasium.spaces

ACTION = spaces.Dict(
    {
        "cache": spaces.Discrete(3, start=2),
        "clock": spaces.Box(0.5, 2.0, (2,), np.float32),
        "lanes": spaces.MultiDiscrete([4, 2]),
        "flags": spaces.MultiBinary(2),
        "pair": spaces.Tuple((spaces.Box(1, 8, (), np.int64), spaces.Discrete(2))),
    }
)


class Chip(gymnasium.Env):
    """A simulator whose latency falls with the clock and whose power grows with it."""

    action_space = ACTION
    observation_space = spaces.Box(0.0, 1.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action)
        drift = self.np_random.random()  # the same in every trial, for the seed is fixed
        info = {
            "latency_ms": np.float32(8.0 / action["clock"].sum() + drift),
            "power": np.array([float(action["clock"].sum() ** 2)]),
            "label": "not a number",
        }
        return np.zeros(1, np.float32), -float(action["cache"]), True, False, info


def test_every_kind_of_action_space_has_its_parameters():
    space = space_of(ACTION)
    domains = {p.path: p.domain for p in space}
    assert domains["cache"] == Categorical([2, 3, 4])
    assert domains["clock_0"] == Float(0.5, 2.0)
    assert domains["lanes_1"] == Int(0, 1)
    assert domains["flags_0"] == Categorical([False, True])
    assert domains["pair_0"] == Int(1, 8)
    assert domains["pair_1"] == Categorical([0, 1])
    assert len(space) == 9


@pytest.mark.parametrize(
    "action_space",
    [
        ACTION,
        spaces.Discrete(4),
        spaces.Box(np.array([-1.0, 0.0]), np.array([1.0, 9.0]), dtype=np.float64),
        spaces.Box(0, 255, (2, 2), np.uint8),
        spaces.MultiDiscrete([3, 4], start=[1, -2]),
    ],
    ids=str,
)
def test_every_point_is_an_action_that_the_environment_takes(action_space):
    space = space_of(action_space)
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert action_space.contains(action_of(action_space, sample(space, rng)))


def test_the_reward_is_maximised_and_a_trial_repeats_exactly():
    (problem,) = suite("gym", seed=4, env=Chip)
    (objective,) = problem.objectives
    assert (objective.metric, objective.direction) == ("reward", "maximize")
    point = problem.space.complete({"cache": 3})
    first = problem.evaluate(point)
    assert first["reward"] == -3.0
    assert first == problem.evaluate(point)
    assert first.keys() == {"reward", "latency_ms", "power"}


def test_metrics_of_the_info_are_objectives_and_constraints():
    (problem,) = suite("gym", env=Chip, objectives="latency_ms", constraints="power <= 4")
    assert problem.objectives[0].direction == "minimize"
    slow = problem.evaluate(problem.space.complete({"clock_0": 0.5, "clock_1": 0.5}))
    fast = problem.evaluate(problem.space.complete({"clock_0": 2.0, "clock_1": 2.0}))
    assert fast["latency_ms"] < slow["latency_ms"]
    assert problem.constraints[0].violation(fast) == pytest.approx(12.0)
    assert problem.constraints[0].violation(slow) == 0.0


def test_a_metric_that_no_step_gives_is_refused():
    with pytest.raises(InvalidArgument, match=r'no metric "latency" \(did you mean "latency_ms"'):
        suite("gym", env=Chip, objectives={"latency": "minimize"})


def test_a_registered_environment_is_found_by_its_id():
    (problem,) = suite("gym:CartPole-v1")
    assert problem.name == "gym/CartPole-v1"
    assert problem.evaluate(Params(action=1))["reward"] == 1.0
    with pytest.raises(InvalidArgument, match='no environment "CartPol-v1"'):
        suite("gym:CartPol-v1")


def test_unbounded_actions_and_unknown_kinds_are_refused():
    with pytest.raises(InvalidArgument, match="give it bounds"):
        space_of(spaces.Box(-np.inf, np.inf, (1,)))
    with pytest.raises(InvalidArgument, match="has no counterpart"):
        space_of(spaces.Text(3))
    with pytest.raises(InvalidArgument, match='both named "a_0"'):
        space_of(spaces.Dict({"a": spaces.MultiBinary(1), "a_0": spaces.Discrete(2)}))
    with pytest.raises(InvalidArgument, match="no environment; give env="):
        suite("gym")
