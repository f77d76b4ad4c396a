"""Trials evaluated by hand go the same way as those of a run."""

import pytest

import tunekit as tk
from tunekit.errors import LeaseLost, UnknownTrial
from tunekit.records import TrialState
from tunekit.storages.memory.storage import MemoryStorage

SPACE = tk.Space(x=tk.Float(0, 1))


def report_twice(trial):
    trial.report({"value": 2.0, "size": 7.0}, 0)
    trial.report({"value": 0.5}, 1)


def report_late(trial):
    report_twice(trial)
    trial.report({"value": 1.5}, 0)
    trial.report({}, 2)


def stop_after_reports(trial):
    report_late(trial)
    raise tk.TrialStopped("enough")


@pytest.mark.parametrize("state", [TrialState.STOPPED, TrialState.PAUSED])
@pytest.mark.parametrize("by", ["trial", "number", "another process"])
@pytest.mark.parametrize("reports", [report_twice, report_late])
def test_a_trial_that_is_cut_short_keeps_the_report_of_its_last_step(by, state, reports, tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    study = tk.study("s", space=SPACE, storage=url)
    other = tk.load_study("s", storage=url)
    trial = study.ask()
    reports(trial)
    told = {
        "trial": lambda: study.tell(trial, state=state),
        "number": lambda: study.tell(trial.number, state=state),
        "another process": lambda: other.tell(trial.number, state=state),
    }[by]()
    assert told.state is state
    assert told.metrics == {"value": 0.5}
    assert study.trials[0].metrics == {"value": 0.5}


def test_a_stopped_trial_is_stored_alike_by_hand_and_by_a_run():
    run, hand = (tk.study(space=SPACE, sampler="random", seed=1) for _ in range(2))
    run.optimize(stop_after_reports, n_trials=1)
    trial = hand.ask()
    report_late(trial)
    told, stored = hand.tell(trial, state="stopped", reason="enough"), run.trials[0]
    for name in ("state", "metrics", "end_reason", "stop_evidence", "params", "user_attrs"):
        assert getattr(told, name) == getattr(stored, name)


def test_a_result_that_is_told_goes_before_the_last_report():
    study = tk.study(space=SPACE)
    trial = study.ask()
    report_twice(trial)
    assert study.tell(trial, 0.25, state="stopped").metrics == {"value": 0.25}
    trial = study.ask()
    report_twice(trial)
    assert study.tell(trial, state="failed").metrics == {}
    assert study.tell(study.ask(), state="stopped").metrics == {}


@pytest.mark.parametrize("by_number", [False, True])
def test_a_trial_that_stopped_after_nan_has_diverged_as_in_a_run(by_number):
    study = tk.study(space=SPACE)
    trial = study.ask()
    trial.report(float("nan"), 0)
    told = study.tell(trial.number if by_number else trial, state="stopped")
    assert told.state is TrialState.DIVERGED


def test_a_trial_told_by_its_number_keeps_what_it_has_noted():
    study = tk.study(sampler="random")
    trial = study.ask()
    x = trial.suggest_float("x", 0, 1)
    trial.set_user_attr("note", "kept")
    told = study.tell(trial.number, x)
    assert (told.params, told.user_attrs) == ({"x": x}, {"note": "kept"})


def test_a_parameter_asked_as_another_kind_fails_the_trial_that_is_told():
    study = tk.study(sampler="random")
    trial = study.ask()
    trial.suggest_int("n", 1, 9)
    study.tell(trial, 1.0)
    trial = study.ask()
    trial.suggest_float("n", 0, 1)
    told = study.tell(trial, 1.0)
    assert told.state is TrialState.FAILED
    assert '"n" was asked as Int' in told.end_reason
    trial = study.ask()
    trial.suggest_int("n", 1, 9)
    assert study.tell(trial, 1.0).state is TrialState.COMPLETE


class Reading(MemoryStorage):
    """Counts the reports that were read."""

    n_read = 0

    def reports(self, study_id, numbers=None):
        found = super().reports(study_id, numbers)
        self.n_read += sum(map(len, found.values()))
        return found


def evaluate(study, n, n_reports=10):
    for _ in range(n):
        trial = study.ask()
        for step in range(n_reports):
            trial.report(trial.params["x"], step, raise_on_stop=False)
        study.tell(trial, trial.params["x"])


def test_reports_are_read_once_however_many_a_study_has():
    storage = Reading()
    study = tk.study("s", space=SPACE, storage=storage, sampler="random", stopper="median", seed=1)
    evaluate(study, 30)
    assert storage.n_read == 0
    other = tk.load_study("s", storage=storage)
    evaluate(other, 30)
    assert storage.n_read == 300
    assert len(study.trials) == 60
    evaluate(study, 1)  # its curves of the other one's trials come with its next trial
    assert storage.n_read == 600


def test_a_stopper_is_shown_the_curves_of_trials_that_another_process_has_told(tmp_path):
    shown = {}

    class Watching:
        name = "watching"

        def decide(self, number, view):
            shown[number] = {n: len(reports) for n, reports in view.reports.items()}
            return tk.records.CONTINUE

    url = f"sqlite:///{tmp_path}/s.db"
    study = tk.study("s", space=SPACE, storage=url, stopper=Watching(), sampler="random")
    other = tk.load_study("s", storage=url, stopper=Watching(), sampler="random")
    trials = [study.ask(), other.ask()]
    for step in range(3):
        trials[1].report(1.0, step)
    other.tell(trials[1], 1.0)
    _ = study.trials  # somebody else reads the news before the stopper is asked
    trials[0].report(1.0, 0)
    assert shown[0] == {0: 1, 1: 3}


def test_a_report_after_the_trial_was_told_says_stop():
    study = tk.study(space=SPACE)
    trial = study.ask()
    study.tell(trial, 1.0)
    assert trial.report(1.0, 0, raise_on_stop=False).action == "stop"
    assert study.reports() == {}


def test_a_trial_that_cannot_be_begun_is_given_back(monkeypatch):
    study = tk.study(space=SPACE)

    def origin(*args):
        raise OSError("the place is gone")

    with monkeypatch.context() as patch:
        patch.setattr(study._worker.checkpoints, "origin", origin)
        with pytest.raises(OSError, match="the place is gone"):
            study.ask()
    assert [t.state for t in study.trials] == [TrialState.WAITING]
    assert study.ask().number == 0


def test_a_run_to_a_total_does_not_wait_for_what_its_own_process_is_still_to_tell():
    study = tk.study(space=tk.Space(x=tk.Float(0, 1)), sampler="random")
    by_hand = [study.ask(), study.ask()]
    assert study.optimize(lambda trial: trial.params["x"], total_trials=5) == "done"
    assert study.refresh().counts() == {TrialState.RUNNING: 2, TrialState.COMPLETE: 3}
    for trial in by_hand:
        study.tell(trial, 1.0)
    assert study.refresh().counts() == {TrialState.COMPLETE: 5}


def test_a_trial_is_reported_by_its_number_also_from_another_process(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    given = {"stopper": "median", "stopper_options": {"min_reports": 3, "min_trials": 2}}
    study = tk.study("s", space=SPACE, storage=url, seed=1, audit=0.0, **given)
    for _ in range(2):
        trial = study.ask()
        for step in range(3):
            assert study.report(trial, 1.0, step).action == "continue"
        study.tell(trial, 1.0)
    late, gone = study.ask().number, study.ask()
    for step in range(2):
        assert study.report(late, 9.0, step).action == "continue"
    other = tk.load_study("s", storage=url)
    decision = other.report(late, {"value": 8.0}, 2)
    assert (decision.action, decision.evidence["best"]) == ("stop", 8.0)
    assert [r.step for r in study.reports(late)[late]] == [0, 1, 2]
    told = other.tell(late, state="stopped")
    assert (told.state, told.metrics) == (TrialState.STOPPED, {"value": 8.0})
    assert told.end_reason == decision.reason
    study.storage.expire(study.id, [(gone.number, 1)])
    assert other.ask().number == gone.number
    assert study.report(gone, 1.0, 0).action == "stop"  # it belongs to another process now
    with pytest.raises(LeaseLost, match="is stopped and takes no reports"):
        study.report(late, 1.0, 3)
    with pytest.raises(UnknownTrial):
        study.report(99, 1.0, 0)
