"""Ended trials are folded once each, in the order they ended, whatever happens to the past."""

from __future__ import annotations

import random
from dataclasses import replace

from tunekit.history import History
from tunekit.records import Proposal, TrialState
from tunekit.samplers.evolutionary.arrivals import Arrivals
from tunekit.spaces import Float, Space
from tunekit.testing.samplers import ended, view_of

SPACE = Space(x=Float(0, 1))


class Told:
    def __init__(self, view):
        self.trials = []

    def tell(self, trial, history):
        self.trials.append((trial.seq, trial.number, trial.state))


def trial(number, seq, state=TrialState.COMPLETE):
    done = ended(number, Proposal(SPACE.default(), "x"))
    return replace(done, seq=seq, state=state)


def test_each_ended_trial_is_told_once_to_the_same_state():
    view = view_of(SPACE)
    arrivals = Arrivals(Told)
    first = arrivals.state(view)
    for seq in range(1, 200, 2):
        running = trial(seq // 2 + 1, seq, TrialState.RUNNING)
        view.history.update([running, trial(seq // 2, seq + 1)], seq + 1)
        told = arrivals.state(view)
        assert told is first
        assert len(told.trials) == seq // 2 + 1
    assert arrivals.state(replace(view, seed=8)) is not first


def test_a_kept_state_is_that_of_a_fresh_one_whatever_has_changed():
    chance, view, kept = random.Random(1), view_of(SPACE), Arrivals(Told)
    ends = [TrialState.COMPLETE, TrialState.FAILED, TrialState.LOST, TrialState.STOPPED]
    for seq in range(1, 400):
        state = chance.choice([*ends, TrialState.RUNNING, TrialState.RUNNING])
        # Mostly a new trial, now and then one that had ended already.
        number = chance.randrange(seq) if chance.random() < 0.1 else seq
        found = trial(number, seq, state)
        if chance.random() < 0.05:
            found = replace(found, params=None)
        view.history.update([found], seq)
        if chance.random() < 0.05:  # another reader's history
            copied = History(view.objectives)
            copied.update(view.history, seq)
            view = replace(view, history=copied)
        if chance.random() < 0.5:
            assert kept.state(view).trials == Arrivals(Told).state(view).trials
