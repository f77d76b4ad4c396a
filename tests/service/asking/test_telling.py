from __future__ import annotations

import math

import pytest

import tunekit as tk
from tests.service.asking.team import SPACE, Team
from tunekit.errors import (
    InvalidArgument,
    InvalidResult,
    LeaseLost,
    TrialConflict,
    UnknownTrial,
)
from tunekit.records import TrialState

CURVES = [[9.0 - 0.1 * step * (1 + n % 3) for step in range(1, 9)] for n in range(12)]
CURVES[5] = [20.0] * 8
CURVES[9] = [30.0] * 8


def test_a_result_is_final_and_may_be_repeated(team: Team) -> None:
    study = team.study()
    worker = team.worker(study)
    trial = worker.ask_one()
    told = {"key": "k1", "user_attrs": {"host": "a"}}
    assert worker.tell(trial, 0.5, **told) == {"status": "ok", "state": "complete"}
    assert worker.tell(trial, 0.5, **told) == {"status": "ok", "state": "complete"}
    with pytest.raises(TrialConflict):
        worker.tell(trial, 0.4)
    (stored,) = study.trials
    assert stored.metrics == {"loss": 0.5} and stored.user_attrs == {"host": "a"}


@pytest.mark.parametrize("value", [math.nan, math.inf, {"$float": "-inf"}])
def test_a_result_that_is_not_finite_diverges(team: Team, value) -> None:
    worker = team.worker(team.study())
    assert worker.tell(worker.ask_one(), metrics={"loss": value})["state"] == "diverged"


def test_a_plain_value_is_the_only_objective(team: Team) -> None:
    study = team.study()
    worker = team.worker(study)
    worker.tell(worker.ask_one(), value=0.25)
    assert study.trials[0].metrics == {"loss": 0.25}


def test_a_result_without_its_metrics_is_refused_and_may_be_told_again(team: Team) -> None:
    worker = team.worker(team.study(constraints=["size <= 3"]))
    trial = worker.ask_one()
    for given in ({}, {"metrics": {"other": 1.0}}, {"metrics": {"loss": 1.0}}, {"value": 1.0}):
        with pytest.raises(InvalidResult):
            worker.tell(trial, **given)
    with pytest.raises(InvalidArgument):
        worker.tell(trial, 1.0, state="running")
    assert worker.tell(trial, metrics={"loss": 1.0, "size": 2.0})["state"] == "complete"


def test_a_failed_trial_keeps_its_reason_and_traceback(team: Team) -> None:
    study = team.study()
    worker = team.worker(study)
    worker.tell(worker.ask_one(), state="failed", reason="out of memory", error="Traceback ...")
    (stored,) = study.trials
    assert stored.state is TrialState.FAILED
    assert (stored.end_reason, stored.error) == ("out of memory", "Traceback ...")


def test_whoever_lost_a_trial_learns_it_from_each_request(team: Team) -> None:
    worker = team.worker(team.study())
    trial = worker.ask_one()
    worker.release(trial)
    again = worker.ask_one()
    assert (again["number"], again["epoch"]) == (trial["number"], 2)
    for send in (
        lambda: worker.tell(trial, 1.0),
        lambda: worker.report(trial, (1, 1.0)),
        lambda: worker.renew(trial),
        lambda: worker.release(trial),
    ):
        with pytest.raises(LeaseLost):
            send()
    with pytest.raises(UnknownTrial):
        worker.tell({"number": 7, "epoch": 1}, 1.0)
    worker.tell(again, 1.0)


def test_reports_and_heartbeats_extend_the_lease(team: Team) -> None:
    study = team.study()
    worker = team.worker(study)
    trial = worker.ask(lease_s=50)["trials"][0]
    leases = [study.trials[0].lease_until]
    worker.report(trial, (1, 1.0), lease_s=500)
    leases.append(study.storage.changes(worker.study_id).trials[0].lease_until)
    worker.renew(trial, 5000)
    leases.append(study.storage.changes(worker.study_id).trials[0].lease_until)
    assert leases[0] + 300 < leases[1] < leases[2] - 3000


def local_decisions(**settings):
    """Return what a run in this process decides: trial number -> reports until its end, state."""
    study = tk.study("local", space=SPACE, objectives="loss", seed=1, **settings)
    found = {}
    for curve in CURVES:
        trial = study.ask()
        for step, value in enumerate(curve, 1):
            trial.report({"loss": value}, step, raise_on_stop=False)
            if trial.should_prune():
                found[trial.number] = step, trial.last_decision.reason
                study.tell(trial, state="stopped")
                break
        else:
            found[trial.number] = len(curve), ""
            study.tell(trial, {"loss": curve[-1]})
    return found, study


@pytest.mark.parametrize("stopper", ["median", "asha"])
def test_the_service_stops_the_trials_that_a_local_run_stops(team: Team, stopper: str) -> None:
    settings = {"stopper": stopper, "audit": 0.0, "sampler": "random"}
    local, of_local = local_decisions(**settings)
    study = team.study(**settings)
    worker = team.worker(study)
    found = {}
    for curve in CURVES:
        trial = worker.ask_one()
        found[trial["number"]] = len(curve), ""
        for step, value in enumerate(curve, 1):
            decision = worker.report(trial, (step, value))
            if decision["action"] != "continue":
                found[trial["number"]] = step, decision["reason"]
                worker.tell(trial, state="stopped")
                break
        else:
            worker.tell(trial, curve[-1])
    assert found == local
    assert any(reason for _, reason in found.values())
    for ours, theirs in zip(study.trials, of_local.trials, strict=True):
        assert (ours.state, ours.metrics) == (theirs.state, theirs.metrics)
        assert (ours.end_reason, ours.stop_evidence) == (theirs.end_reason, theirs.stop_evidence)


def test_a_batch_of_reports_is_judged_like_single_ones(team: Team) -> None:
    study = team.study(stopper="median", audit=0.0)
    worker = team.worker(study)
    for _ in range(5):
        trial = worker.ask_one()
        worker.report(trial, *[(step, 1.0) for step in range(1, 9)])
        worker.tell(trial, 1.0)
    bad = worker.ask_one()
    points = [(step, 50.0) for step in range(1, 9)]
    decision = worker.report(bad, *points)
    assert decision["action"] == "stop" and decision["evidence"]["stopper"] == "median"
    assert worker.report(bad, *points) == decision  # sent again, because the answer was lost


def test_the_audit_of_a_verdict_is_stored_with_the_result(team: Team) -> None:
    study = team.study(stopper="median", audit=1.0)
    worker = team.worker(study)
    for loss in (1.0, 1.0, 1.0, 1.0, 1.0, 50.0):
        trial = worker.ask_one()
        decision = worker.report(trial, *[(step, loss) for step in range(1, 9)])
        assert decision["action"] == "continue"
        worker.tell(trial, loss)
    assert study.stop_audit().n_audited == 1


def test_a_paused_trial_is_promoted_for_the_next_worker(team: Team) -> None:
    options = {"mode": "promote", "min_resource": 1}
    study = team.study(stopper="hyperband", stopper_options=options, audit=0.0)
    worker = team.worker(study)
    told = []
    for _ in range(16):
        trial = worker.ask_one()
        told.append(trial["number"])
        for step in range((trial["start_step"] or 0) + 1, 9):
            report = {"step": step, "metrics": {"loss": trial["params"]["x"]}, "checkpoint": True}
            decision = worker.report(trial, reports=[report])
            if decision["action"] != "continue":
                break
        states = {"continue": "complete", "pause": "paused", "stop": "stopped"}
        state = states[decision["action"]]
        worker.tell(trial, trial["params"]["x"] if state == "complete" else None, state=state)
    counts = {state: sum(t.state is state for t in study.trials) for state in TrialState}
    assert counts[TrialState.RUNNING] == 0
    assert len(set(told)) < len(told)


def test_a_cancelled_study_stops_its_trials_with_their_next_report(team: Team) -> None:
    study = team.study()
    worker = team.worker(study)
    trial = worker.ask_one()
    study.cancel()
    decision = worker.report(trial, (1, 1.0))
    assert (decision["action"], decision["reason"]) == ("stop", "the study was cancelled")
