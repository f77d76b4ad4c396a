"""Several objectives: exact against BoTorch and draws, and better fronts than by chance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tunekit.bench.episode import SamplerProposer, play
from tunekit.bench.fronts import suite as front_suite
from tunekit.records import MetricConstraint, ObjectiveSpec, Outcome, TrialState
from tunekit.samplers.bayesian.chebyshev import ChebyshevImprovement, chebyshev
from tunekit.samplers.bayesian.fantasies import Drawn
from tunekit.samplers.bayesian.hypervolume_improvement import HypervolumeImprovement
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.samplers.random import RandomSampler
from tunekit.spaces import Categorical, Float, Space
from tunekit.testing.samplers import TREE, check, ended, random_trials, view_of
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.hypervolume import (
    hypervolume,
    open_boxes,
    reference_point,
)
from tunekit_surrogates.non_domination import layers, non_dominated
from tunekit_surrogates.tree_gp import fit

COUNTS = [2, 3, 4]


def processes(m, n_pending=0):
    rng = np.random.default_rng(m)
    x, pending = rng.random((15, 3)), rng.random((n_pending, 3))
    y = np.stack([np.sin(3 * (j + 1) * x @ rng.random(3)) for j in range(m)], axis=1)
    gps = [fit(BlockStructure.flat([0, 0, 0]), x, column) for column in y.T]
    drawn = [Drawn.of(gp, pending, np.random.default_rng(1), 4) for gp in gps]
    at_pending = np.stack([d.at_uncertain for d in drawn], axis=2)
    values = np.concatenate([np.broadcast_to(y, (len(at_pending), *y.shape)), at_pending], axis=1)
    return drawn, values, rng.random((40, 3))


@pytest.mark.parametrize("m", [*COUNTS, 5])
def test_the_hypervolume_is_that_of_botorch(m):
    torch = pytest.importorskip("torch")
    reference = pytest.importorskip("botorch.utils.multi_objective.hypervolume")
    y, end = np.random.default_rng(m).random((25, m)), np.full(m, 0.9)
    front = torch.tensor(-y[non_dominated(y)])
    expected = reference.Hypervolume(torch.tensor(-end)).compute(front)
    assert hypervolume(y, end) == pytest.approx(expected)


@pytest.mark.parametrize("m", COUNTS)
def test_open_boxes_cover_each_point_that_nothing_dominates_once(m):
    rng = np.random.default_rng(m)
    y, points = rng.random((20, m)), rng.random((500, m))
    lower, upper = open_boxes(y, np.ones(m))
    covered = np.all((points[:, None] >= lower) & (points[:, None] < upper), axis=2).sum(axis=1)
    dominated = np.any(np.all(y[None] <= points[:, None], axis=2), axis=1)
    assert np.array_equal(covered, np.where(dominated, 0, 1))


@pytest.mark.parametrize("m", COUNTS)
def test_the_expected_improvement_is_that_of_botorch(m):
    torch = pytest.importorskip("torch")
    analytic = pytest.importorskip("botorch.acquisition.multi_objective.analytic")
    parts = pytest.importorskip("botorch.utils.multi_objective.box_decompositions.non_dominated")
    testing = pytest.importorskip("botorch.utils.testing")
    drawn, values, x = processes(m)
    end = reference_point(values[0])
    found = [d.predict(x) for d in drawn]
    mean = -torch.tensor(np.stack([f[0][0] for f in found], axis=1))[:, None]
    var = torch.tensor(np.stack([f[1] for f in found], axis=1) ** 2)[:, None]
    model = testing.MockModel(testing.MockPosterior(mean=mean, variance=var))
    partition = parts.FastNondominatedPartitioning(torch.tensor(-end), Y=torch.tensor(-values[0]))
    expected = analytic.ExpectedHypervolumeImprovement(model, (-end).tolist(), partition)
    score = HypervolumeImprovement(drawn, values, end)(x)
    reference = expected(torch.tensor(x)[:, None]).numpy()
    seen = reference > 1e-9  # below, the differences of its numbers cancel
    assert seen.sum() > 5
    assert np.exp(score[seen]) == pytest.approx(reference[seen], rel=1e-3)


def test_the_expected_chebyshev_improvement_is_the_mean_over_draws():
    drawn, values, x = processes(5, n_pending=2)
    weights = np.array([0.3, 0.3, 0.2, 0.1, 0.1])
    best = chebyshev(values, weights).min(axis=1)
    score = ChebyshevImprovement(drawn, best, weights=weights, ideal=np.zeros(5))(x)
    top = [int(np.argmax(score))]
    normal = np.random.default_rng(0).standard_normal((20000, 5))
    found = [d.predict(x[top]) for d in drawn]
    gains = []
    for k, least in enumerate(best):
        mean = np.array([f[0][k, 0] for f in found])
        sd = np.array([f[1][0] for f in found])
        gains.append(np.maximum(least - chebyshev(mean + sd * normal, weights), 0).mean())
    # The sum that augments it counts with its mean.
    assert math.exp(score[top[0]]) == pytest.approx(np.mean(gains), rel=0.1)


@pytest.mark.parametrize("kind", ["volume", "mix"])
def test_gradients_are_those_of_differences(kind):
    drawn, values, x = processes(3, n_pending=2)
    if kind == "volume":
        score = HypervolumeImprovement(drawn, values, reference_point(values[0]))
    else:
        weights = np.array([0.5, 0.3, 0.2])
        best = chebyshev(values, weights).min(axis=1)
        score = ChebyshevImprovement(drawn, best, weights=weights, ideal=np.zeros(3))
    rows = x[np.argsort(-score(x))[:5]]
    value, gradient = score.climber(rows)(rows)
    assert value == pytest.approx(score(rows))
    step = 1e-5 * np.eye(3)
    numeric = np.stack([(score(rows + s) - score(rows - s)) / 2e-5 for s in step], axis=1)
    assert gradient == pytest.approx(numeric, rel=0.02, abs=0.02 * np.abs(numeric).max())


@pytest.mark.parametrize("far", [1e4, 1e8, 1e10])
def test_the_gradient_of_a_mix_is_finite_far_from_any_improvement(far):
    drawn, values, x = processes(3)
    weights = np.array([0.5, 0.3, 0.2])
    best = chebyshev(values, weights).min(axis=1) - far
    score = ChebyshevImprovement(drawn, best, weights=weights, ideal=np.zeros(3))
    value, gradient = score.climber(x[:5])(x[:5])
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()


def test_layers_peel_one_front_after_the_other():
    y = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 2.0], [0.0, 1.0]])
    assert layers(y).tolist() == [0, 0, 2, 3, 1]  # of equal points the first counts


def test_the_reference_point_moves_from_the_worst_of_all_points_to_that_of_a_filled_front():
    bad = np.array([[10.0, 10.0]])
    one = np.array([[0.0, 1.0]])
    assert reference_point(np.concatenate([one, bad])).tolist() == [10.0, 10.0]
    assert reference_point(np.array([[5.0, -5.0]])).tolist() == [5.1, -4.9]
    sizes = [2, 5, 9, 17, 30]
    fronts = [np.stack([np.linspace(0, 1, n), np.linspace(1, 0, n)], axis=1) for n in sizes]
    ends = np.array([reference_point(np.concatenate([f, bad]))[0] for f in fronts])
    assert np.all(np.diff(ends) <= 0)
    assert ends[0] > 8
    assert ends[-2:] == pytest.approx([1.1, 1.1])


TWO = (ObjectiveSpec("f"), ObjectiveSpec("g"))
BRANCHES = Space(
    kind=Categorical(
        {"a": Space(x=Float(0, 1), y=Float(0, 1)), "b": Space(z=Float(0, 1), u=Float(0, 1))}
    )
)


def fronts(params):
    """Return two losses at odds; branch a has the better front."""
    place, off = (
        (params["kind.a.x"], abs(params["kind.a.y"] - 0.7))
        if params["kind"] == "a"
        else (params["kind.b.z"], 0.3 + abs(params["kind.b.u"] - 0.2))
    )
    return {"f": place + off, "g": 1 - math.sqrt(place) + off}


def study(sampler, n, *, seed):
    trials = []
    for number in range(n):
        view = view_of(BRANCHES, trials, objectives=TWO, seed=seed)
        (proposal,) = sampler.suggest(view, [number])
        outcome = Outcome(TrialState.COMPLETE, metrics=fronts(proposal.params))
        trials.append(ended(number, proposal, outcome))
    return trials


def volume(trials):
    y = np.array([[t.metrics["f"], t.metrics["g"]] for t in trials])
    return hypervolume(y, np.array([1.2, 1.2]))


def test_the_front_of_a_tree_is_found_sooner_than_by_chance():
    for seed in (1, 2):
        model = volume(study(BayesianSampler(), 25, seed=seed))
        assert model > volume(study(RandomSampler(), 25, seed=seed))


def test_a_front_of_three_objectives_is_filled_between_its_ends():
    problem = next(p for p in front_suite() if p.name == "fronts/dtlz2_3-0")
    episode = play(problem, SamplerProposer(BayesianSampler()), n_trials=50)
    reached = -min(loss for loss in episode.losses if loss is not None) / problem.best_known
    assert reached > 0.4, "random search reaches 0.3, a search that stays at the ends 0.2"


def test_what_is_infeasible_does_not_count_in_the_front():
    trials = study(RandomSampler(), 12, seed=3)
    bound = (MetricConstraint("f", ">=", 0.4),)
    view = view_of(BRANCHES, trials, objectives=TWO, constraints=bound)
    points = [p.params for p in BayesianSampler().suggest(view, [20, 21, 22])]
    assert all(fronts(p)["f"] > 0.3 for p in points)


def test_six_objectives_take_a_mix_for_each_proposal():
    objectives = tuple(ObjectiveSpec(f"m{j}", "minimize") for j in range(6))
    trials = [
        ended(t.number, p, Outcome(TrialState.COMPLETE, metrics=_six(t.params)))
        for t in random_trials(TREE, 14)
        for p in [t]
    ]
    view = view_of(TREE, trials, objectives=objectives)
    proposals = BayesianSampler().suggest(view, [20, 21])
    check(view, [20, 21], proposals)
    assert "weighting" in proposals[0].reason
    assert proposals[0] == BayesianSampler().suggest(view, [20])[0]


def _six(params):
    size = sum(v / (1 + abs(v)) for v in params.values() if isinstance(v, int | float))
    return {f"m{j}": math.sin(size + j) for j in range(6)}
