"""One objective under constraints, with optima from the literature."""

import numpy as np
import pytest

from tunekit.bench import constrained
from tunekit.bench.suites import suite
from tunekit.samplers.base import sample

FAMILIES = dict(zip((p.name for p in suite("constrained")), constrained.FAMILIES, strict=True))
PROBLEMS = {p.name: p for p in suite("constrained")}


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_published_optimum_is_feasible_and_has_the_best_known_loss(name):
    family = FAMILIES[name]
    loss, *bounds = family.function(np.array(family.optimum))
    # The papers give four to seven digits of the optimum, which lies on its bounds.
    assert loss == pytest.approx(family.best, rel=3e-5, abs=1e-9)
    assert max(bounds) < 1e-5


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_feasible_random_point_lies_below_the_best_known(name):
    problem, rng = PROBLEMS[name], np.random.default_rng(5)
    found = [problem.evaluate(sample(problem.space, rng)) for _ in range(3000)]
    feasible = [m["loss"] for m in found if not any(c.violation(m) for c in problem.constraints)]
    assert 0 < len(feasible) < 3000
    assert min(feasible) > problem.best_known


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_start_near_the_optimum_does_not_end_below_it(name):
    from scipy.optimize import NonlinearConstraint, minimize

    family = FAMILIES[name]
    bounds = NonlinearConstraint(lambda x: family.function(x)[1:], -np.inf, 0.0)
    found = minimize(
        lambda x: family.function(x)[0],
        np.array(family.optimum) * 1.001,
        bounds=family.bounds,
        constraints=bounds,
        method="SLSQP",
    )
    if max(family.function(found.x)[1:]) <= 1e-9:
        assert found.fun >= family.best - 1e-4 * abs(family.best)


def test_each_island_is_feasible_alone_and_the_smallest_holds_the_best_point():
    gaps = np.sqrt(((constrained.CENTRES[:, None] - constrained.CENTRES) ** 2).sum(axis=2))
    reach = constrained.RADII[:, None] + constrained.RADII
    apart = ~np.eye(len(gaps), dtype=bool)
    assert (gaps > reach)[apart].all(), "two islands touch"
    assert int(np.argmin(constrained.RADII)) == int(np.argmin(constrained.DEPTHS)) == 3
    for centre, depth in zip(constrained.CENTRES, constrained.DEPTHS, strict=True):
        loss, bound = constrained.islands(centre)
        assert loss == pytest.approx(depth) and bound < 0
    between = constrained.CENTRES[0] + 0.55 * (constrained.CENTRES[1] - constrained.CENTRES[0])
    assert constrained.islands(between)[1] > 0


def test_the_beam_and_the_spring_equal_those_of_botorch():
    torch = pytest.importorskip("torch")
    peers = pytest.importorskip("botorch.test_functions.synthetic")
    rng = np.random.default_rng(0)
    # Its beam adds two bounds and lacks a factor in the buckling load, which the optimum reaches.
    for own, peer, order, units in (
        (constrained.welded_beam, peers.WeldedBeamSO(), [0, 1, 2, 4], [13_600, 30_000, 1, 0.25]),
        (constrained.spring, peers.TensionCompressionString(), [0, 1, 2, 3], [1, 1, 1, 1]),
    ):
        x = rng.uniform(0.3, 1.0, (10, peer.dim))
        values = np.array([own(row) for row in x])
        losses = peer.evaluate_true(torch.tensor(x)).numpy()
        assert np.allclose(values[:, 0], losses, rtol=1e-4)
        slacks = peer.evaluate_slack_true(torch.tensor(x)).numpy()[:, order]
        assert np.allclose(values[:, 1:5] * units, -slacks, rtol=1e-6)


def test_the_seed_draws_the_default():
    first, second = (suite("constrained", seed=seed) for seed in (0, 1))
    defaults = [tuple(p.space.default().values()) for p in (*first, *second)]
    assert len(set(defaults)) == 12
