"""Flat problems whose optimum lies at an edge and whose default lies on a plateau."""

import numpy as np
import pytest

from tunekit.bench.suites import suite
from tunekit.samplers.base import sample
from tunekit.spaces import Categorical, Int

SEEDS = range(3)
PLATEAU = 0.99
PROBLEMS = [p for seed in SEEDS for p in suite("flat", seed=seed)]
with_plateau = pytest.mark.parametrize(
    "problem", [p for p in PROBLEMS if "plateau" in p.name], ids=lambda p: p.name
)


def losses(problem, n=600):
    rng = np.random.default_rng(11)
    return np.array([problem.evaluate(sample(problem.space, rng)) for _ in range(n)])


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_two_or_more_numbers_are_best_at_an_end_of_their_range(problem):
    ends = 0
    for path, value in problem.evaluate.optimum.items():
        domain = problem.space.by_path[path].domain
        if not isinstance(domain, Categorical):
            ends += value in (domain.from_unit(0.0), domain.from_unit(1.0))
    assert ends >= 2


@with_plateau
def test_the_default_and_nine_tenths_of_the_space_share_one_plateau(problem):
    assert problem.evaluate(problem.space.default()) == pytest.approx(PLATEAU)
    on_it = np.isclose(losses(problem), PLATEAU, rtol=0, atol=1e-12)
    assert 0.9 < on_it.mean() < 0.99


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_the_default_is_worse_than_most_random_points(problem):
    assert problem.evaluate(problem.space.default()) >= np.median(losses(problem))


def test_the_mixed_spaces_hold_nine_numbers_integers_and_choices_without_branches():
    mixed = [p for p in PROBLEMS if "mixed" in p.name]
    assert len(mixed) == 2 * len(SEEDS)
    for problem in mixed:
        kinds = [type(p.domain) for p in problem.space]
        assert len(kinds) == 9 and kinds.count(Int) == 3 and kinds.count(Categorical) == 2
        assert not any(p.conditions for p in problem.space)


def test_seven_of_the_twelve_numbers_of_the_idle_problem_hardly_matter():
    (problem,) = [p for p in suite("flat", seed=4) if "idle" in p.name]
    costs = {}
    for path, value in problem.evaluate.optimum.items():
        away = 0.0 if value > 0.5 else 1.0
        moved = problem.space.validate({**problem.evaluate.optimum, path: away})
        costs[path] = problem.evaluate(moved) - problem.best_known
    ordered = sorted(costs, key=costs.__getitem__)
    assert set(ordered[:7]) == {f"x{i}" for i in range(5, 12)}
    assert costs[ordered[6]] < 0.2 * costs[ordered[7]]
