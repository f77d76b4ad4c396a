"""Evolution along the tree: valid children, competing operators, several objectives."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunekit as tk
from tunekit.errors import InvalidArgument, MissingExtra
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState
from tunekit.samplers.base import StudyView, sample
from tunekit.samplers.evolutionary.axes import Structure
from tunekit.samplers.evolutionary.dominance import crowding, order
from tunekit.samplers.evolutionary.evolution import EvolutionSampler
from tunekit.samplers.evolutionary.population import Population
from tunekit.samplers.evolutionary.variation import Breeding, reflect
from tunekit.samplers.optuna_bridge.sampler import OptunaSampler
from tunekit.samplers.random import RandomSampler
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Categorical, Float, Int, Params, Space
from tunekit.testing.samplers import (
    ONE,
    SPACES,
    TREE,
    SamplerConformance,
    ended,
    random_trials,
    view_of,
)
from tunekit.testing.spaces import spaces
from tunekit_surrogates.non_domination import layers


def study(make, space, f, n, *, seed=0, objectives=ONE):
    """Run a sequential study; `f` gives all metrics."""
    sampler, history = make(), History(objectives)
    view = StudyView(space, objectives, (), seed, history, {})
    for number in range(n):
        trial = ended(number, sampler.suggest(view, [number])[0])
        history.update([replace(trial, metrics=f(trial.params))], number)
    return history.complete()


def no_branch(branch):
    """Knows of no trial in any branch."""
    return None


def planted(params: Params) -> dict[str, float]:
    """Is 0 at one leaf of a tree of 27, whose number has to be near .8."""
    loss, prefix = 0.0, "a"
    for level, best in enumerate((2, 0, 1)):
        value = params[prefix]
        loss += 0.3 * (value != best)
        loss += (params[f"{prefix}.{value}.x"] - 0.8) ** 2
        prefix = f"{prefix}.{value}.{'abc'[min(level + 1, 2)]}"
    return {"loss": loss}


def _level(names: str) -> Categorical:
    name, rest = names[0], names[1:]
    assert name
    child = {rest[0]: _level(rest)} if rest else {}
    return Categorical({i: Space({"x": Float(0, 1), **child}) for i in range(3)})


PLANTED = Space(a=_level("abc"))


class TestGenetic(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(EvolutionSampler, start=4)


class TestRegularised(SamplerConformance):
    @pytest.fixture
    def make_sampler(self):
        return partial(EvolutionSampler, algorithm="regularised", population=8, start=4)


@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 1000))
def test_children_of_any_two_points_of_any_tree_are_valid(space, seed):
    rng = stream(seed, 0)
    space = Space(dict(space.nodes), when=space.when)  # constraints are the sampler's to keep
    parents = [sample(space, rng) for _ in range(4)]
    structure = Structure(space)
    branches = {
        (path, value): q for q in parents for path, value in q.items() if structure.is_switch(path)
    }
    breeding = Breeding(structure, branches.get, rng)
    children = [
        breeding.cross(parents[0], parents[1]),
        breeding.mutate(parents[0], 0.1),
        breeding.step(parents[0], parents[1], pair=(parents[2], parents[3]), weight=0.5, rate=1),
    ]
    for child in children:
        assert list(space.validate(child).items()) == list(child.items())


@pytest.mark.parametrize("seed", range(20))
def test_a_subtree_follows_the_parent_that_its_choice_came_from(seed):
    mother = TREE.complete({"model": "svm", "kernel": "rbf", "gamma": 1.0, "C": 2.0})
    father = TREE.complete({"model": "forest", "trees": 77, "depth": 9})
    child = Breeding(Structure(TREE), no_branch, stream(seed, 0)).cross(mother, father)
    donor = mother if child["model"] == "svm" else father
    below = {k: v for k, v in child.items() if k.startswith("model.")}
    assert below == {k: v for k, v in donor.items() if k.startswith("model.")}


def test_where_the_parents_agree_their_subtrees_are_swapped():
    mother = TREE.complete({"model": "svm", "kernel": "linear", "C": 2.0})
    father = TREE.complete({"model": "svm", "kernel": "rbf", "gamma": 1.0, "C": 500.0})
    breeding = Breeding(Structure(TREE), no_branch, stream(3, 0))
    children = [breeding.cross(mother, father) for _ in range(60)]
    seen = {(c["C"] == 2.0, c["kernel"]) for c in children}
    assert seen == {(a, b) for a in (True, False) for b in ("linear", "rbf")}


def test_a_new_branch_is_filled_from_the_best_trial_in_it_or_by_the_prior():
    mother = TREE.complete({"model": "svm", "kernel": "linear"})
    best = TREE.complete({"model": "forest", "trees": 77, "depth": 9})
    breeding = Breeding(Structure(TREE), {("model", "forest"): best}.get, stream(1, 0))
    found = [breeding.repair(mother, {"model": "forest"}) for _ in range(200)]
    copies = sum(p["trees"] == 77 and p["depth"] == 9 for p in found)
    assert 90 < copies < 150
    assert len({p["trees"] for p in found}) > 20


@pytest.mark.parametrize("name", ["flat", "nested", "repeat", "when", "special", "ordered"])
def test_a_mutation_changes_something(name):
    space = SPACES[name]
    parent, rng = sample(space, stream(1, 1)), stream(2, 2)
    breeding = Breeding(Structure(space), no_branch, rng)
    same = sum(breeding.mutate(parent, 1e-4) == parent for _ in range(100))
    assert same < 10  # only a special value or a count may be drawn again


@given(st.floats(-5, 5))
def test_reflection_stays_inside(x):
    assert 0.0 <= reflect(x) <= 1.0


def test_layers_and_crowding_are_those_of_the_paper():
    losses = np.array([[1, 5], [2, 3], [4, 1], [3, 4], [5, 5], [2, 3]], dtype=float)
    assert layers(losses, equals=True).tolist() == [0, 0, 0, 1, 2, 0]
    line = np.array([[0, 4], [1, 3], [3, 1], [4, 0]], dtype=float)
    # (3 - 0) / 4 + (4 - 1) / 4 for each inner point
    assert crowding(line).tolist() == [np.inf, 1.5, 1.5, np.inf]
    assert order(losses)[-2:] == [3, 4]
    assert order(np.empty((0, 2))) == []


@pytest.mark.parametrize("algorithm", ["ga", "regularised"])
def test_it_beats_random_search_on_a_planted_tree(algorithm):
    def ends(make):
        trials = [study(make, PLANTED, planted, 300, seed=s) for s in range(3)]
        return median(min(t.metrics["loss"] for t in ts) for ts in trials)

    assert ends(partial(EvolutionSampler, algorithm=algorithm)) < 0.02 < ends(RandomSampler)


def test_operators_that_pay_get_the_trials():
    space = Space({f"x{i}": Float(-5, 5) for i in range(6)})
    trials = study(EvolutionSampler, space, lambda p: {"loss": sum(v**2 for v in p.values())}, 400)
    arms = Counter(t.evidence.get("arm") for t in trials[200:])
    assert arms["cma"] > 140
    assert min(arms[a] for a in ("cross", "mutate", "step")) > 0
    assert min(t.metrics["loss"] for t in trials) < 1e-4


def test_no_trial_is_repeated_while_there_are_others_also_not_a_pending_one():
    space = Space(a=Int(1, 8), b=Int(1, 8), c=[True, False])
    trials = study(EvolutionSampler, space, lambda p: {"loss": p["a"] * p["b"]}, 80)
    assert len({tuple(t.params.items()) for t in trials[21:]}) == 59
    done = random_trials(space, 40)
    pending = replace(done[0], number=41, seq=42, state=TrialState.RUNNING, metrics={})
    known = {tuple(t.params.items()) for t in done}
    view = view_of(space, [*done, pending])
    new = [tuple(p.params.items()) for p in EvolutionSampler().suggest(view, range(50, 80))]
    assert not known & set(new)
    assert len(set(new)) == 30


def test_ageing_forgets_a_lucky_trial():
    lucky = replace(random_trials(TREE, 1)[0], metrics={"loss": -100.0})
    later = [replace(t, number=t.number + 1, seq=t.seq + 1) for t in random_trials(TREE, 60)]
    view = view_of(TREE, [lucky, *later])
    parents = {
        algorithm: {
            p.evidence.get("parent")
            for p in EvolutionSampler(algorithm=algorithm, population=20, tournament=5).suggest(
                view, range(100, 160)
            )
        }
        for algorithm in ("ga", "regularised")
    }
    assert 0 in parents["ga"]
    assert all(k is None or k > 20 for k in parents["regularised"])


THREE = (ObjectiveSpec("a"), ObjectiveSpec("b"), ObjectiveSpec("c", "maximize"))
NUMBERS = {"x": Float(0, 1), "y": Float(0, 1), "n": Int(1, 9)}
BELOW = Space(shape=Categorical({"round": Space(NUMBERS), "flat": Space(z=Float(0, 1))}))
BESIDE = Space(shape=Categorical({"round": None, "flat": Space(z=Float(0, 1))}), **NUMBERS)


def three_losses(p):
    """Three objectives on a tree; the front is the line from x = 0 to 1 at n = 3."""
    if p["shape"] == "flat":
        return {"a": 3.0, "b": 3.0, "c": -3.0}
    off = (p["n"] - 3) ** 2 + 4 * (p["y"] - 0.5) ** 2
    return {"a": p["x"] ** 2 + off, "b": (1 - p["x"]) ** 2 + off, "c": -off - abs(p["x"] - 0.5)}


@pytest.mark.parametrize(
    ("make", "space"),
    [
        (EvolutionSampler, BELOW),
        (partial(EvolutionSampler, algorithm="regularised", population=40), BELOW),
        (partial(OptunaSampler, "nsgaii", population_size=20), BESIDE),
        (partial(OptunaSampler, "nsgaiii", population_size=20), BESIDE),
    ],
    ids=["ga", "regularised", "nsgaii", "nsgaiii"],
)
def test_three_objectives_on_a_tree_are_spread_along_the_front(make, space):
    """Optuna's two breed only what is active in every trial, so the numbers stand beside."""
    trials = study(make, space, three_losses, 200, objectives=THREE)
    near = [t.params["x"] for t in trials if t.metrics["c"] > -0.65]
    random = study(RandomSampler, space, three_losses, 200, objectives=THREE)
    assert len(near) > 3 * sum(t.metrics["c"] > -0.65 for t in random)
    assert max(near) - min(near) > 0.5


def test_the_infeasible_and_the_failed_are_no_parents_while_others_live():
    good = random_trials(TREE, 30)
    bad = [
        replace(t, number=t.number + 30, seq=t.seq + 30, state=TrialState.FAILED, metrics={})
        for t in random_trials(TREE, 30)
    ]
    proposals = EvolutionSampler().suggest(view_of(TREE, [*good, *bad]), range(100, 140))
    assert all(p.evidence.get("parent", 0) < 30 for p in proposals)


@pytest.mark.parametrize(
    "options",
    [
        {"algorithm": "sexual"},
        {"population": 3},
        {"population": True},
        {"tournament": 0},
        {"start": 2},
        {"start": 5.0},
        {"candidates": 5},
        {"bounds": ["size <= 3"]},
    ],
)
def test_an_option_outside_its_range_is_refused(options):
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        EvolutionSampler(**options)


def proposals_of(options):
    """Return what evolution proposes after 60 trials, through the front door."""
    study = tk.study(
        space=PLANTED, objectives="loss", sampler="evolution", sampler_options=options, seed=3
    )
    study.optimize(lambda trial: planted(trial.params)["loss"], n_trials=60)
    return study.trials


def arms_of(options):
    return [t.evidence.get("arm") for t in proposals_of(options)]


def test_a_study_honours_its_options():
    plain = arms_of({})
    assert plain.index(next(a for a in plain if a not in (None, "prior"))) == 21
    assert "prior" not in arms_of({"start": 4})[5:8]
    points = [
        [t.params for t in proposals_of(options)]
        for options in (
            {},
            {"population": 6},
            {"tournament": 1},
            {"algorithm": "regularised", "population": 12},
        )
    ]
    assert points[0][:21] == points[1][:21] == points[2][:21] == points[3][:21]
    assert all(a[21:] != b[21:] for i, a in enumerate(points) for b in points[:i])


def told(losses, evidence=None):
    """Return a population that has been told trials of these losses, all in one branch."""
    space = Space(shape=Categorical({"round": Space(x=Float(0, 1)), "flat": None}))
    objectives = tuple(ObjectiveSpec(name) for name in "ab")
    trials = [
        TrialRecord(
            k,
            TrialState.COMPLETE,
            seq=k + 1,
            params=space.complete({"shape": "round", "x": k / 10}),
            evidence=(evidence or {}).get(k, {}),
            metrics=dict(zip("ab", row, strict=True)),
        )
        for k, row in enumerate(losses)
    ]
    view = view_of(space, trials, objectives=objectives)
    population = Population(view, algorithm="ga", size=8)
    for trial in trials:
        population.tell(trial, view.history)
    return population


def test_of_several_objectives_a_branch_is_not_judged_by_the_first_alone():
    population = told([(0.0, 9.0), (5.0, 5.0), (6.0, 6.0)])
    assert population.best_in["shape", "round"].losses == (5.0, 5.0)


def test_of_several_objectives_a_child_improves_by_dominating_its_parent():
    def width(child):
        step = {"arm": "mutate", "parent": 0, "dials": {"scale": 0.4}}
        return told([(5.0, 5.0), child], {1: step}).dial("mutate", "scale", 0.1)

    assert width((4.0, 6.0)) == pytest.approx(0.1)  # better in the first objective only
    assert width((5.0, 4.0)) == pytest.approx((0.1 * 0.1 * 0.4) ** (1 / 3))


def test_losses_of_any_size_are_ordered():
    top = sys.float_info.max
    assert order(np.array([[-top, top], [0.0, 0.0], [top, -top], [top, top]]))[-1] == 3


def test_without_the_package_it_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(MissingExtra, match=r"tunekit-hpo\[evolution\]"):
        EvolutionSampler()


def test_evidence_of_unknown_form_does_no_harm():
    odd = [
        {"arm": 3},
        {"arm": "step", "dials": {"weight": "wide"}},
        {"arm": "step", "dials": None, "parent": "x"},
        {"run": 0, "x": ["a"]},
        {"run": 0, "x": [1e9]},
        {"arm": "nobody"},
    ]
    trials = [
        replace(t, evidence=odd[k % len(odd)]) for k, t in enumerate(random_trials(TREE, 60))
    ]
    unknown = TrialRecord(90, TrialState.RUNNING, seq=91)
    assert EvolutionSampler().suggest(view_of(TREE, [*trials, unknown]), [95])
