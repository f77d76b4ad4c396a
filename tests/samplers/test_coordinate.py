"""Coordinate descent: one parameter at a time, until the certificate holds."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import tunekit as tk
from tunekit.driver.run_settings import Goal
from tunekit.driver.trial_budget import TrialBudget
from tunekit.errors import NoPointYet, SpaceExhausted
from tunekit.history import History
from tunekit.records import ObjectiveSpec, Outcome, Proposal, TrialRecord, TrialState
from tunekit.samplers.coordinate.certificate import certificate_of
from tunekit.samplers.coordinate.rules import CoordinateRules
from tunekit.samplers.coordinate.sampler import CoordinateSampler
from tunekit.testing.samplers import TREE, SamplerConformance, ended, run, view_of

FLAT = tk.Space(
    lr=tk.Float(1e-4, 1, log=True),
    depth=tk.Int(1, 8),
    kind=["a", "b", "c"],
    cache=tk.Int(1, 100, special=(-1,)),
)
BRANCHES = tk.Space(
    model=tk.Categorical(
        {
            "plain": tk.Space(lr=tk.Float(1e-4, 1, log=True)),
            "deep": tk.Space(lr=tk.Float(1e-4, 1, log=True), momentum=tk.Float(0, 1)),
        }
    ),
    wd=tk.Float(0, 1),
)


class TestCoordinate(SamplerConformance):
    several_objectives = False

    @pytest.fixture
    def make_sampler(self):
        return CoordinateSampler


class TestCoordinateWithNoise(SamplerConformance):
    several_objectives = False

    @pytest.fixture
    def make_sampler(self):
        return partial(CoordinateSampler, n_blocks=3, n_points=3)


def flat_loss(params):
    kinds = {"a": 0.3, "b": 0.0, "c": 0.1}
    cache = 0.0 if params["cache"] == -1 else 0.2 + params["cache"] / 1000
    turned = (math.log10(params["lr"]) + 2 - 0.2 * params["depth"]) ** 2  # the two interact
    return turned + 0.05 * (params["depth"] - 6) ** 2 + kinds[params["kind"]] + cache


def branch_loss(params):
    loss = (params["wd"] - 0.75) ** 2
    if params["model"] == "plain":
        return loss + 0.1 * (math.log10(params["lr"]) + 1) ** 2 + 0.05
    return loss + 0.1 * (math.log10(params["lr"]) + 3) ** 2 + 0.1 * (params["momentum"] - 1) ** 2


def descended(loss, space, *, seed=1, n_trials=600, **options):
    study = tk.study(space=space, sampler="coordinate", sampler_options=options, seed=seed)
    ending = study.optimize(lambda trial: loss(trial.params), n_trials=n_trials)
    return study, ending


def failing(trial):
    if trial.params["kind"] == "b":
        raise ValueError("no such kind")
    return flat_loss(trial.params)


def shared_loss(trial):
    return flat_loss(trial.params)


def begun(number, point):
    return TrialRecord(
        number, TrialState.RUNNING, seq=number + 1, params=point, sampler="coordinate"
    )


def trials_of(space, losses, state=TrialState.COMPLETE):
    points = [(space.complete(params), loss) for params, loss in losses]
    return [
        ended(k, Proposal(point, "user"), Outcome(state, {"loss": loss}))
        for k, (point, loss) in enumerate(points)
    ]


def test_no_change_of_one_parameter_is_better_once_the_study_is_exhausted():
    study, ending = descended(flat_loss, FLAT)
    assert ending == "exhausted"
    best = dict(study.best_params)
    for path, levels in CoordinateRules().levels(FLAT).items():
        for value in levels:
            assert flat_loss({**best, path: value}) >= study.best_value
    found = study.certificate()
    assert found and found.params == study.best_params
    assert len(found.changes) == 4 + 4 + 2 + 5


def test_a_descent_needs_far_fewer_trials_than_the_grid_and_ends_as_deep():
    study, _ = descended(flat_loss, FLAT)
    grid = [
        flat_loss({"lr": lr, "depth": depth, "kind": kind, "cache": cache})
        for lr in CoordinateRules().levels(FLAT)["lr"]
        for depth in CoordinateRules().levels(FLAT)["depth"]
        for kind in "abc"
        for cache in CoordinateRules().levels(FLAT)["cache"]
    ]
    assert len(grid) == 450
    assert len(study.trials) < 50
    assert study.best_value <= sorted(grid)[5]


def test_a_branch_is_judged_by_its_own_best_values():
    # At its defaults the branch "deep" is worse than "plain" at its best; tuned it is better.
    study, ending = descended(branch_loss, BRANCHES)
    assert ending == "exhausted"
    assert study.best_params["model"] == "deep"
    assert branch_loss(study.best_params) == pytest.approx(0.0, abs=1e-9)
    switch = next(c for c in study.certificate().changes if c.path == "model")
    assert (switch.after, switch.verdict, switch.inside) == ("plain", "worse", 4)
    assert switch.apart == pytest.approx(0.05)  # not its value at the defaults


def test_a_certificate_does_not_hold_while_a_branch_is_untuned():
    start = {"model": "plain", "model.plain.lr": 0.1, "wd": 0.75}
    levels = CoordinateRules().levels(BRANCHES)
    points = [start]
    points += [{**start, "wd": v} for v in levels["wd"] if v != 0.75]
    points += [{**start, "model.plain.lr": v} for v in levels["model.plain.lr"] if v != 0.1]
    points += [{"model": "deep", "model.deep.lr": 0.01, "model.deep.momentum": 0.5, "wd": 0.75}]
    study = tk.study(space=BRANCHES, sampler="coordinate", seed=0)
    for point in points:
        study.tell(study.ask(fixed=point), branch_loss(BRANCHES.complete(point)))
    found = study.certificate()
    assert not found
    assert [c.path for c in found.open] == ["model"]
    assert "no certificate" in str(found)


def test_changes_that_break_a_constraint_are_left_out_and_counted():
    space = tk.Space(a=tk.Int(1, 5), b=tk.Int(1, 5), constraints=["a * b <= 6"])
    study, ending = descended(lambda p: -p["a"] - 2 * p["b"], space)
    assert ending == "exhausted"
    found = study.certificate()
    assert found and found.n_excluded > 0
    assert len(found.changes) + found.n_excluded == 8
    assert all(not space.violated(t.params) for t in study.trials)


def test_neighbours_run_in_parallel_and_the_descent_goes_on_when_they_end(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    study = tk.study(space=FLAT, sampler="coordinate", seed=3, storage=url)
    assert study.optimize(shared_loss, workers=3) == "exhausted"
    assert study.certificate()
    assert study.replay() == []
    points = [tuple(t.params.items()) for t in study.trials]
    assert len(set(points)) == len(points)


def test_a_sampler_with_all_changes_running_asks_to_be_asked_later():
    space = tk.Space(x=tk.Int(0, 2))
    done = trials_of(space, [({"x": 1}, 0.5), ({"x": 0}, 0.7)])
    running = TrialRecord(
        2, TrialState.RUNNING, seq=3, params=space.complete({"x": 2}), sampler="coordinate"
    )
    sampler = CoordinateSampler()
    with pytest.raises(NoPointYet, match="depends on the results"):
        sampler.suggest(view_of(space, [*done, running]), [3])
    last = ended(
        2, Proposal(space.complete({"x": 2}), "x"), Outcome(TrialState.COMPLETE, {"loss": 9.0})
    )
    with pytest.raises(SpaceExhausted, match="certificate holds") as raised:
        sampler.suggest(view_of(space, [*done, last]), [3])
    assert not isinstance(raised.value, NoPointYet)


def test_a_run_waits_for_the_running_trials_of_a_sampler_without_a_point():
    history = History((ObjectiveSpec("loss"),))
    point = FLAT.complete({})
    history.update([begun(0, point)], cursor=1)
    budget = TrialBudget(Goal(None, None, None), history)
    assert not budget.exhaust(NoPointYet("wait"))
    assert budget.n_wanted(4) == 0 and not budget.is_reached()
    history.update([replace(ended(0, Proposal(point, "x")), seq=2)], cursor=2)
    assert budget.n_wanted(4) == 4  # it is asked again
    assert budget.exhaust(NoPointYet("nothing runs that could end"))
    assert budget.n_wanted(4) == 0 and budget.is_reached()


def test_a_lucky_neighbour_is_measured_again_before_the_descent_moves():
    def noisy(trial):
        return branch_loss(trial.params) + 0.03 * np.random.default_rng([7, trial.number]).normal()

    gaps = {}
    for n_blocks in (1, 6):
        gaps[n_blocks] = []
        for seed in range(6):
            options = {"n_blocks": n_blocks}
            study = tk.study(
                space=BRANCHES, sampler="coordinate", sampler_options=options, seed=seed
            )
            assert study.optimize(noisy) == "exhausted"
            found = study.certificate()
            assert found
            gaps[n_blocks].append(branch_loss(found.params))
    assert np.mean(gaps[6]) < 0.5 * np.mean(gaps[1])


def test_the_interval_of_a_tie_contains_zero_and_the_noise_is_told():
    study = tk.study(
        space=tk.Space(x=tk.Int(0, 3)),
        sampler="coordinate",
        sampler_options={"n_blocks": 8},
        seed=0,
    )
    rng = np.random.default_rng(3)
    study.optimize(lambda trial: (trial.params["x"] > 1) * 5.0 + rng.normal())
    found = study.certificate()
    assert found
    assert found.noise_sd == pytest.approx(1.0, rel=0.5)
    verdicts = {c.after: c for c in found.changes}
    assert verdicts[2].verdict == verdicts[3].verdict == "worse"
    tie = next(c for c in found.changes if c.after in (0, 1))
    assert tie.verdict == "tie" and tie.apart - tie.half_width < tie.half_width


def test_without_noise_no_point_is_run_twice():
    study, _ = descended(flat_loss, FLAT, n_blocks=4, n_points=3)
    exact, _ = descended(flat_loss, FLAT, n_points=3)
    assert study.certificate()
    assert len(study.trials) <= len(exact.trials) + 16  # what it takes to see that there is none


def test_a_failed_change_counts_and_a_lost_one_does_not():
    study = tk.study(space=FLAT, sampler="coordinate", seed=1)
    assert study.optimize(failing) == "exhausted"
    found = study.certificate()
    assert found
    assert next(c for c in found.changes if c.after == "b").verdict == "failed"
    space = tk.Space(x=tk.Int(0, 1))
    done = trials_of(space, [({"x": 0}, 0.5)])
    lost = [
        TrialRecord(
            k, TrialState.LOST, seq=k + 1, params=space.complete({"x": 1}), sampler="coordinate"
        )
        for k in (1, 2)
    ]
    again = CoordinateSampler().suggest(view_of(space, [*done, lost[0]]), [2])
    assert again[0].params == {"x": 1}
    with pytest.raises(SpaceExhausted, match="no result after two attempts"):
        CoordinateSampler().suggest(view_of(space, [*done, *lost]), [3])


def test_values_of_a_branch_from_before_an_edit_of_the_space_are_not_proposed_again():
    wide, narrow = (
        tk.Space(
            model=tk.Categorical({"plain": None, "deep": tk.Space(lr=tk.Float(lo, 1, log=True))}),
            wd=tk.Int(0, 2),
        )
        for lo in (1e-6, 1e-2)
    )
    points = [({"model": "deep", "lr": 1e-6, "wd": 1}, 0.5)]
    points += [({"model": "plain", "wd": k}, 0.4 + k) for k in range(3)]
    trials = trials_of(wide, points)
    sampler = CoordinateSampler()
    for number in range(len(trials), 40):
        try:
            (proposal,) = sampler.suggest(view_of(narrow, trials), [number])
        except SpaceExhausted:
            break
        narrow.validate(proposal.params)
        trials.append(ended(number, proposal, Outcome(TrialState.COMPLETE, {"loss": 1.0})))
    assert certificate_of(view_of(narrow, trials), sampler, {}).params == {
        "model": "plain",
        "wd": 0,
    }


def test_a_descent_whose_points_all_fail_ends_without_a_certificate():
    space = tk.Space(x=tk.Int(0, 2))
    failed = trials_of(space, [({"x": k}, math.nan) for k in range(3)], TrialState.DIVERGED)
    with pytest.raises(SpaceExhausted, match="nor any change of it has a result"):
        CoordinateSampler().suggest(view_of(space, failed), [3])
    found = certificate_of(view_of(space, failed), CoordinateSampler(), {})
    assert not found and "no point has a result yet" in str(found)


def test_reach_and_vary_bound_the_neighbourhood():
    study, ending = descended(flat_loss, FLAT, reach=1, vary=["lr", "depth"], n_points=8)
    assert ending == "exhausted"
    found = study.certificate()
    assert found
    assert {c.path for c in found.changes} == {"lr", "depth"}
    assert len(found.changes) <= 4
    start = FLAT.default()
    assert all(t.params["kind"] == start["kind"] for t in study.trials)
    assert len(study.certificate(reach=None, vary=None).open) > 0


def test_own_values_are_tried_in_place_of_the_grid():
    study, _ = descended(flat_loss, FLAT, values={"lr": [1e-3, 3e-2, 1e-1]}, vary=["lr"])
    assert {t.params["lr"] for t in study.trials[1:]} == {1e-3, 3e-2, 1e-1}


def test_a_tolerance_accepts_a_point_near_the_best_with_its_neighbourhood():
    study, _ = descended(flat_loss, FLAT, tolerance=0.05)
    exact, _ = descended(flat_loss, FLAT)
    found = study.certificate()
    assert found and len(study.trials) <= len(exact.trials)
    assert found.value <= study.best_value + 0.05


def test_the_certificate_reads_any_study():
    space = tk.Space(x=tk.Int(0, 4), y=tk.Int(0, 4))
    study = tk.study(space=space, sampler="grid", seed=0)
    study.optimize(lambda t: (t.params["x"] - 1) ** 2 + t.params["y"], n_trials=12)
    assert not study.certificate()
    study.optimize(lambda t: (t.params["x"] - 1) ** 2 + t.params["y"])
    assert study.certificate().params == {"x": 1, "y": 0}
    assert study.certificate().to_dict()["changes"][0]["verdict"] == "worse"


def test_a_program_that_discovers_its_space_descends_too():
    study = tk.study(sampler="coordinate", seed=1)

    def program(trial):
        x = trial.suggest_float("x", -2, 2)
        return x**2 + (trial.suggest_int("n", 1, 3) - 2) ** 2

    assert study.optimize(program, n_trials=60) == "exhausted"
    assert study.certificate()
    assert study.best_params == {"x": 0.0, "n": 2}


def test_an_enqueued_point_becomes_the_centre_if_it_is_the_best():
    study = tk.study(space=FLAT, sampler="coordinate", seed=1)
    study.enqueue_trial({"lr": 0.123, "depth": 6, "kind": "b", "cache": -1})
    study.optimize(shared_loss, n_trials=200)
    assert study.certificate().params["lr"] in (0.123, 0.1)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_descent_of_a_tree_ends_with_a_certificate_from_any_seed(seed):
    sampler = CoordinateSampler(n_points=3)
    trials = run(sampler, TREE, 400, seed=seed)
    assert len(trials) < 120
    assert certificate_of(view_of(TREE, trials, seed=seed), sampler, {})
    assert not certificate_of(view_of(TREE, trials[:-1], seed=seed), sampler, {})
