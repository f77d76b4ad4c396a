"""Wraps a Gymnasium environment as a problem in which each trial tries one action.

Hardware and system simulators often ship as environments: the action is a configuration, and
`info` holds the measured metrics. In an episode of several steps, every step takes the same
action.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from tunekit.bench.gym_actions import action_of, space_of
from tunekit.bench.problem import EXPENSIVE, Problem
from tunekit.checks import is_whole
from tunekit.errors import InvalidArgument, MissingExtra, did_you_mean
from tunekit.records import Direction, MetricConstraint, ObjectiveSpec
from tunekit.spaces import Params

Source: TypeAlias = str | Callable[[], Any]
"""The id of a registered environment, or a function that makes one."""

REWARD = ObjectiveSpec("reward", "maximize")


MOST_STEPS = 100_000
"""Step limit for an episode without `steps=`; a longer episode counts as endless."""


@dataclass(frozen=True, slots=True)
class GymEpisode:
    """Resets an environment with a fixed seed and repeats one action until the episode ends.

    Each process makes the environment once and keeps it open.

    Attributes:
        steps: maximum number of steps; `None` runs to the end of the episode.
    """

    source: Source
    seed: int
    steps: int | None = None

    def __call__(self, params: Params) -> Mapping[str, float]:
        """Return `reward`, summed over the steps, and all numbers in the last step's `info`.

        Raises:
            InvalidArgument: the episode does not end.
        """
        env = _environment(self.source)
        env.reset(seed=self.seed)
        action, total = action_of(env.action_space, params), 0.0
        for _ in range(self.steps or MOST_STEPS):
            _, reward, terminated, truncated, info = env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        else:
            if self.steps is None:
                raise InvalidArgument(
                    f"gym: an episode of {_name(self.source)} did not end within {MOST_STEPS} "
                    "steps; give steps=1 if each step is one measurement, or wrap the "
                    "environment in gymnasium.wrappers.TimeLimit."
                )
        return {**_numbers(info), REWARD.metric: total}


def suite(
    seed: int = 0,
    *,
    env: Source | None = None,
    objectives: Mapping[str, Direction] | str | None = None,
    constraints: str | Sequence[str] = (),
    steps: int | None = None,
) -> list[Problem]:
    """Return a list with one problem, the environment.

    Args:
        seed: seed that every trial resets the environment with.
        env: id of a registered environment (`module:id` imports `module` first to register
            it), or a function without arguments that makes one.
        objectives: metric -> direction, for metrics in the last step's `info`; a single name is
            minimised. By default, maximise the reward.
        constraints: bounds on metrics in `info`, for example `"latency_ms <= 8"`; a list or a
            comma-separated text.
        steps: maximum steps per trial, all with the same action; `None` runs to the end of the
            episode. The reward is the sum over the steps.

    Raises:
        InvalidArgument: no environment given, an unknown one, unbounded actions, an endless
            episode, or a metric missing from `info`.
        MissingExtra: gymnasium is not installed.

    Reference: Krishnan et al. (2023), ArchGym: An Open-Source Gymnasium for Machine Learning
    Assisted Architecture Design, ISCA.
    """
    if env is None:
        raise InvalidArgument("gym: no environment given; give env=, a registered id.")
    if steps is not None and (not is_whole(steps) or steps < 1):
        raise InvalidArgument(
            f"gym: steps={steps!r}, expected a whole number of 1 or more, or None."
        )
    bounds = constraints.split(",") if isinstance(constraints, str) else constraints
    evaluate = GymEpisode(env, seed, steps)
    space = space_of(_environment(env).action_space)
    problem = Problem(
        f"gym/{_name(env)}",
        space,
        evaluate,
        objectives=_objectives(objectives),
        constraints=tuple(MetricConstraint.parse(text) for text in bounds),
        tags=EXPENSIVE,
    )
    _check_metrics(problem)
    return [problem]


def _name(source: Source) -> str:
    return source if isinstance(source, str) else getattr(source, "__name__", "environment")


def _objectives(given: Mapping[str, Direction] | str | None) -> tuple[ObjectiveSpec, ...]:
    if not given:
        return (REWARD,)
    if isinstance(given, str):
        return (ObjectiveSpec(given),)
    return tuple(ObjectiveSpec(metric, direction) for metric, direction in given.items())


def _check_metrics(problem: Problem) -> None:
    """Check the metric names against one step with the default action."""
    given = problem.evaluate(problem.space.default())
    assert isinstance(given, Mapping)
    wanted = [o.metric for o in problem.objectives] + [c.metric for c in problem.constraints]
    for metric in wanted:
        if metric not in given:
            raise InvalidArgument(
                f'{problem.name}: no metric "{metric}"{did_you_mean(metric, given)}; '
                f"a step returns {', '.join(given)}."
            )


def _numbers(info: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name, value in info.items():
        if isinstance(value, int | float | np.number | np.bool_) or np.shape(value) == (1,):
            found[str(name)] = float(np.asarray(value).item())
    return found


@lru_cache(maxsize=8)
def _environment(source: Source) -> Any:
    try:
        import gymnasium
    except ImportError:
        raise MissingExtra("bench", "A Gymnasium problem") from None
    if not isinstance(source, str):
        return source()
    try:
        return gymnasium.make(source, disable_env_checker=True)
    except ImportError as error:
        module = source.partition(":")[0]
        raise InvalidArgument(
            f'gym: cannot make the environment "{source}": {error}; install the module '
            f'"{module}", or start in the folder that contains it.'
        ) from None
    except gymnasium.error.Error as error:
        hint = did_you_mean(source, map(str, gymnasium.registry))
        raise InvalidArgument(
            f'gym: no environment "{source}"{hint}: {error}; import the package that registers '
            'it with "module:id".'
        ) from None
