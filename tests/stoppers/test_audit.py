"""Stored verdicts: condemned trials that run on, how they are counted, and who judges."""

import math

import pytest
from scipy.stats import beta

import tunekit as tk
from tunekit.analysis.audit import stop_audit
from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.records import ObjectiveSpec, Report, TrialRecord, TrialState
from tunekit.stoppers.any_of import FirstStopper
from tunekit.stoppers.asha import AshaStopper
from tunekit.stoppers.audited import AuditedPromoter, AuditedStopper, audited, is_drawn
from tunekit.stoppers.median import MedianStopper
from tunekit.stoppers.second_look import SecondLookStopper

SPACE = tk.Space(x=tk.Float(0, 1))
LENGTH = 12
LOSS = (ObjectiveSpec("loss"),)


def curve(trial):
    """Bad values stay bad, so that every verdict is right."""
    for step in range(LENGTH):
        trial.report(trial.params["x"] + 1 / (step + 1), step)
    return trial.params["x"]


def late(trial):
    """Bad values come out best: every verdict is wrong."""
    for step in range(LENGTH - 1):
        trial.report(trial.params["x"], step)
    trial.report(-trial.params["x"], LENGTH - 1)
    return -trial.params["x"]


def run(objective=curve, n_trials=40, **options):
    given = {"sampler": "random", "stopper": "auto", "seed": 3, **options}
    study = tk.study(space=SPACE, **given)
    study.optimize(objective, n_trials=n_trials)
    return study


def test_the_share_is_drawn_by_seed_number_and_stretch():
    drawn = [n for n in range(4000) if is_drawn(7, n, 4, 0.05)]
    assert len(drawn) == pytest.approx(200, abs=45)
    assert drawn == [n for n in range(4000) if is_drawn(7, n, 4, 0.05)]
    assert drawn != [n for n in range(4000) if is_drawn(8, n, 4, 0.05)]
    assert not any(is_drawn(7, n, 4, 0.0) for n in range(100))
    assert all(is_drawn(7, n, 4, 1.0) for n in range(100))
    both = [n for n in drawn if is_drawn(7, n, 4 * 4, 0.05)]
    assert len(both) < 30, "a stretch later few are drawn again"
    assert sum(is_drawn(7, n, 6, 0.05) for n in drawn) > 100, "soon after it most still are"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_audited_trial_runs_on_and_keeps_what_was_first_said(workers):
    study = tk.study(space=SPACE, sampler="random", stopper="asha", seed=3, audit=0.5)
    study.optimize(curve, n_trials=40, workers=workers)
    condemned = [t for t in study.trials if "audit" in t.stop_evidence]
    assert {t.state for t in condemned} == {TrialState.COMPLETE, TrialState.STOPPED}
    for trial in condemned:
        n_reports = len(study.reports()[trial.number])
        assert n_reports == LENGTH if trial.state is TrialState.COMPLETE else n_reports == 8
        verdict = trial.stop_evidence["audit"]
        assert is_drawn(3, trial.number, verdict["step"] + 1, 0.5)
        assert verdict["stopper"] == "asha"
        assert verdict["step"] in (3, 7)
        assert "continue" in verdict["reason"]
        assert verdict["evidence"]["rung"] == verdict["step"] + 1
        assert verdict["at"] > 0
        assert len(study.reports()[trial.number]) > verdict["step"] + 1
    for trial in study.trials:
        if trial.state is TrialState.STOPPED:
            assert not is_drawn(3, trial.number, trial.stop_evidence["step"] + 1, 0.5)
            assert trial.stop_evidence["stopper"] == "asha"
            assert trial.stop_evidence["step"] in (3, 7)
    found = study.stop_audit()
    assert found.n_audited == len(condemned)
    assert found.n_stopped == len([t for t in study.trials if t.state is TrialState.STOPPED])


def test_right_verdicts_have_no_false_stop_and_save_reports():
    study = run(audit=0.3)
    found = study.stop_audit()
    stopped = [t for t in study.trials if t.state is TrialState.STOPPED]
    assert found.n_stopped == len(stopped) > 0
    assert found.n_audited > 0
    assert (found.false_stops, found.false_stop_rate) == ((), 0.0)
    assert found.interval[0] == 0.0
    assert found.interval[1] == pytest.approx(beta.ppf(0.975, 1, found.n_audited))
    n_reports = sum(map(len, study.reports().values()))
    missing = sum(LENGTH - len(study.reports()[t.number]) for t in stopped)
    assert found.horizon == LENGTH
    assert found.saved == pytest.approx(missing / (n_reports + missing))
    assert f"stopped          {len(stopped)}\n" in str(found)
    assert "false stop rate  0.0%" in str(found)


def test_wrong_verdicts_are_found_out():
    found = run(late, audit=0.3).stop_audit()
    assert found.n_audited > 1
    assert 0 < len(found.false_stops) <= found.n_audited
    assert found.false_stop_rate == len(found.false_stops) / found.n_audited
    assert found.interval[0] > 0
    assert ", ".join(map(str, found.false_stops)) in str(found)


def test_without_audited_trials_the_rate_is_unknown():
    found = run(audit=0.0).stop_audit()
    assert found.n_stopped > 0
    assert (found.n_audited, found.false_stop_rate, found.interval) == (0, None, (0.0, 1.0))
    assert "unknown" in str(found)
    nothing = tk.study(space=SPACE).stop_audit()
    assert (nothing.saved, nothing.n_reports) == (None, 0)
    assert "no complete trial has reported" in str(nothing)


def record(number, loss, state=TrialState.COMPLETE, *, condemned=False, metric="loss"):
    evidence = {"audit": {"step": 1, "stopper": "asha"}} if condemned else {}
    metrics = loss if isinstance(loss, dict) else {metric: loss}
    return TrialRecord(number, state, seq=number + 1, metrics=metrics, stop_evidence=evidence)


def judged(records, objectives=LOSS, **options):
    history = History(objectives)
    history.update(records, 0)
    return stop_audit(history, {}, **options)


def test_within_the_tolerance_counts_as_the_best():
    trials = [record(0, 1.0), record(1, 1.05, condemned=True), record(2, 2.0, condemned=True)]
    assert judged(trials).false_stops == ()
    assert judged(trials, tolerance=0.1).false_stops == (1,)
    up = (ObjectiveSpec("loss", "maximize"),)
    assert judged(trials, up).false_stops == (1, 2)
    with pytest.raises(InvalidArgument, match="of 0 or more"):
        judged(trials, tolerance=-1)


def test_diverged_trials_are_right_stops_and_failed_ones_say_nothing():
    trials = [
        record(0, 1.0),
        record(1, math.nan, TrialState.DIVERGED, condemned=True),
        record(2, {}, TrialState.FAILED, condemned=True),
    ]
    found = judged(trials)
    assert (found.n_audited, found.false_stops) == (1, ())


def test_of_several_objectives_what_nobody_dominates_is_a_false_stop():
    two = (ObjectiveSpec("a"), ObjectiveSpec("b", "maximize"))
    trials = [
        record(0, {"a": 1.0, "b": 1.0}),
        record(1, {"a": 2.0, "b": 2.0}, condemned=True),
        record(2, {"a": 2.0, "b": 0.5}, condemned=True),
    ]
    assert judged(trials, two).false_stops == (1,)


def test_reports_after_the_verdict_are_the_price_of_the_audit():
    history = History(LOSS)
    history.update([record(0, 1.0), record(1, 2.0, condemned=True)], 0)
    reports = {n: [Report(s, {"loss": 1.0}) for s in range(5)] for n in (0, 1)}
    assert stop_audit(history, reports).n_audit_reports == 3


def test_a_trial_that_is_stopped_for_nan_keeps_its_evidence_and_counts():
    def broken(trial):
        for step in range(LENGTH):
            trial.report(math.nan if trial.number % 2 else 1.0, step)
        return 1.0

    study = run(broken, n_trials=4, stopper=["threshold", "asha"], audit=0.0)
    assert study.trials[1].state is TrialState.DIVERGED
    assert study.trials[1].stop_evidence["stopper"] == "threshold"
    assert study.stop_audit().n_stopped == 2


def test_asked_trials_are_audited_as_well():
    study = tk.study(space=SPACE, sampler="random", stopper="threshold", seed=1, audit=1.0)
    trial = study.ask()
    decision = trial.report(math.nan, 0)
    assert decision.action == "continue"
    assert "audit" in decision.reason
    told = study.tell(trial, 0.5)
    assert told.stop_evidence["audit"]["step"] == 0
    hard = tk.study(space=SPACE, sampler="random", stopper="threshold", seed=1, audit=0.0)
    trial = hard.ask()
    with pytest.raises(tk.TrialStopped):
        trial.report(math.nan, 0)
    assert hard.tell(trial, state="stopped").stop_evidence["stopper"] == "threshold"


def test_only_a_stopper_that_promotes_is_audited_as_one():
    assert isinstance(audited(AshaStopper(), seed=0, share=0.1), AuditedPromoter)
    plain = audited(MedianStopper(), seed=0, share=0.1)
    assert type(plain) is AuditedStopper


def test_load_study_judges_as_the_study_was_made(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    several = {"stopper": ["threshold", "asha"], "stopper_options": {"asha": {"eta": 4}}}
    tk.study("several", space=SPACE, storage=url, audit=0.2, **several)
    study = tk.load_study("several", storage=url)
    assert isinstance(study.stopper, FirstStopper)
    assert (study.stopper.stoppers[1].eta, study.audit) == (4, 0.2)
    tk.study("one", space=SPACE, storage=url, stopper="asha", stopper_options={"eta": 3})
    one = tk.load_study("one", storage=url)
    assert (one.stopper.eta, one.audit) == (3, 0.05)
    assert tk.load_study("one", storage=url, stopper=[]).stopper is None
    assert isinstance(tk.load_study("one", storage=url, stopper="median").stopper, MedianStopper)
    tk.study("none", space=SPACE, storage=url, stopper=AshaStopper())
    assert tk.load_study("none", storage=url).stopper is None


def test_nothing_is_stopped_unless_it_is_asked_for():
    assert tk.study(space=SPACE).stopper is None
    default = tk.study(space=SPACE, stopper="auto").stopper
    assert isinstance(default, SecondLookStopper)
    assert (default.share, default.second_until) == (1.0, 16)
