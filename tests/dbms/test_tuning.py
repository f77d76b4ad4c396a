"""Tuning runs on the simulated server: their order, their ends, and what they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tests.dbms.simulated import DEFAULTS, Queries, SimulatedTarget
from tunekit.errors import InvalidArgument
from tunekit.records import TrialState
from tunekit_integrations.dbms.finalists import best_first
from tunekit_integrations.dbms.journal import Journals
from tunekit_integrations.dbms.protocol import Protocol
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.records import FailureKind, Settings
from tunekit_integrations.dbms.tuning import Tuned, tune_knobs

QUICK = ProtocolOptions(n_blocks=1, round_blocks=1, patience_s=0.0)


def faster(settings: Settings) -> float:
    return 0.8 if settings.get("turbo") else 1.0


def tuned(target: SimulatedTarget, tmp_path: Path, **given: Any) -> Tuned:
    given = {"n_trials": 8, "sampler": "random", "options": QUICK, **given}
    workload = given.pop("workload", Queries())
    journals = Journals(tmp_path / "journals")
    return tune_knobs(target, workload, journals=journals, progress=False, **given)


def test_a_true_gain_is_found_told_and_taken_back(tmp_path: Path) -> None:
    target = SimulatedTarget(tmp_path / "s", faster, slice_sd=0.005, is_private=False)
    target.configure({"work": 8})
    found = tuned(target, tmp_path)
    assert found.settings["turbo"] is True
    assert target.configured == {"work": 8}
    assert target.running == {"work": 8}
    told = found.study.record().spec.attrs["knobs"]
    assert told["accepted"] == found.judged[-1].number
    change = next(c for c in told["changes"] if c["knob"] == "turbo")
    assert (change["before_text"], change["after_text"], change["why"]) == (
        "off", "on", "goes faster",
    )  # fmt: skip
    finalist = told["finalists"][-1]
    assert finalist["verdict"]["n_rounds"] >= 3
    throughput = finalist["measures"][0]
    ratio = throughput["after"]["mean"] / throughput["before"]["mean"]
    assert ratio == pytest.approx(1 / 0.8, rel=0.03)


def test_nothing_to_gain_ends_in_no_significant_gain(tmp_path: Path) -> None:
    found = tuned(SimulatedTarget(slice_sd=0.01, has_twin=True), tmp_path)
    assert found.settings == {}
    assert found.study.record().spec.attrs["knobs"]["accepted"] is None


def test_the_first_trial_is_what_is_in_force_and_is_not_run(tmp_path: Path) -> None:
    target = SimulatedTarget(is_private=False, may_restart=False)
    found = tuned(target, tmp_path, n_trials=1)
    first = found.study.trials[0]
    note = first.user_attrs["knobs"]
    assert (note["origin"], note["settings"]) == ("in force", {})
    assert first.metrics["time_ratio"] == 1.0
    # Four A/A comparisons of two slices on each side, and nothing else.
    assert target.log.count("measure") == QUICK.aa_rounds * 4


def test_a_value_in_force_is_never_proposed_as_a_change(tmp_path: Path) -> None:
    target = SimulatedTarget(tmp_path / "s")
    target.configure({"work": 8, "turbo": True})
    own = {**DEFAULTS, "work": 8, "turbo": True}
    found = tuned(target, tmp_path, n_trials=20)
    for trial in found.study.trials:
        for knob, value in trial.user_attrs["knobs"]["settings"].items():
            assert value != own[knob]


def test_planner_knobs_that_change_no_plan_cost_no_run(tmp_path: Path) -> None:
    target = SimulatedTarget(plans=lambda _: "same")
    found = tuned(target, tmp_path, only=["random_page_cost"], n_trials=4)
    notes = [t.user_attrs["knobs"] for t in found.study.trials]
    assert all("no plan of 2 queries changed" in n["skipped"] for n in notes[1:])
    assert target.log.count("measure") == QUICK.aa_rounds * 4
    ran = tuned(SimulatedTarget(), tmp_path, only=["random_page_cost"], n_trials=4, name="b")
    assert all("skipped" not in t.user_attrs["knobs"] for t in ran.study.trials[1:])


def test_a_much_slower_candidate_is_cut_off_and_stored_as_stopped(tmp_path: Path) -> None:
    target = SimulatedTarget(factor=lambda s: 50.0 if s.get("turbo") else 1.0)
    found = tuned(target, tmp_path, only=["turbo"], n_trials=2)
    slow = found.study.trials[1]
    assert slow.state is TrialState.STOPPED
    assert slow.metrics["time_ratio"] == pytest.approx(2.5)
    assert slow.user_attrs["knobs"]["stopped"]["censored"]
    assert target.log.count("measure") == QUICK.aa_rounds * 4 + 2


def test_a_hopeless_candidate_gets_one_block(tmp_path: Path) -> None:
    target = SimulatedTarget(factor=lambda s: 1.4 if s.get("turbo") else 1.0, slice_sd=0.003)
    options = ProtocolOptions(n_blocks=4, round_blocks=1)
    found = tuned(target, tmp_path, only=["turbo"], n_trials=2, options=options)
    slow = found.study.trials[1]
    assert slow.state is TrialState.STOPPED
    assert "given up: 1." in slow.user_attrs["knobs"]["stopped"]["why"]
    assert target.log.count("measure") == (options.aa_rounds + 1) * 4


@pytest.mark.parametrize("kind", list(FailureKind))
@pytest.mark.parametrize("has_twin", [True, False])
def test_each_failure_is_a_kind_and_ends_no_study(
    tmp_path: Path, kind: FailureKind, has_twin: bool
) -> None:
    target = SimulatedTarget(
        factor=faster, fails=lambda s: kind if s.get("work", 4) != 4 else None, has_twin=has_twin
    )
    found = tuned(target, tmp_path, n_trials=6)
    failed = [t for t in found.study.trials if t.state is TrialState.FAILED]
    assert failed
    assert all(t.user_attrs["knobs"]["failure"]["kind"] == kind for t in failed)
    assert {t.number for t in found.study.trials} == set(range(6))
    assert target.running == {}


def test_other_rows_than_the_defaults_fail_a_candidate(tmp_path: Path) -> None:
    target = SimulatedTarget(factor=faster, rows=lambda s: "others" if s.get("turbo") else "rows")
    found = tuned(target, tmp_path, only=["turbo"], n_trials=2)
    note = found.study.trials[1].user_attrs["knobs"]
    assert note["failure"]["kind"] == "wrong_result"
    assert found.settings == {}


def test_what_the_memory_estimate_refuses_never_reaches_the_server(tmp_path: Path) -> None:
    target = SimulatedTarget(limit_mb=10)
    found = tuned(target, tmp_path, only=["buffers"], n_trials=3)
    kinds = {t.user_attrs["knobs"]["failure"]["kind"] for t in found.study.trials[1:]}
    assert kinds == {"invalid"}
    assert target.log.count("measure") == QUICK.aa_rounds * 4


def test_without_restarts_no_knob_that_takes_one_is_tried(tmp_path: Path) -> None:
    target = SimulatedTarget(is_private=False, may_restart=False)
    found = tuned(target, tmp_path, n_trials=12)
    assert "buffers" not in found.study.record().spec.space
    assert "restart" not in target.log
    told = found.study.record().spec.attrs["knobs"]
    assert told["left_out"]["buffers"] == "takes a restart, which is not allowed"


def test_durability_opens_by_name_only_and_is_labelled(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="closed"):
        tuned(SimulatedTarget(), tmp_path, only=["flush"])
    target = SimulatedTarget(factor=lambda s: 0.5 if s.get("flush") == "off" else 1.0)
    found = tuned(target, tmp_path, only=["flush"], opened=["flush"], n_trials=2)
    told = found.study.record().spec.attrs["knobs"]
    assert found.settings == {"flush": "off"}
    assert told["changes"][0]["risk"] == "durability"
    assert told["changes"][0]["loss"] == "the last transactions"
    note = found.study.trials[found.judged[-1].number].user_attrs["knobs"]
    assert note["losses"] == {"flush": "the last transactions"}


def test_a_study_goes_on_where_it_was(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/s.db"
    tuned(SimulatedTarget(), tmp_path, n_trials=3, storage=storage)
    found = tuned(SimulatedTarget(), tmp_path, n_trials=5, storage=storage)
    origins = [t.user_attrs["knobs"].get("origin") for t in found.study.trials]
    assert len(origins) == 5
    assert origins.count("in force") == 1


def test_a_language_model_advises_with_what_is_tuned_and_costs_stay_known(tmp_path: Path) -> None:
    # No endpoint answers there: the classical sampler goes on by itself.
    llm = {"model": "m", "base": "http://127.0.0.1:9/v1", "timeout_s": 0.1, "retries": 0}
    found = tuned(SimulatedTarget(), tmp_path, n_trials=4, sampler="auto", llm=llm)
    options = found.study.record().spec.sampler_options
    assert (options["cost"], options["budget"]) == ("cost_s", 4)
    assert "Knobs of simulated 1.0 under the workload simulated queries" in options["llm"]["task"]
    assert len(found.study.trials) == 4


def test_a_managed_server_is_not_tuned_here(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="managed by others"):
        tuned(SimulatedTarget(is_managed=True), tmp_path)


def test_a_busy_machine_lets_processor_time_decide(tmp_path: Path) -> None:
    options = ProtocolOptions(n_blocks=1, round_blocks=1, busy_share=0.0)
    found = tuned(SimulatedTarget(), tmp_path, n_trials=2, options=options)
    told = found.study.record().spec.attrs["knobs"]
    assert told["basis"] == "cpu"
    assert told["rule"].startswith("the server's processor time decides, since others used")
    waits = SimulatedTarget(cpu=lambda _: 0.1)
    told = tuned(waits, tmp_path, n_trials=2, options=options, name="b").study.record().spec.attrs
    assert told["knobs"]["basis"] == "wall"
    assert "waited rather than shared" in told["knobs"]["rule"]


def test_of_equal_gains_the_one_with_less_trouble_is_measured_anew_first() -> None:
    target = SimulatedTarget(slice_sd=0.02)
    target.snapshot()
    protocol = Protocol(target, None, Queries(), QUICK)
    protocol.calibrate()
    study = tk.study(space={"n": tk.Int(0, 9)}, objectives="time_ratio")
    many = {"settings": {"turbo": True, "work": 8}, "restart": []}
    restarts = {"settings": {"buffers": 256}, "restart": ["buffers"]}
    few = {"settings": {"turbo": True}, "restart": []}
    far = {"settings": {"work": 8}, "restart": []}
    skipped = {"settings": {"work": 9}, "restart": [], "skipped": "no plan changed"}
    values = (0.80, 0.799, 0.801, 0.95, 0.5)
    for value, note in zip(values, (many, restarts, few, far, skipped), strict=True):
        trial = study.ask()
        trial.set_user_attr("knobs", note)
        study.tell(trial, {"time_ratio": value})
    assert [t.number for t in best_first(study, protocol)] == [2, 1]  # 1 is the best one
