"""The bridge gives what Optuna itself would give, purely, and keeps Optuna to itself."""

from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys
import warnings
from dataclasses import replace

import optuna
import pytest

from tunekit.errors import InvalidArgument, MissingExtra
from tunekit.records import ObjectiveSpec, Proposal, TrialState
from tunekit.samplers.optuna_bridge.codec import Codec, kept_attrs, told_trial
from tunekit.samplers.optuna_bridge.sampler import OptunaSampler
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Categorical, Float, Int, Params, Space, walk
from tunekit.testing.samplers import (
    BOUND,
    ONE,
    SPACES,
    TREE,
    TWO,
    ended,
    measured,
    random_trials,
    run,
    view_of,
)

FLAT = Space(x=Float(-5, 5), y=Float(1e-4, 1, log=True), n=Int(1, 60))

NATIVE = {
    "tpe": (TREE, {"multivariate": True, "group": True, "constant_liar": True}),
    "cmaes": (FLAT, {}),
    "nsgaii": (TREE, {"population_size": 5}),
    "nsgaiii": (FLAT, {"population_size": 5}),
    "random": (TREE, {}),
}


def native(name, space, options, n, objectives, constraints=()):
    """Run Optuna's own study, with its own storage, re-seeding its sampler in every trial."""
    kind = getattr(optuna.samplers, OptunaSampler(name)._class.__name__)
    study = optuna.create_study(directions=[o.direction for o in objectives])
    codec = Codec(space)
    default, _ = codec.told(space.default())
    study.enqueue_trial(default)
    points = []
    for number in range(n):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            seed = int(stream(7, number).integers(2**32))
            study.sampler = kind(**options, seed=seed)
        trial = study.ask()
        point = walk(space, lambda p, _, trial=trial: codec.ask(trial, p))
        metrics = measured(point)
        for c in constraints:
            trial.set_constraint(str(c), metrics[c.metric] - c.bound)
        study.tell(trial, [metrics[o.metric] for o in objectives])
        points.append(point)
    return points


def assert_close(trials, points):
    """Ours are rounded to 12 digits before they are told, so the last digits may differ."""
    for trial, point in zip(trials, points, strict=True):
        assert list(trial.params) == list(point)
        for path, value in point.items():
            close = pytest.approx(value, rel=1e-7) if isinstance(value, float) else value
            assert trial.params[path] == close


@pytest.mark.parametrize("name", NATIVE)
def test_a_study_is_the_same_as_in_optuna_itself(name):
    space, options = NATIVE[name]
    given = options if name.startswith("nsga") else {}
    trials = run(OptunaSampler(name, **given), space, 40)
    assert_close(trials, native(name, space, options, 40, ONE))


@pytest.mark.parametrize("name", ["tpe", "nsgaii"])
def test_several_objectives_and_constraints_are_the_same_as_in_optuna_itself(name):
    space, options = NATIVE[name]
    given = options if name.startswith("nsga") else {}
    trials = run(OptunaSampler(name, **given), space, 40, objectives=TWO, constraints=BOUND)
    assert_close(trials, native(name, space, options, 40, TWO, BOUND))


@pytest.mark.parametrize("name", ["cmaes", "nsgaii"])
def test_the_state_of_an_optimiser_travels_in_the_evidence(name):
    options = {"population_size": 5} if name == "nsgaii" else {}
    trials = run(OptunaSampler(name, **options), FLAT, 30)
    noted = [t.evidence for t in trials if t.evidence]
    assert len(noted) > 20
    fresh = OptunaSampler(name, **options)
    with_state = fresh.suggest(view_of(FLAT, trials), [30])[0].params
    assert (
        with_state == OptunaSampler(name, **options).suggest(view_of(FLAT, trials), [30])[0].params
    )
    without = [replace(t, evidence={}) for t in trials]
    assert fresh.suggest(view_of(FLAT, without), [30])[0].params != with_state


def test_noted_state_is_dropped_when_the_space_has_changed():
    trials = run(OptunaSampler("cmaes"), FLAT, 10)
    noted = next(t for t in trials if t.evidence)
    assert kept_attrs(noted, Codec(FLAT))
    assert kept_attrs(noted, Codec(Space(x=Float(-5, 9), y=Float(1, 2), n=Int(1, 60)))) == {}


class Bomb:
    def __reduce__(self):
        return (print, ("exploded",))


@pytest.mark.parametrize(
    "text",
    [pickle.dumps(Bomb()).hex(), "zz", "", pickle.dumps([1, 2])[:-2].hex(), 7],
    ids=["code", "no hex", "empty", "cut off", "no text"],
)
def test_a_pickle_from_the_database_that_is_no_optimiser_is_never_loaded(text, capsys):
    trials = run(OptunaSampler("cmaes"), FLAT, 12)
    codec = Codec(FLAT)
    evil = {"space": codec.fingerprint, "trial": {"cma:optimizer:0": text}, "study": {}}
    trials[-1] = replace(trials[-1], evidence=json.loads(json.dumps(evil)))
    view = view_of(FLAT, trials)
    FLAT.validate(OptunaSampler("cmaes").suggest(view, [12])[0].params)
    assert kept_attrs(trials[-1], codec) == {}
    assert "exploded" not in capsys.readouterr().out


def test_it_learns_from_a_thousand_trials_with_a_cache_as_without():
    trials = random_trials(TREE, 1000)
    cached = OptunaSampler()
    cached.suggest(view_of(TREE, trials[:990]), [990])
    view = view_of(TREE, trials)
    assert cached.suggest(view, [1000]) == OptunaSampler().suggest(view, [1000])


@pytest.mark.parametrize("name", ["tpe", "nsgaii", "random"])
def test_trials_that_change_in_a_growing_history_are_told_once_more_and_no_others(
    name, monkeypatch
):
    from tunekit.samplers.optuna_bridge import told

    read = []
    real = told.told_trial
    monkeypatch.setattr(told, "told_trial", lambda r, *a: read.append(r.number) or real(r, *a))
    options = {"population_size": 4} if name == "nsgaii" else {}
    kept, view, seq, late = OptunaSampler(name, **options), view_of(TREE), 0, None
    for number in range(0, 60, 2):
        read.clear()
        pair = kept.suggest(view, [number, number + 1])
        # Those of the call before, which now have ended, one that ended late, the two of this.
        assert len(read) <= 5
        copied = view_of(TREE, list(view.history))
        assert pair == OptunaSampler(name, **options).suggest(copied, [number, number + 1])
        first, second = (ended(number + k, proposal) for k, proposal in enumerate(pair))
        if number % 8 == 0:
            second = replace(second, state=TrialState.FAILED)
        elif number % 10 == 4:  # another worker has claimed it and not yet told its point
            late, second = (
                second,
                replace(second, state=TrialState.RUNNING, params=None, metrics={}, evidence={}),
            )
        elif number % 10 == 8:
            first = replace(first, state=TrialState.RUNNING, metrics={})
        changed = [first, second]
        if number % 10 == 0 and late is not None:
            changed.append(late)
        seq += 1
        view.history.update([replace(t, seq=seq) for t in changed], seq)


def test_a_search_space_that_was_kept_is_that_of_the_trials_though_one_came_late_or_changed():
    from tunekit.samplers.optuna_bridge.storage import told_study
    from tunekit.samplers.optuna_bridge.told import ToldTrials

    space = Space(a=Categorical({"deep": Space(b=Float(0, 1)), "flat": Space()}), c=Float(0, 1))
    known, history = ToldTrials(Codec(space)), view_of(space).history

    def searched(number):
        known.follow(history, [number])
        sampler = optuna.samplers.NSGAIISampler(seed=0)
        known.lend(sampler, number)
        study, _ = told_study(known.trials, ONE, sampler=sampler, number=number)
        trial = study.ask()._cached_frozen_trial
        found = sampler.infer_relative_search_space(study, trial)
        assert found == optuna.search_space.intersection_search_space(study.get_trials())
        return set(found)

    def put(number, branch, seq):
        params = {"a": branch, "c": 0.5} | ({"a.deep.b": 0.5} if branch == "deep" else {})
        trial = ended(number, Proposal(space.validate(params), "x"))
        history.update([replace(trial, seq=seq)], seq)

    for number in (0, 1, 3):  # another worker runs trial 2
        put(number, "deep", number + 1)
    assert searched(4) == {"a", "a.deep.b", "c"}
    put(2, "flat", 10)
    assert searched(4) == {"a", "c"}
    put(2, "deep", 11)
    assert searched(5) == {"a", "a.deep.b", "c"}
    put(4, "deep", 12)
    assert searched(6) == {"a", "a.deep.b", "c"}
    put(6, "flat", 13)
    assert searched(7) == {"a", "c"}


def test_the_second_number_of_a_call_knows_of_the_first():
    trials = random_trials(TREE, 20)
    both = OptunaSampler().suggest(view_of(TREE, trials), [20, 21])
    first = replace(ended(20, both[0]), state=TrialState.RUNNING, metrics={})
    alone = OptunaSampler().suggest(view_of(TREE, [*trials, first]), [21])
    assert alone[0].params == both[1].params


def test_states_are_told_as_optuna_knows_them():
    objectives = (ObjectiveSpec("loss", "maximize"),)
    view = view_of(FLAT, objectives=objectives, constraints=BOUND)
    base = ended(3, Proposal(FLAT.default(), "x"))
    codec = Codec(FLAT)

    def told(**changes):
        return told_trial(replace(base, **changes), view.history, codec)

    complete = told(metrics={"loss": 2, "memory": 0.5})
    assert complete.state == optuna.trial.TrialState.COMPLETE
    assert complete.values == [2.0]
    assert complete.constraints == {"memory <= 0.8": pytest.approx(-0.3)}
    stopped = told(state=TrialState.STOPPED, metrics={"loss": 2.0}, stop_evidence={"step": 9})
    assert stopped.state == optuna.trial.TrialState.PRUNED
    assert stopped.intermediate_values == {9: 2.0}
    for state in (TrialState.FAILED, TrialState.DIVERGED, TrialState.LOST, TrialState.CANCELLED):
        assert told(state=state).state == optuna.trial.TrialState.FAIL
    for state in (TrialState.RUNNING, TrialState.PAUSED):
        assert told(state=state).state == optuna.trial.TrialState.RUNNING
    assert told(metrics={"loss": 1.0}).state == optuna.trial.TrialState.FAIL
    assert told(state=TrialState.WAITING) is None
    assert told(params=None) is None


@pytest.mark.parametrize("name", SPACES)
def test_every_point_survives_the_way_to_optuna_and_back(name):
    space = SPACES[name]
    codec = Codec(space)
    for trial in random_trials(space, 30):
        told, distributions = codec.told(trial.params)
        assert all(d._contains(d.to_internal_repr(told[k])) for k, d in distributions.items())
        fixed = optuna.trial.FixedTrial(told)
        assert walk(space, lambda p, _, fixed=fixed: codec.ask(fixed, p)) == trial.params


def test_an_infeasible_default_and_constraints_that_optuna_cannot_meet_are_handled():
    space = Space(a=Int(1, 50), b=Int(1, 50), constraints=["a == b"])
    proposals = OptunaSampler().suggest(view_of(space), range(4))
    assert proposals[0].reason == "the default configuration"
    assert any("repaired to satisfy" in p.reason for p in proposals[1:])
    assert all(not space.violated(p.params) for p in proposals)


def test_cma_es_refuses_several_objectives_in_a_sentence():
    with pytest.raises(
        InvalidArgument, match=r'handles one objective, but the study has 2; use "ns'
    ):
        OptunaSampler("cmaes").suggest(view_of(FLAT, objectives=TWO), [1])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tpee", {}, 'did you mean "tpe"'),
        ("no_such_package:Sampler", {}, "No module named"),
        ("os:system", {}, "is not a sampler of Optuna"),
        ("tpe", {"n_startup_trails": 3}, 'did you mean "n_startup_trials"'),
        ("nsgaii", {"population_size": 1}, "population_size"),
        ("tpe", {"seed": 3}, "seed of the study"),
        ("PartialFixedSampler", {}, "must accept seed="),
    ],
)
def test_a_wrong_name_or_option_fails_at_construction(name, options, message):
    with pytest.raises(InvalidArgument, match=message):
        OptunaSampler(name, **options)


def test_any_sampler_can_be_named_by_module_and_class():
    sampler = OptunaSampler("optuna.samplers:TPESampler", multivariate=False)
    view = view_of(TREE, random_trials(TREE, 20))
    TREE.validate(sampler.suggest(view, [20])[0].params)


def test_without_optuna_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"tunekit-hpo\[optuna\]"):
        OptunaSampler()


def test_without_cmaes_the_error_names_the_extra(monkeypatch):
    sampler = OptunaSampler("cmaes")
    monkeypatch.setitem(sys.modules, "cmaes", None)
    monkeypatch.setattr("optuna.samplers._cmaes.cmaes", optuna._imports._LazyImport("cmaes"))
    with pytest.raises(MissingExtra, match=r"tunekit-hpo\[optuna\]"):
        sampler.suggest(view_of(FLAT, random_trials(FLAT, 5)), [5])


def test_optuna_is_not_imported_before_a_sampler_is_made():
    code = (
        "import sys, tunekit.samplers.optuna_bridge.sampler as bridge;"
        "assert 'optuna' not in sys.modules;"
        "bridge.OptunaSampler(); assert 'optuna' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_its_logging_level_and_warnings_are_left_as_they_were(caplog):
    before = optuna.logging.get_verbosity()
    filters = list(warnings.filters)
    with caplog.at_level(logging.DEBUG):
        run(OptunaSampler("cmaes"), TREE, 12)
    assert optuna.logging.get_verbosity() == before
    assert warnings.filters == filters


def test_an_ordered_categorical_is_an_integer_and_special_values_a_switch():
    space = Space(size=Categorical(["s", "m", "l"], ordered=True), c=Int(1, 9, special=(-1,)))
    told, distributions = Codec(space).told(Params({"size": "l", "c": -1}))
    assert told == {"size": 2, "c#special": 0}
    assert isinstance(distributions["size"], optuna.distributions.IntDistribution)


@pytest.mark.parametrize(
    ("lo", "hi", "step", "n"),
    [(0.0, 0.3, 0.1, 4), (0.1, 0.7, 0.2, 4), (4.839591425936219e-12, 0.10000000000483959, 0.1, 2)],
)
def test_every_value_of_a_range_whose_steps_are_no_exact_floats_is_asked(lo, hi, step, n):
    space = Space(x=Float(lo, hi, step=step))
    view = view_of(space)
    sampler = OptunaSampler("random")
    seen = {p.params["x"] for p in sampler.suggest(view, range(60))}
    assert len(seen) == n
    assert space.default()["x"] in {*seen}
    assert all(space.validate({"x": v}) == {"x": v} for v in seen)
