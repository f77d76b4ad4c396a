"""Gymnasium environments as problems."""

import numpy as np
import pytest

from tunekit.bench.gym_actions import action_of, space_of
from tunekit.bench.suites import suite
from tunekit.cli.bench_problems import Named
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


class Cruise(gymnasium.Env):
    """Four steps of equal reward; without an end where the throttle is 2."""

    action_space = spaces.Discrete(3)
    observation_space = spaces.Box(0.0, 1.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.n = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.n += 1
        over = self.n >= 4 and action != 2
        return np.zeros(1, np.float32), float(action), over, False, {"n_steps": self.n}


def test_an_episode_is_run_to_its_end_with_the_same_action():
    (problem,) = suite("gym", env=Cruise)
    assert problem.evaluate(Params(action=1)) == {"reward": 4.0, "n_steps": 4.0}
    assert problem.evaluate(Params(action=1)) == {"reward": 4.0, "n_steps": 4.0}


def test_steps_bound_an_episode_and_one_without_an_end_is_refused(monkeypatch):
    (problem,) = suite("gym", env=Cruise, steps=1)
    assert problem.evaluate(Params(action=2)) == {"reward": 2.0, "n_steps": 1.0}
    monkeypatch.setattr("tunekit.bench.gym.MOST_STEPS", 50)
    (endless,) = suite("gym", env=Cruise)
    with pytest.raises(InvalidArgument, match="did not end within 50 steps; give steps=1"):
        endless.evaluate(Params(action=2))
    with pytest.raises(InvalidArgument, match="steps=0"):
        suite("gym", env=Cruise, steps=0)


def test_the_module_that_registers_an_environment_is_named_before_its_id(tmp_path, monkeypatch):
    (tmp_path / "my_cars.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('MyCar-v0', entry_point='gymnasium.envs.classic_control:CartPoleEnv',"
        " max_episode_steps=3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (problem,) = suite("gym:my_cars:MyCar-v0")
    assert problem.name == "gym/my_cars:MyCar-v0"
    assert problem.evaluate(Params(action=1))["reward"] == 3.0
    with pytest.raises(InvalidArgument, match=r'did you mean.*MyCar-v0.*"module:id"'):
        suite("gym:my_cars:MyCr-v0")
    with pytest.raises(InvalidArgument, match="no_such_module"):
        suite("gym:no_such_module:MyCar-v0")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("gym:CartPole-v1", {"env": "CartPole-v1"}),
        ("gym:my.cars:My/Car-v0", {"env": "my.cars:My/Car-v0"}),
        (
            "gym:my.cars:Car-v0:steps=2,objectives=x",
            {"env": "my.cars:Car-v0", "steps": 2, "objectives": "x"},
        ),
        ("gym:env=CartPole-v1", {"env": "CartPole-v1"}),
    ],
)
def test_the_command_line_names_an_environment_in_the_same_words(text, options, tmp_path):
    (source,) = Named([text], [], [0], str(tmp_path))._of_seed(0)
    assert (source.name, dict(source.options)) == ("gym", options)


def test_a_registered_environment_is_found_by_its_id():
    (problem,) = suite("gym:CartPole-v1")
    assert problem.name == "gym/CartPole-v1"
    # Pushed to one side all the time the pole falls within some ten steps.
    assert 5 < problem.evaluate(Params(action=1))["reward"] < 20
    with pytest.raises(InvalidArgument, match='no environment "CartPol-v1"'):
        suite("gym:CartPol-v1")


def test_unbounded_actions_and_unknown_kinds_are_refused():
    with pytest.raises(InvalidArgument, match="expected finite bounds"):
        space_of(spaces.Box(-np.inf, np.inf, (1,)))
    with pytest.raises(InvalidArgument, match="unsupported action space"):
        space_of(spaces.Text(3))
    with pytest.raises(InvalidArgument, match='the same name, "a_0"'):
        space_of(spaces.Dict({"a": spaces.MultiBinary(1), "a_0": spaces.Discrete(2)}))
    with pytest.raises(InvalidArgument, match="no environment given; give env="):
        suite("gym")
