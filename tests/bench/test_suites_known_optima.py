"""The built-in suites whose optimum is known: trees, bbob and flat."""

import pickle

import numpy as np
import pytest

from tunekit.bench.suites import suite
from tunekit.bench.trees import jenatton
from tunekit.samplers.base import sample
from tunekit.spaces import Params

SEEDS = range(3)
SUITES = ("trees", "bbob", "flat")
PROBLEMS = {p.name: p for name in SUITES for seed in SEEDS for p in suite(name, seed=seed)}
problems = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
N_POINTS = 500


def points(problem, n=N_POINTS):
    rng = np.random.default_rng(7)
    return [sample(problem.space, rng) for _ in range(n)]


def n_switches(problem, point):
    switches = {c.parent for p in problem.space for c in p.conditions}
    return sum(path in switches for path in point)


@problems
def test_the_optimum_is_a_point_of_the_space_and_attained_exactly(problem):
    optimum = problem.space.validate(problem.evaluate.optimum)
    assert problem.evaluate(optimum) == problem.best_known


@problems
def test_no_random_point_lies_below_the_best_known(problem):
    values = [problem.evaluate(point) for point in points(problem)]
    assert min(values) > problem.best_known
    assert np.ptp(values) > 0


@problems
def test_a_step_away_from_the_optimum_costs_something(problem):
    optimum = problem.evaluate.optimum
    for path, value in optimum.items():
        domain = problem.space.by_path[path].domain
        near = domain.from_unit(min(domain.to_unit(value) + 0.02, 1.0))
        if isinstance(value, float) and near != value:
            assert problem.evaluate(Params(optimum | {path: near})) > problem.best_known


@problems
def test_the_default_is_valid_and_not_the_optimum(problem):
    default = problem.space.validate(problem.space.default())
    assert problem.evaluate(default) > problem.best_known


@problems
def test_an_evaluation_is_deterministic_and_survives_a_pickle(problem):
    copy = pickle.loads(pickle.dumps(problem))
    for point in points(problem, 20):
        assert problem.evaluate(point) == copy.evaluate(point)


@pytest.mark.parametrize("name", SUITES)
def test_the_same_seed_gives_the_same_problems_and_another_gives_others(name):
    first, again, other = suite(name, seed=1), suite(name, seed=1), suite(name, seed=2)
    assert [p.name for p in first] == [p.name for p in again]
    assert len(first) == len({p.name for p in first}) == 6
    for one, same in zip(first, again, strict=True):
        point = points(one, 1)[0]
        assert one.space == same.space
        assert one.evaluate(point) == same.evaluate(point)
    optima = [p.evaluate.optimum for p in first]
    assert all(p.evaluate.optimum not in optima for p in other)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_trees_have_more_than_ten_switches_active_at_their_optimum(seed):
    counts = [n_switches(p, p.evaluate.optimum) for p in suite("trees", seed=seed)]
    assert sum(n > 10 for n in counts) >= 2


@pytest.mark.parametrize("seed", SEEDS)
def test_forty_random_trials_stay_far_from_the_optimum_of_most_trees(seed):
    far = 0
    for problem in suite("trees", seed=seed):
        values = np.array([problem.evaluate(x) for x in points(problem, 800)]) - problem.best_known
        far += np.median(values.reshape(20, 40).min(axis=1)) > 0.3 * np.median(values)
    assert far >= 5


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mean_of_the_deceptive_tree_misleads_at_the_root(seed):
    problem = next(p for p in suite("trees", seed=seed) if "deceptive" in p.name)
    by_branch = {}
    for point in points(problem, 2000):
        by_branch.setdefault(point["go"], []).append(problem.evaluate(point))
    means = {branch: np.mean(values) for branch, values in by_branch.items()}
    assert max(means, key=means.get) == problem.evaluate.optimum["go"]


def test_the_tree_of_depth_two_is_jenattons_function_shifted():
    problem = jenatton.instance(np.random.default_rng(0), depth=2)
    best = problem.evaluate.optimum
    assert len(problem.space) == 3 + 2 + 4  # switches, shared r, leaves
    r, x = (next(path for path in best if path.endswith(end)) for end in (".r", ".x"))
    for dr, dx in ((0.05, 0.0), (0.0, 0.1), (0.05, -0.1)):
        point = Params(best | {r: best[r] + dr, x: best[x] + dx})
        # the published f = x^2 + 0.1 + r, with x and r counted from the optimum
        assert problem.evaluate(point) == pytest.approx(dx**2 + 0.1 + dr, abs=1e-9)


def test_the_leaves_of_jenattons_function_are_a_tenth_apart():
    problem = jenatton.instance(np.random.default_rng(0), depth=2)
    leaves = set()
    terms = problem.evaluate.terms
    for point in points(problem, 100):
        at_targets = {
            path: terms[path].domain.from_unit(terms[path].target)
            for path in point
            if not path.endswith("go")
        }
        leaves.add(round(problem.evaluate(Params(point | at_targets)), 9))
    assert leaves == {0.1, 0.2, 0.3, 0.4}


def test_rotated_rosenbrock_matches_scipy():
    from scipy.optimize import rosen

    from tunekit.bench.bbob import rosenbrock

    z = np.array([0.3, -1.2, 0.5])
    assert rosenbrock(z) == pytest.approx(rosen(z + 1.0))


def test_the_textbook_values_of_the_rugged_functions():
    from tunekit.bench.bbob import ackley, griewank, levy, rastrigin

    z = np.array([1.0, 1.0])
    assert rastrigin(z) == pytest.approx(2.0)
    assert ackley(z) == pytest.approx(20 + np.e - 20 * np.exp(-0.2) - np.exp(1.0))
    y = 20 * z
    assert griewank(z) == pytest.approx(1 + 0.2 - np.cos(y[0]) * np.cos(y[1] / np.sqrt(2)))
    w = 1 + z / 4
    textbook = np.sin(np.pi * w[0]) ** 2
    textbook += (w[0] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[0] + 1) ** 2)
    textbook += (w[1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[1]) ** 2)
    assert levy(z) == pytest.approx(textbook)
