"""Seeded sick studies trigger exactly their own check, sound ones none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.analysis.seeded_studies import FLAT, SICK, SOUND, TREE, at_a_boundary, bowl, study
from tunekit.analysis.health import CHECKS
from tunekit.records import StudySpec
from tunekit.spaces import Float, Space

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
