"""Stoppers keep what they have read: they answer as fresh ones do, at the cost of the changes."""

from __future__ import annotations

import random

import pytest

from tunekit.history import History
from tunekit.records import Checkpoint, ObjectiveSpec, Report, TrialRecord, TrialState
from tunekit.stoppers.asha import AshaStopper
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.curve_log import Curves
from tunekit.stoppers.hyperband import HyperbandStopper
from tunekit.stoppers.losses import LossCurveReader
from tunekit.stoppers.median import MedianStopper
from tunekit.stoppers.optuna_pruner import OptunaPrunerStopper
from tunekit.stoppers.pbt import PbtStopper
from tunekit.stoppers.second_look import SecondLookStopper

LOSS = (ObjectiveSpec("loss"),)
TWO = (ObjectiveSpec("loss"), ObjectiveSpec("speed", "maximize"))
ENDS = (TrialState.COMPLETE,) * 4 + (TrialState.STOPPED, TrialState.FAILED, TrialState.PAUSED)

MAKERS = {
    "median": lambda: MedianStopper(min_reports=2, min_trials=3),
    "median at the step": lambda: MedianStopper(min_reports=1, min_trials=2, others="at_step"),
    "asha": lambda: AshaStopper(min_resource=1),
    "asha by steps": lambda: AshaStopper(min_resource=2, unit="steps", eta=3),
    "asha with pauses": lambda: AshaStopper(min_resource=1, mode="promote"),
    "asha of two": lambda: AshaStopper(min_resource=1),
    "hyperband": lambda: HyperbandStopper(min_resource=1),
    "second_look": lambda: SecondLookStopper(min_resource=1),
    "second_look by steps": lambda: SecondLookStopper(min_resource=1, unit="steps"),
    "pbt": lambda: PbtStopper(interval=2),
    "optuna's median": lambda: OptunaPrunerStopper("MedianPruner", n_startup_trials=2),
    "optuna's halving": lambda: OptunaPrunerStopper(
        "SuccessiveHalvingPruner", min_resource=1, reduction_factor=2
    ),
}


class Played:
    """A study to which things happen at random."""

    def __init__(self, seed, objectives=LOSS, *, only_grows=False):
        self.only_grows = only_grows
        self.random = random.Random(seed)
        self.curves = Curves()
        self.history = History(objectives)
        self.n = self.seq = 0

    def view(self):
        return CurveView(self.history.objectives, self.history, self.curves)

    def copied(self):
        """Return the same as others would see it who were not there."""
        history = History(self.history.objectives)
        history.update(self.history, self.history.cursor)
        return CurveView(history.objectives, history, {n: [*r] for n, r in self.curves.items()})

    def is_running(self, number):
        trial = self.history.get(number)
        return trial is not None and trial.state is TrialState.RUNNING

    def put(self, number, state, **more):
        self.seq += 1
        metrics = {"loss": self.value(), "speed": 1.0} if state is TrialState.COMPLETE else {}
        saved = (Checkpoint(0, 1),) if number % 2 else ()
        record = TrialRecord(number, state, self.seq, metrics=metrics, checkpoints=saved, **more)
        self.history.update([record], self.seq)

    def value(self):
        return self.random.choice([0.1, 0.5, self.random.random(), self.random.random(), 1e40])

    def report(self, number, step=None):
        step = len(self.curves.get(number, ())) if step is None else step
        speed = float(self.random.randrange(3))
        self.curves.add(number, Report(step, {"loss": self.value(), "speed": speed}))

    def happen(self):
        """Let one thing happen; return the trial to ask about, if any."""
        running = [n for n in range(self.n) if self.is_running(n)]
        what = self.random.random()
        if not running or what < 0.15:
            self.put(self.n, TrialState.RUNNING)
            self.n += 1
            return None
        number = self.random.choice(running)
        if what < 0.3:
            held = {"stop_evidence": {"unit": "reports", "rung": self.random.choice([1, 2, 4])}}
            state = self.random.choice(ENDS)
            self.put(number, state, **(held if state is not TrialState.COMPLETE else {}))
            return None
        if self.only_grows:
            what = 1.0
        if what < 0.34:  # another worker's curve comes late, or a trial goes back to a checkpoint
            other = self.random.randrange(self.n)
            self.curves.put(other, [*self.curves.get(other, ())][: self.random.randrange(4)])
            return None
        if what < 0.36:
            self.curves.drop(self.random.randrange(self.n))
            return None
        if what < 0.38:  # a trial that was thought to have ended runs again
            self.put(self.random.randrange(self.n), TrialState.RUNNING)
            return None
        if what < 0.44:  # a late report, or a step once more
            self.report(number, self.random.randrange(3))
            return number
        self.report(number)
        return number


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", MAKERS)
def test_whatever_changes_between_two_questions_the_answer_is_that_of_a_fresh_stopper(name, seed):
    # What Optuna has noted on a trial stays when others lose reports, or it is not obeyed.
    only_grows = name == "optuna's halving"
    study = Played(seed, TWO if name == "asha of two" else LOSS, only_grows=only_grows)
    kept, asked, ended = MAKERS[name](), 0, 0
    for _ in range(400):
        number = study.happen()
        if number is None:
            continue
        decision = kept.decide(number, study.view())
        assert decision == MAKERS[name]().decide(number, study.copied())
        asked += 1
        ended += decision.action != "continue"
        if only_grows and decision.action != "continue":
            study.put(number, TrialState.STOPPED)
        if name == "asha with pauses":
            assert kept.promote(study.view()) == MAKERS[name]().promote(study.copied())
    assert asked > 150 and ended > 0


@pytest.mark.parametrize("name", [n for n in MAKERS if n != "asha of two"])
def test_a_question_reads_the_curves_that_have_changed_however_many_there_are(name, monkeypatch):
    read = []
    real = LossCurveReader.read
    monkeypatch.setattr(
        LossCurveReader, "read", lambda s, n, *rest: read.append(n) or real(s, n, *rest)
    )
    study, stopper = Played(0), MAKERS[name]()

    def run_one():
        number, study.n = study.n, study.n + 1
        study.put(number, TrialState.RUNNING)
        for _ in range(8):
            study.report(number)
            stopper.decide(number, study.view())
        study.put(number, TrialState.COMPLETE)

    costs = []
    for n in (20, 200):
        while study.n < n:
            run_one()
        read.clear()
        run_one()
        costs.append(len(read))
    assert costs[1] <= costs[0] + 8  # rungs that are reached meanwhile


def test_a_median_of_very_many_steps_is_the_same_though_it_keeps_few(monkeypatch):
    from tunekit.stoppers import median

    monkeypatch.setattr(median, "MAX_STEPS", 2)
    test_whatever_changes_between_two_questions_the_answer_is_that_of_a_fresh_stopper("median", 5)
