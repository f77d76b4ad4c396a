"""The sampler of population-based training knows its vacancies without a walk each time."""

from __future__ import annotations

import random

from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState
from tunekit.samplers.pbt import _Vacancies


def test_who_is_to_be_replaced_is_what_a_walk_through_all_trials_finds(monkeypatch):
    chance, history, kept = random.Random(3), History((ObjectiveSpec("loss"),)), _Vacancies()
    found = set()
    for seq in range(1, 300):
        number = seq if chance.random() < 0.8 else chance.randrange(seq)
        state = chance.choice([TrialState.STOPPED, TrialState.STOPPED, TrialState.RUNNING])
        stop = {"parent": 0, "step": 1} if chance.random() < 0.7 else {}
        replaces = {"replaces": chance.randrange(seq)} if chance.random() < 0.6 else {}
        trial = TrialRecord(number, state, seq, evidence=replaces, stop_evidence=stop)
        history.update([trial], seq)
        replaced = {t.evidence.get("replaces") for t in history}
        wanted = [
            t.number
            for t in history
            if t.state is TrialState.STOPPED and t.stop_evidence and t.number not in replaced
        ]
        with monkeypatch.context() as patched:
            if seq > 1:  # it has looked at all trials once
                patched.setattr(History, "__iter__", None)
            vacant = [t.number for t in kept.of(history)]
        assert vacant == wanted
        found.add(len(vacant))
    assert len(found) > 10
