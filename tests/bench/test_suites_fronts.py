"""Problems with several objectives: their fronts, and runs scored by hypervolume."""

import math

import numpy as np
import pytest

from tunekit.bench import fronts
from tunekit.bench.contenders import Contender
from tunekit.bench.episode import SamplerProposer, play
from tunekit.bench.growing_front import GrowingFront, front_scale
from tunekit.bench.problem import Problem
from tunekit.bench.regret import normalised
from tunekit.bench.runner import ComparisonPlan, run
from tunekit.bench.sources import SuiteSource
from tunekit.bench.standings import Standings
from tunekit.bench.suites import suite
from tunekit.errors import InvalidArgument
from tunekit.records import MetricConstraint, ObjectiveSpec
from tunekit.registry import make
from tunekit.spaces import Float, Params, Space

PROBLEMS = {p.name.removeprefix("fronts/"): p for p in suite("fronts")}
T = np.linspace(0.0, 1.0, 200_001)
TWO = ObjectiveSpec("a"), ObjectiveSpec("b")


def area(front, reference):
    """Return the area that a fine two-dimensional front dominates, by a sweep."""
    front = front[(front < np.asarray(reference)).all(axis=1)]
    front = front[np.lexsort((front[:, 1], front[:, 0]))]
    lowest = np.minimum.accumulate(front[:, 1])
    front = front[np.r_[True, front[1:, 1] < lowest[:-1]]]
    widths = np.r_[front[1:, 0], reference[0]] - front[:, 0]
    return float(widths @ (reference[1] - front[:, 1]))


def arc():
    return np.stack([np.cos(T * np.pi / 2), np.sin(T * np.pi / 2)], axis=1)


def balls():
    """Return the parts of the arc within the balls of C2-DTLZ2."""
    centres = np.array([[1.0, 0.0], [0.0, 1.0], [0.5**0.5, 0.5**0.5]])
    near = (((arc()[:, None] - centres) ** 2).sum(axis=2) <= fronts.RADIUS**2).any(axis=1)
    return arc()[near]


def of_lines(function, *lines):
    """Return the losses of two numbers along lines that hold the published front."""
    points = np.concatenate([np.stack(np.broadcast_arrays(a, b), axis=1) for a, b in lines])
    values = np.array([function(point) for point in points])
    return values[(values[:, 2:] <= 1e-9).all(axis=1), :2]


FINE = {
    "zdt1-0": lambda: np.stack([T, 1 - np.sqrt(T)], axis=1),
    "zdt2-0": lambda: np.stack([T, 1 - T**2], axis=1),
    "zdt3-0": lambda: np.stack([T, 1 - np.sqrt(T) - T * np.sin(10 * np.pi * T)], axis=1),
    "dtlz2-0": arc,
    "c2_dtlz2-0": balls,
    "bnh-0": lambda: of_lines(
        fronts.bnh, (3 * T[::40], 3 * T[::40]), (3 + 2 * T[::40], np.array(3.0))
    ),
    # a vertical line, the circle beyond its end, and the other bound before its start
    "srn-0": lambda: of_lines(
        fronts.srn,
        (np.array(-2.5), 2.5 + 12.3 * T[::40]),
        (-15 + 12.5 * T[::40], np.sqrt(np.maximum(225 - (-15 + 12.5 * T[::40]) ** 2, 0))),
        (-10 + 12 * T[::40], 12 * T[::40] / 3),
    ),
}


@pytest.mark.parametrize("name", FINE)
def test_the_best_hypervolume_is_that_of_the_published_front(name):
    problem = PROBLEMS[name]
    found = area(FINE[name](), problem.reference)
    assert found == pytest.approx(problem.best_known, rel=4e-4)
    assert found <= problem.best_known * (1 + 1e-6)


def test_the_best_hypervolume_of_three_objectives_is_the_cube_without_an_eighth_of_the_ball():
    assert PROBLEMS["dtlz2_3-0"].best_known == pytest.approx(1.1**3 - math.pi / 6)
    front = [fronts.dtlz2(np.array([a, b, *[0.5] * 4]), 3) for a in T[::5000] for b in T[::5000]]
    assert np.allclose((np.array(front) ** 2).sum(axis=1), 1.0)


@pytest.mark.parametrize("m", [4, 5])
def test_more_objectives_leave_an_orthant_of_the_ball_out_of_the_cube(m):
    (problem,) = suite("fronts", n_objectives=m)
    assert (len(problem.objectives), len(problem.space)) == (m, m + 4)
    rng = np.random.default_rng(0)
    inside = np.linalg.norm(1.1 * rng.random((200_000, m)), axis=1) < 1.0
    assert problem.best_known == pytest.approx(1.1**m * (1 - inside.mean()), rel=0.01)
    at_best = np.where(np.arange(m + 4) < m - 1, rng.random(m + 4), 0.5 - problem.evaluate.shift)
    losses = problem.evaluate(Params({f"x{i}": v for i, v in enumerate(at_best)}))
    assert sum(v**2 for v in losses.values()) == pytest.approx(1.0)
    with pytest.raises(InvalidArgument, match="expected 4 or 5"):
        suite("fronts", n_objectives=3)


def test_the_functions_equal_those_of_botorch():
    torch = pytest.importorskip("torch")
    peers = pytest.importorskip("botorch.test_functions.multi_objective")
    x = np.random.default_rng(0).random((20, 6))
    for own, peer in (
        (fronts.zdt1, peers.ZDT1(dim=6)),
        (fronts.zdt2, peers.ZDT2(dim=6)),
        (fronts.dtlz2, peers.DTLZ2(dim=6, num_objectives=2)),
        (fronts.dtlz2_of_three, peers.DTLZ2(dim=6, num_objectives=3)),
    ):
        assert np.allclose([own(row) for row in x], peer.evaluate_true(torch.tensor(x)).numpy())


def test_the_feasible_set_of_c2_dtlz2_has_three_pieces_on_its_front():
    feasible = [fronts.c2_dtlz2(np.array([t, *[0.5] * 5]))[2] <= 0 for t in T[::200]]
    assert np.abs(np.diff(np.array(feasible, dtype=int))).sum() == 4  # in, out, in, out, in


@pytest.mark.parametrize("seed", range(3))
def test_the_seed_moves_the_front_and_the_default_and_keeps_the_best(seed):
    for problem in suite("fronts", seed=seed):
        assert problem.best_known == PROBLEMS[problem.name[7:-2] + "-0"].best_known
        metrics = problem.evaluate(problem.space.default())
        assert {o.metric for o in problem.objectives} <= metrics.keys()
    ends = [tuple(p.evaluate.flipped) for p in suite("fronts", seed=seed)[:3]]
    assert len(set(ends)) > 1


def test_the_hypervolume_of_a_growing_front_only_grows_and_ignores_what_is_dominated():
    front = GrowingFront((2.0, 2.0))
    points = [(3.0, 0.0), (1.0, 1.0), (1.5, 1.5), (0.0, 1.5), (0.5, 0.5)]
    # outside, a square, dominated, a strip beside it, a point that dominates the square
    assert [front.add(point) for point in points] == pytest.approx([0.0, 1.0, 1.0, 1.5, 2.5])


def points(x):
    space = Space(x=Float(0.0, 1.0))
    return Problem(
        "toy/two",
        space,
        lambda params: {"a": params["x"], "b": 1.0 - params["x"], "g": params["x"] - 0.9},
        objectives=TWO,
        constraints=(MetricConstraint("g", "<=", 0.0),),
        **x,
    )


def test_a_run_is_scored_by_the_hypervolume_so_far_and_infeasible_trials_add_nothing():
    problem = points({"reference": (1.0, 1.0)})
    proposer = SamplerProposer(make("sampler", "random"))
    episode = play(problem, proposer, n_trials=40, seed=1, keep_params=True)
    front, expected = GrowingFront((1.0, 1.0)), []
    for params in episode.params:
        x = params["x"]
        expected.append(None if x > 0.9 else -front.add((x, 1.0 - x)))
    assert None in expected and episode.losses == episode.exact == expected


def test_several_objectives_without_a_reference_point_are_refused():
    with pytest.raises(InvalidArgument, match=r"give reference= with 2 losses"):
        play(points({}), SamplerProposer(make("sampler", "random")), n_trials=1)


def test_regret_is_1_at_the_median_of_random_fronts_and_0_at_the_best_hypervolume():
    pool = np.array([[0.5, 0.5], [0.2, 0.8], [np.nan, np.nan]])
    scale = front_scale(pool, (1.0, 1.0), n_trials=1, best_known=0.5)
    assert (scale.n_points, scale.n_failed, scale.best) == (3, 1, -0.5)
    assert scale.medians == (pytest.approx(-0.16),)  # of 0.25, 0.16 and nothing
    assert normalised([-0.5], scale) == pytest.approx([0.0])
    assert normalised([-0.16], scale) == pytest.approx([1.0])
    assert front_scale(pool, (1.0, 1.0), n_trials=1).best == pytest.approx(-0.31)
    with pytest.raises(InvalidArgument, match="dominates the reference point"):
        front_scale(pool, (0.1, 0.1), n_trials=1)


def test_a_comparison_gives_shares_of_the_best_hypervolume_for_samplers_and_peers(tmp_path):
    pytest.importorskip("optuna")
    source = SuiteSource("fronts")
    kept = [Contender("sampler", "random"), Contender("peer", "optuna-nsgaii")]
    plan = ComparisonPlan((source,), tuple(kept), seeds=(0,), n_trials=8, n_pool=300)
    outcome = run(plan, tmp_path, jobs=0)
    assert not outcome.errors
    rows = Standings(outcome).table()
    assert len(rows) == 2 and all(0.0 < row["share"] < 1.0 for row in rows)
    scales = {name for (name, _), scale in outcome.scales.items() if scale.is_hypervolume}
    assert "fronts/bnh-0" in scales
    assert not run(plan, tmp_path, jobs=0).errors, "the pools are read again"


def test_a_peer_hears_all_losses_and_how_far_each_bound_is_broken():
    pytest.importorskip("optuna")
    from tunekit.bench.peers.base import Setting, make_peer

    problem = points({"reference": (1.0, 1.0)})
    setting = Setting(0, 6, objectives=TWO, constraints=problem.constraints)
    proposer = make_peer(Contender("peer", "optuna-tpe"), problem.space, setting)
    episode = play(problem, proposer, n_trials=12, keep_params=True)
    heard = proposer._peer._study.trials
    for params, trial in zip(episode.params, heard, strict=True):
        assert trial.values == pytest.approx([params["x"], 1.0 - params["x"]])
        (slack,) = trial.constraints.values()
        assert slack == pytest.approx(params["x"] - 0.9)


def test_a_peer_of_one_objective_is_refused_on_several():
    from tunekit.bench.peers.base import PEERS, PeerEntry, Setting, make_peer

    PEERS["deaf"] = PeerEntry("tests.bench.test_suites_fronts:Deaf", (), "deaf")
    try:
        with pytest.raises(InvalidArgument, match=r'"deaf" supports one objective.*has 2'):
            make_peer(
                Contender("peer", "deaf"), Space(x=Float(0, 1)), Setting(0, 1, objectives=TWO)
            )
    finally:
        del PEERS["deaf"]


class Deaf:
    def __init__(self, space, setting):
        pass

    def ask(self):
        return Params()

    def tell(self, params, loss):
        pass
