"""Tests reads: cursors, events, reports."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tunekit.errors import InvalidArgument, UnknownTrial
from tunekit.records import Report, StudyState, TrialState
from tunekit.storages.base import Changes, Claim, Renew, Reports, Storage
from tunekit.testing.storages.desk import Desk, Rules, new_key, start, tell


class ReadRules(Rules):
    """Rules: a reader that keeps its cursor reads each change exactly once."""

    def test_changes_come_once_in_their_latest_form(self, desk: Desk) -> None:
        a, b = desk.claim(2)
        first = desk.storage.changes(desk.id)
        assert [(t.number, t.seq) for t in first.trials] == [(0, 1), (1, 2)]
        assert first.cursor == 2
        desk.send(start(b), start(a), tell(b))
        second = desk.storage.changes(desk.id, first.cursor)
        assert [(t.number, t.state) for t in second.trials] == [
            (0, TrialState.RUNNING),
            (1, TrialState.COMPLETE),
        ]
        assert second.cursor == 5
        third = desk.storage.changes(desk.id, second.cursor)
        assert (third.trials, third.cursor) == ((), 5)

    def test_an_exchange_returns_all_changes_after_a_cursor_with_its_own(self, desk: Desk) -> None:
        first, other = desk.take(), desk.take(worker="other")
        cursor = desk.storage.changes(desk.id).cursor
        desk.send(tell(other), worker="other")
        exchange = partial(desk.storage.exchange, desk.id, "w")
        answer = exchange([tell(first)], claim=Claim(1, new_key()), after=cursor)
        assert answer.changes == desk.storage.changes(desk.id, cursor)
        assert [t.number for t in answer.changes.trials] == [1, 0, 2]
        assert exchange(after=answer.changes.cursor).changes == Changes((), cursor + 3)
        assert exchange().changes is None
        for wrong in (2**63, 1.5):
            with pytest.raises(InvalidArgument, match="after="):
                exchange(after=wrong)  # type: ignore[arg-type]

    def test_every_change_takes_the_next_number_and_an_event(self, desk: Desk) -> None:
        desk.enqueue({"x": 1})
        lease = desk.take()
        desk.storage.set_state(desk.id, StudyState.PAUSED)
        desk.storage.set_attrs(desk.id, {"a": 1})
        desk.storage.set_trial_attrs(desk.id, 0, {"a": 1})
        desk.send(tell(lease))
        events = desk.storage.events(desk.id)
        assert [e.seq for e in events] == list(range(1, 8))
        assert [(e.kind, e.number) for e in events] == [
            ("enqueued", 0),
            ("claimed", 0),
            ("started", 0),
            ("study", None),
            ("attrs", None),
            ("attrs", 0),
            ("told", 0),
        ]
        assert events[1].data == {"worker": "w"}
        assert events[3].data == {"state": "paused"}
        assert events[6].data == {"state": "complete"}
        assert [e.at for e in events] == sorted(e.at for e in events)
        assert desk.storage.get_study("study").seq == 7
        assert desk.trial(0).seq == 7

    def test_events_are_read_in_pages(self, desk: Desk) -> None:
        desk.claim(7)
        pages = [desk.storage.events(desk.id, after, limit=3) for after in (0, 3, 6, 7)]
        assert [[e.seq for e in page] for page in pages] == [[1, 2, 3], [4, 5, 6], [7], []]

    def test_reports_and_renewals_are_no_changes(self, desk: Desk) -> None:
        lease = desk.take()
        cursor = desk.storage.changes(desk.id).cursor
        desk.send(Reports(0, lease.epoch, (Report(1, {"loss": 1.0}),)), Renew(0, lease.epoch))
        assert desk.storage.changes(desk.id, cursor).trials == ()
        assert desk.kinds() == ["claimed", "started"]

    def test_nothing_happened_where_nothing_was_asked(self, desk: Desk) -> None:
        desk.storage.set_state(desk.id, StudyState.PAUSED)
        assert desk.claim(3) == []
        assert desk.claim(0) == []
        assert desk.storage.get_study("study").seq == 1

    def test_reports_are_read_for_the_named_trials(self, desk: Desk) -> None:
        for lease in desk.claim(3):
            desk.send(Reports(lease.number, 1, (Report(lease.number, {"loss": 1.0}),)))
        desk.claim()
        assert sorted(desk.storage.reports(desk.id)) == [0, 1, 2]
        some = desk.storage.reports(desk.id, [2, 0, 2, 3, 99])
        assert {k: [r.step for r in v] for k, v in some.items()} == {0: [0], 2: [2]}
        assert desk.storage.reports(desk.id, []) == {}

    def test_reports_of_very_many_trials_can_be_asked_for(self, desk: Desk) -> None:
        desk.claim(1)
        desk.send(Reports(0, 1, (Report(1, {"loss": 1.0}),)))
        assert list(desk.storage.reports(desk.id, range(50_000))) == [0]

    def test_studies_do_not_see_each_other(self, storage: Storage) -> None:
        one, two = Desk(storage, name="one"), Desk(storage, name="two")
        a, b = one.take(), two.take()
        one.send(tell(a, key="same"))
        assert two.trial(0).state is TrialState.RUNNING
        assert two.send(tell(b, key="same")).statuses == ("ok",)
        assert len(one.kinds()) == len(two.kinds()) == 3

    @pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
    def test_numbers_beyond_64_bits_are_no_trials(self, desk: Desk, number: int) -> None:
        lease = desk.take()
        desk.send(start(lease), Reports(0, 1, (Report(1, {"loss": 1.0}),)))
        storage, curve = desk.storage, {0: (Report(1, {"loss": 1.0}),)}
        assert storage.reports(desk.id, [number]) == {}
        assert storage.reports(desk.id, [0, number]) == curve
        assert storage.reports(desk.id, after_step={number: 1}) == curve
        assert storage.reports(desk.id, after_step={0: number}) == ({} if number > 0 else curve)
        storage.expire(desk.id, [(number, 1), (0, number)])
        assert desk.trial(0).state is TrialState.RUNNING
        with pytest.raises(UnknownTrial):
            storage.cancel_trial(desk.id, number, "by hand")
        with pytest.raises(UnknownTrial):
            storage.promote(desk.id, {number: "by hand"})
        with pytest.raises(UnknownTrial):
            storage.set_trial_attrs(desk.id, number, {"a": 1})
        refused: list[Callable[[], object]] = [
            lambda: storage.changes(desk.id, number),
            lambda: storage.changes(desk.id, 0, number),
            lambda: storage.events(desk.id, number),
            lambda: storage.reports(desk.id, limit=number),
            lambda: desk.send(Renew(number, 1)),
            lambda: desk.send(Renew(0, number)),
            lambda: storage.exchange(desk.id, "w", claim=Claim(1, "k", number)),
        ]
        for call in refused:
            with pytest.raises(InvalidArgument, match="64-bit"):
                call()
        assert desk.send(tell(lease)).statuses == ("ok",)
