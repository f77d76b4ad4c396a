"""CMA-ES equals the package it stands on, moves integers, and bears any order of ends."""

from __future__ import annotations

import sys
from dataclasses import replace
from statistics import median

import cmaes
import numpy as np
import pytest

from tunekit.errors import InvalidArgument, MissingExtra
from tunekit.history import History
from tunekit.records import TrialState
from tunekit.samplers.base import StudyView
from tunekit.samplers.evolutionary.cmaes import CmaEsSampler
from tunekit.samplers.random import RandomSampler
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Categorical, Float, Int, Params, Space
from tunekit.testing.samplers import (
    ONE,
    TREE,
    TWO,
    SamplerConformance,
    ended,
    random_trials,
    view_of,
)

BOX = Space({f"x{i}": Float(-5, 5) for i in range(4)})


def sphere(params):
    return sum((float(v) - 1.5) ** 2 for v in params.values())


def ellipsoid(params):
    return sum(1e4 ** (i / 3) * (float(v) - 1.5) ** 2 for i, v in enumerate(params.values()))


def study(make, space, f, n, *, seed=7, workers=1):
    """Run a study in which `workers` trials are pending and end in a random order."""
    sampler, rng, history = make(), np.random.default_rng(seed), History(ONE)
    view = StudyView(space, ONE, (), seed, history, {})
    running = []
    for number in range(n):
        proposal = sampler.suggest(view, [number])[0]
        trial = replace(ended(number, proposal), state=TrialState.RUNNING, seq=2 * number)
        history.update([trial], 2 * number)
        running.append(trial)
        if len(running) == workers:
            trial = running.pop(int(rng.integers(workers)))
            metrics = {"loss": f(trial.params)}
            trial = replace(trial, state=TrialState.COMPLETE, seq=2 * number + 1, metrics=metrics)
            history.update([trial], 2 * number + 1)
    return history.complete()


def best(trials):
    return min(t.metrics["loss"] for t in trials)


class TestConformance(SamplerConformance):
    several_objectives = False

    @pytest.fixture
    def make_sampler(self):
        return CmaEsSampler


@pytest.mark.parametrize("f", [sphere, ellipsoid])
def test_it_proposes_what_the_package_itself_would(f):
    """In the same order of evaluations, from the same seeds, without restarts."""
    n = 200
    trials = study(lambda: CmaEsSampler(restarts="none"), BOX, f, n)
    bounds = np.array([[0.0, 1.0]] * 4)
    raw = cmaes.CMA(np.full(4, 0.5), 0.3, bounds=bounds, n_max_resampling=20)
    generation: list[tuple[np.ndarray, float]] = []
    for t in trials[1:]:  # the first is the default configuration
        raw.reseed_rng(int(stream(7, t.number).integers(2**32)))
        x = raw.ask()
        point = Params({f"x{i}": float(-5 + 10 * v) for i, v in enumerate(x)})
        assert t.params == pytest.approx(point, rel=1e-6, abs=1e-9)
        generation.append((x, f(t.params)))
        if len(generation) == raw.population_size:
            raw.tell(generation)
            generation = []
    assert best(trials) < 0.1 * f(trials[0].params)


def test_the_margin_keeps_integers_moving():
    """Without it the integers freeze beside their optimum once the numbers have converged."""
    space = Space({"x": Float(-5, 5), **{f"n{i}": Int(0, 40) for i in range(3)}})

    def f(p):
        return 100 * (p["x"] - 1) ** 2 + sum((p[f"n{i}"] - 33 - i) ** 2 for i in range(3))

    for trials in (study(CmaEsSampler, space, f, 500, seed=s) for s in range(3)):
        assert best(trials) < 1  # all integers at their optimum
        late = {tuple(t.params[f"n{i}"] for i in range(3)) for t in trials[-100:]}
        assert len(late) > 5


@pytest.mark.parametrize("workers", [2, 16])
def test_trials_that_end_in_any_order_do_not_break_it(workers):
    sequential = median(best(study(CmaEsSampler, BOX, sphere, 250, seed=s)) for s in range(3))
    parallel = median(
        best(study(CmaEsSampler, BOX, sphere, 250, seed=s, workers=workers)) for s in range(3)
    )
    assert sequential < 1e-2
    assert parallel < 0.05


def test_the_order_of_ends_and_not_of_arrival_in_the_reader_counts():
    trials = study(CmaEsSampler, TREE, lambda p: len(str(p)) / 10, 60, workers=6)
    views = [view_of(TREE, order) for order in (trials, trials[::-1])]
    assert CmaEsSampler().suggest(views[0], [90]) == CmaEsSampler().suggest(views[1], [90])


def test_it_restarts_when_a_run_has_converged():
    def rugged(p):
        return sum(float(v) ** 2 + 10 * (1 - np.cos(6 * float(v))) for v in p.values())

    space = Space(x=Float(-5, 5, default=4), y=Float(-5, 5, default=4))
    runs = [t.evidence["run"] for t in study(CmaEsSampler, space, rugged, 1000) if t.evidence]
    assert max(runs) >= 2
    off = study(lambda: CmaEsSampler(restarts="none"), space, rugged, 300)
    assert {t.evidence["run"] for t in off[1:]} == {0}


def test_switches_follow_the_elite_and_keep_a_floor():
    space = Space(
        model=Categorical({"a": Space(x=Float(0, 1)), "b": Space(y=Float(0, 1)), "c": None})
    )

    def f(p):
        return {"a": 1.0, "b": 0.5, "c": 2.0}[p["model"]] + abs(p.get("y", 0.0) - 0.3)

    late = [t.params["model"] for t in study(CmaEsSampler, space, f, 200)[100:]]
    assert late.count("b") > 70
    assert set(late) == {"a", "b", "c"}
    without = study(lambda: CmaEsSampler(floor=0.0), space, f, 200)[100:]
    assert {t.params["model"] for t in without} == {"b"}


def test_it_begins_where_trials_of_others_were_good():
    others = [replace(t, metrics={"loss": sphere(t.params)}) for t in random_trials(BOX, 60)]
    near = CmaEsSampler().suggest(view_of(BOX, others), range(100, 120))
    far = CmaEsSampler().suggest(view_of(BOX), range(100, 120))
    assert median(sphere(p.params) for p in near) < 0.7 * median(sphere(p.params) for p in far)


def test_a_constraint_on_the_edge_of_the_optimum_is_kept():
    space = Space(x=Float(0, 1), y=Float(0, 1), z=Float(0, 1), constraints=["x + y + z <= 0.5"])

    def slope(p):
        return -p["x"] - 2 * p["y"]  # -1 at the best point, y = 0.5

    ends = [best(study(CmaEsSampler, space, slope, 150, seed=seed)) for seed in range(4)]
    assert sum(ends) / len(ends) < -0.95


def test_it_beats_random_search_on_a_sphere():
    ends = {
        make: median(best(study(make, BOX, sphere, 120, seed=s)) for s in range(3))
        for make in (CmaEsSampler, RandomSampler)
    }
    assert ends[CmaEsSampler] < 0.1 * ends[RandomSampler]


def test_several_objectives_are_refused_with_a_way_out():
    with pytest.raises(InvalidArgument, match="nsgaii"):
        CmaEsSampler().suggest(view_of(TREE, objectives=TWO), [0])


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": 0},
        {"sigma": 2},
        {"sigma": True},
        {"population": 3},
        {"population": 4.5},
        {"floor": -0.1},
        {"restarts": "sometimes"},
    ],
)
def test_an_option_outside_its_range_is_refused(options):
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        CmaEsSampler(**options)


def test_without_the_package_it_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(MissingExtra, match=r"tunekit-hpo\[evolution\]"):
        CmaEsSampler()
