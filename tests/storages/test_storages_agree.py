"""Whatever is done to a study, SQLite and memory answer the same and end in the same state."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tunekit.records import (
    Branch,
    Checkpoint,
    Outcome,
    Proposal,
    Report,
    StudyState,
    TrialRecord,
    TrialState,
)
from tunekit.spaces import Params
from tunekit.storages.base import (
    Claim,
    Operation,
    Pause,
    Release,
    Renew,
    Reports,
    Saved,
    Start,
    Tell,
)
from tunekit.storages.memory.storage import MemoryStorage
from tunekit.storages.urls import open_storage
from tunekit.testing.storages.access import Access

numbers = st.integers(0, 5)
epochs = st.integers(1, 3)
keys = st.sampled_from(["a", "b", "c"])
finite_ends = st.sampled_from([s for s in TrialState if s.is_finished])
attrs = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 9), max_size=2)


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    held = draw(numbers), draw(epochs)
    kind = draw(st.sampled_from([Start, Tell, Tell, Reports, Renew, Release, Saved, Pause]))
    if kind is Start:
        proposal = Proposal(Params(draw(attrs)), "random", evidence=draw(attrs))
        branch = draw(st.none() | st.builds(Branch, numbers, numbers))
        proposal = replace(proposal, branch=branch)
        return Start(*held, proposal, seen=draw(numbers), space_version=draw(epochs))
    if kind is Tell:
        outcome = Outcome(
            draw(finite_ends),
            {"loss": float(draw(numbers))},
            "because",
            params=draw(st.none() | attrs),
            user_attrs=draw(attrs),
        )
        return Tell(*held, outcome, draw(keys))
    if kind is Saved:
        steps = draw(st.lists(numbers, max_size=2))
        return Saved(*held, tuple(Checkpoint(s, held[1], s / 2) for s in steps))
    if kind is Pause:
        params = draw(st.none() | attrs)
        outcome = Outcome(TrialState.PAUSED, {"loss": 0.5}, "rung", params=params)
        return Pause(*held, replace(outcome, user_attrs=draw(attrs), evidence=draw(attrs)))
    if kind is Reports:
        steps = draw(st.lists(numbers, max_size=4))
        return Reports(*held, tuple(Report(s, {"loss": float(i)}) for i, s in enumerate(steps)))
    return Renew(*held) if kind is Renew else Release(*held, "drained", draw(st.booleans()))


class Twins(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.sqlite = open_storage(Path(self.folder.name) / "s.db")
        self.accesses = [Access(s, max_retries=1) for s in (self.sqlite, MemoryStorage())]

    def both(self, use: Callable[[Access], Any]) -> None:
        one, two = [use(access) for access in self.accesses]
        assert one == two

    @rule(batch=st.lists(operations(), max_size=4), n=st.none() | st.integers(0, 3), key=keys)
    def exchange(self, batch: list[Operation], n: int | None, key: str) -> None:
        claim = None if n is None else Claim(n, key, max_trials=5)
        self.both(lambda d: d.storage.exchange(d.id, "w", batch, claim=claim))

    @rule(leases=st.lists(st.tuples(numbers, epochs), max_size=6))
    def expire(self, leases: list[tuple[int, int]]) -> None:
        self.both(lambda d: d.storage.expire(d.id, leases))

    @rule(points=st.lists(attrs, max_size=2), noted=attrs)
    def enqueue(self, points: list[dict[str, int]], noted: dict[str, int]) -> None:
        branch = Branch(0, 1) if noted else None
        self.both(lambda d: d.storage.enqueue(d.id, points, user_attrs=noted, branch=branch))

    @rule(asked=st.sets(numbers, max_size=3))
    def promote(self, asked: set[int]) -> None:
        known = self.accesses[0].trials()
        reasons = {n: "good" for n in sorted(asked) if n in known}
        self.both(lambda d: d.storage.promote(d.id, reasons))

    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        if number < len(self.accesses[0].trials()):
            self.both(lambda d: d.storage.cancel_trial(d.id, number, "by hand"))

    @rule(number=numbers, noted=attrs)
    def note(self, number: int, noted: dict[str, int]) -> None:
        if number < len(self.accesses[0].trials()):
            self.both(lambda d: d.storage.set_trial_attrs(d.id, number, noted))

    @rule(state=st.sampled_from(StudyState))
    def set_state(self, state: StudyState) -> None:
        self.both(lambda d: d.storage.set_state(d.id, state))

    @invariant()
    def they_show_the_same(self) -> None:
        self.both(lambda d: [_timeless(t) for t in d.storage.changes(d.id).trials])
        self.both(lambda d: d.storage.reports(d.id))
        self.both(lambda d: [(e.seq, e.kind, e.number, e.data) for e in d.storage.events(d.id)])

    def teardown(self) -> None:
        self.sqlite.close()
        self.folder.cleanup()


def _timeless(t: TrialRecord) -> TrialRecord:
    def known(moment: float | None) -> float | None:
        return None if moment is None else 1.0

    return replace(
        t,
        created=1.0,
        started=known(t.started),
        finished=known(t.finished),
        lease_until=known(t.lease_until),
    )


TestTwins = Twins.TestCase
TestTwins.settings = settings(
    max_examples=12,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
