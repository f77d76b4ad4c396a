"""Tests reads: cursors, events, reports."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tunekit.errors import InvalidArgument, UnknownTrial
from tunekit.records import Report, StudyState, TrialState
from tunekit.storages.base import Changes, Claim, Renew, Reports, Storage
from tunekit.testing.storages.access import Access, Rules, new_key, start, tell


class ReadRules(Rules):
    """Rules: a reader that keeps its cursor reads each change exactly once."""

    def test_changes_come_once_in_their_latest_form(self, access: Access) -> None:
        a, b = access.claim(2)
        first = access.storage.changes(access.id)
        assert [(t.number, t.seq) for t in first.trials] == [(0, 1), (1, 2)]
        assert first.cursor == 2
        access.send(start(b), start(a), tell(b))
        second = access.storage.changes(access.id, first.cursor)
        assert [(t.number, t.state) for t in second.trials] == [
            (0, TrialState.RUNNING),
            (1, TrialState.COMPLETE),
        ]
        assert second.cursor == 5
        third = access.storage.changes(access.id, second.cursor)
        assert (third.trials, third.cursor) == ((), 5)

    def test_an_exchange_returns_all_changes_after_a_cursor_with_its_own(
        self, access: Access
    ) -> None:
        first, other = access.take(), access.take(worker="other")
        cursor = access.storage.changes(access.id).cursor
        access.send(tell(other), worker="other")
        exchange = partial(access.storage.exchange, access.id, "w")
        answer = exchange([tell(first)], claim=Claim(1, new_key()), after=cursor)
        assert answer.changes == access.storage.changes(access.id, cursor)
        assert [t.number for t in answer.changes.trials] == [1, 0, 2]
        assert exchange(after=answer.changes.cursor).changes == Changes((), cursor + 3)
        assert exchange().changes is None
        for wrong in (2**63, 1.5):
            with pytest.raises(InvalidArgument, match="after="):
                exchange(after=wrong)  # type: ignore[arg-type]

    def test_every_change_takes_the_next_number_and_an_event(self, access: Access) -> None:
        access.enqueue({"x": 1})
        lease = access.take()
        access.storage.set_state(access.id, StudyState.PAUSED)
        access.storage.set_attrs(access.id, {"a": 1})
        access.storage.set_trial_attrs(access.id, 0, {"a": 1})
        access.send(tell(lease))
        events = access.storage.events(access.id)
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
        assert access.storage.get_study("study").seq == 7
        assert access.trial(0).seq == 7

    def test_events_are_read_in_pages(self, access: Access) -> None:
        access.claim(7)
        pages = [access.storage.events(access.id, after, limit=3) for after in (0, 3, 6, 7)]
        assert [[e.seq for e in page] for page in pages] == [[1, 2, 3], [4, 5, 6], [7], []]

    def test_reports_and_renewals_are_no_changes(self, access: Access) -> None:
        lease = access.take()
        cursor = access.storage.changes(access.id).cursor
        access.send(Reports(0, lease.epoch, (Report(1, {"loss": 1.0}),)), Renew(0, lease.epoch))
        assert access.storage.changes(access.id, cursor).trials == ()
        assert access.kinds() == ["claimed", "started"]

    def test_nothing_happened_where_nothing_was_asked(self, access: Access) -> None:
        access.storage.set_state(access.id, StudyState.PAUSED)
        assert access.claim(3) == []
        assert access.claim(0) == []
        assert access.storage.get_study("study").seq == 1

    def test_reports_are_read_for_the_named_trials(self, access: Access) -> None:
        for lease in access.claim(3):
            access.send(Reports(lease.number, 1, (Report(lease.number, {"loss": 1.0}),)))
        access.claim()
        assert sorted(access.storage.reports(access.id)) == [0, 1, 2]
        some = access.storage.reports(access.id, [2, 0, 2, 3, 99])
        assert {k: [r.step for r in v] for k, v in some.items()} == {0: [0], 2: [2]}
        assert access.storage.reports(access.id, []) == {}

    def test_reports_of_very_many_trials_can_be_asked_for(self, access: Access) -> None:
        access.claim(1)
        access.send(Reports(0, 1, (Report(1, {"loss": 1.0}),)))
        assert list(access.storage.reports(access.id, range(50_000))) == [0]

    def test_studies_do_not_see_each_other(self, storage: Storage) -> None:
        one, two = Access(storage, name="one"), Access(storage, name="two")
        a, b = one.take(), two.take()
        one.send(tell(a, key="same"))
        assert two.trial(0).state is TrialState.RUNNING
        assert two.send(tell(b, key="same")).statuses == ("ok",)
        assert len(one.kinds()) == len(two.kinds()) == 3

    @pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
    def test_numbers_beyond_64_bits_are_no_trials(self, access: Access, number: int) -> None:
        lease = access.take()
        access.send(start(lease), Reports(0, 1, (Report(1, {"loss": 1.0}),)))
        storage, curve = access.storage, {0: (Report(1, {"loss": 1.0}),)}
        assert storage.reports(access.id, [number]) == {}
        assert storage.reports(access.id, [0, number]) == curve
        assert storage.reports(access.id, after_step={number: 1}) == curve
        assert storage.reports(access.id, after_step={0: number}) == ({} if number > 0 else curve)
        storage.expire(access.id, [(number, 1), (0, number)])
        assert access.trial(0).state is TrialState.RUNNING
        with pytest.raises(UnknownTrial):
            storage.cancel_trial(access.id, number, "by hand")
        with pytest.raises(UnknownTrial):
            storage.promote(access.id, {number: "by hand"})
        with pytest.raises(UnknownTrial):
            storage.set_trial_attrs(access.id, number, {"a": 1})
        refused: list[Callable[[], object]] = [
            lambda: storage.changes(access.id, number),
            lambda: storage.changes(access.id, 0, number),
            lambda: storage.events(access.id, number),
            lambda: storage.reports(access.id, limit=number),
            lambda: access.send(Renew(number, 1)),
            lambda: access.send(Renew(0, number)),
            lambda: storage.exchange(access.id, "w", claim=Claim(1, "k", number)),
        ]
        for call in refused:
            with pytest.raises(InvalidArgument, match="64-bit"):
                call()
        assert access.send(tell(lease)).statuses == ("ok",)
