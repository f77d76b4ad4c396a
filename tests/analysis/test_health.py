"""Seeded sick studies trigger exactly their own check, sound ones none."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.analysis.seeded_studies import FLAT, SICK, SOUND, TREE, at_a_boundary, bowl, study
from tunekit.analysis.health import CHECKS
from tunekit.analysis.health.evidence import Evidence
from tunekit.analysis.health.predictability import dependence
from tunekit.records import StudySpec, TrialState
from tunekit.spaces import Categorical, Float, Int, Params, Space

SEEDS = (1, 2)


@pytest.mark.parametrize("name", SICK)
def test_a_sick_study_triggers_exactly_its_own_check(name: str) -> None:
    check, make = SICK[name]
    for seed in SEEDS:
        found = make(seed).health()
        assert [f.check for f in found.sick] == [check], str(found)
        [finding] = found.sick
        assert finding.number is not None and finding.unit
        assert finding.text.endswith(".") and finding.advice.endswith(".")


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_study_triggers_no_check(name: str) -> None:
    for seed in SEEDS:
        found = SOUND[name](seed).health()
        assert [f.check for f in found.findings] == list(CHECKS)
        assert not found.sick, str(found)


def test_the_advice_at_a_bound_of_a_log_range_goes_on_by_a_factor() -> None:
    found = at_a_boundary(1).health()["boundary"]
    assert found.paths == ("lr",)
    assert found.action == {"do": "widen", "path": "lr", "hi": pytest.approx(316.0, rel=0.01)}
    assert found.command == "tunekit studies widen seeded lr --hi 316"


def test_a_parameter_of_a_branch_is_judged_by_the_trials_of_its_branch() -> None:
    found = SICK["boundary of a branch"][1](1).health()["boundary"]
    assert found.paths == ("model.svm.c",)
    assert "active when model in {'svm'}" in found.text


def test_a_failing_worker_and_a_failing_branch_are_named() -> None:
    worker = SICK["failing worker"][1](1).health()["failures"]
    assert worker.action == {"do": "inspect", "worker": "host2/1"} and worker.number == 1.0
    branch = SICK["failing branch"][1](1).health()["failures"]
    assert branch.action == {"do": "narrow", "path": "model", "without": "forest"}


def test_a_study_in_which_every_trial_diverges_is_said_to_give_no_result() -> None:
    whole = study(FLAT, bowl(FLAT, {}), n=40, seed=1)
    diverged = [replace(t, state=TrialState.DIVERGED, metrics={}) for t in whole.trials]
    found = replace(whole, trials=diverged).health()
    assert [f.check for f in found.sick] == ["failures"]
    assert found["failures"].text.startswith("40 of 40 trials gave no result")


def test_no_trials_leave_everything_unknown_but_the_missing_stopper() -> None:
    empty = study(TREE, bowl(TREE, {}), n=0, seed=0)
    assert {f.verdict for f in empty.health().findings} == {"unknown", "healthy"}
    assert [f.check for f in empty.health().findings if f.verdict == "healthy"] == ["stopping"]


def test_trials_outside_the_current_space_are_left_out() -> None:
    whole = study(FLAT, bowl(FLAT, {}), n=60, seed=3)
    narrow = Space(lr=Float(1e-3, 1.0, log=True))
    assert replace(whole, space=narrow).health()["boundary"].verdict == "unknown"


def test_the_budget_is_the_attribute_or_what_the_command_was_told() -> None:
    told = StudySpec("s", (), attrs={"run": {"settings": {"trials": 40}}})
    assert told.max_trials == 40
    assert replace(told, attrs={**told.attrs, "max_trials": 30}).max_trials == 30
    assert replace(told, attrs={"max_trials": "many"}).max_trials is None


def test_the_middle_of_all_ranges_is_a_baseline_only_if_somebody_meant_it() -> None:
    whole = study(FLAT, bowl(FLAT, {}), n=60, seed=1)
    first = replace(whole.trials[0], params=FLAT.default(), metrics={"loss": -1.0})
    proposed = replace(whole, trials=[first, *whole.trials[1:]])
    assert proposed.health()["baseline"].verdict == "unknown"
    enqueued = replace(whole, trials=[replace(first, sampler="user"), *whole.trials[1:]])
    assert enqueued.health()["baseline"].is_sick
    declared = Space(
        lr=Float(1e-5, 1.0, log=True, default=0.01), width=Int(8, 512, log=True),
        drop=Float(0.0, 0.9),
    )  # fmt: skip
    first = replace(first, params=declared.default())
    meant = replace(whole, space=declared, trials=[first, *whole.trials[1:]])
    assert meant.health()["baseline"].is_sick


def test_repeats_that_a_finite_branch_makes_likely_are_no_waste() -> None:
    space = Space(
        model=Categorical({"knn": Space(k=Int(1, 50)), "svm": Space(c=Float(0.0, 1.0))}),
        scale=["a", "b", "c"],
    )
    whole = study(space, bowl(space, {}), n=200, seed=4)
    found = whole.health()["duplicates"]
    assert found.number is not None and found.number > 0.05 and not found.is_sick


def test_points_measured_several_times_on_purpose_are_no_waste() -> None:
    whole = study(FLAT, bowl(FLAT, {}), n=100, seed=2, noise=0.1, repeats=8)
    trials = [replace(t, evidence={}) for t in whole.trials]
    assert not replace(whole, trials=trials).health()["duplicates"].is_sick


def test_a_space_that_is_used_up_is_said_to_be() -> None:
    space = Space(a=Int(0, 3), b=bool)
    found = study(space, bowl(space, {}), n=40, seed=2).health()["duplicates"]
    assert found.is_sick
    assert found.advice == "The space has only 8 points: stop the study, or widen its space."


def test_an_optimum_beyond_a_wall_of_failures_is_not_at_the_bound() -> None:
    def cliff(params: Params) -> float:
        place = FLAT.by_path["lr"].domain.to_unit(params["lr"])
        return math.inf if place > 0.88 else bowl(FLAT, {"lr": 0.85})(params)

    whole = study(FLAT, cliff, n=100, seed=3)
    trials = [
        t if math.isfinite(t.metrics["loss"]) else replace(t, state=TrialState.DIVERGED)
        for t in whole.trials
    ]
    assert replace(whole, trials=trials).health()["boundary"].verdict == "healthy"


def test_p_values_of_pure_noise_are_uniform() -> None:
    below = 0
    for seed in range(60):
        made = study(FLAT, lambda _: 0.0, n=40, seed=seed, noise=1.0)
        evidence = Evidence(made.history(), made.space, made.spec, dict)
        below += dependence(evidence, evidence.measured, 0)[1] <= 0.5
    assert 18 <= below <= 42  # all but one in a thousand binomial counts of mean 30
