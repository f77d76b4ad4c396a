"""Tests the protocol for networks: pages, cursors, request keys, and concurrent workers."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

from dataclasses import replace

import pytest

from tunekit.errors import InvalidArgument, StudyExists
from tunekit.records import Report, TrialRecord, TrialState
from tunekit.spaces import Params
from tunekit.storages.base import Claim, Exchange, ExchangeRequest, Renew, Reports, Storage
from tunekit.testing.storages.access import Access, Rules, new_key, spec, start, tell


class RequestRules(Rules):
    """Rules: a request may be split into pages, repeated, or batched with other workers'."""

    @pytest.fixture
    def curves(self, access: Access) -> Access:
        """Return a study with three trials of 3, 1 and 4 reports."""
        for lease, n in zip(access.claim(3), (3, 1, 4), strict=True):
            points = tuple(Report(step, {"loss": 1.0 / step}) for step in range(1, n + 1))
            access.send(Reports(lease.number, lease.epoch, points))
        return access

    def test_changes_are_read_in_pages_of_which_none_is_missed(self, access: Access) -> None:
        leases = access.claim(7)
        access.send(start(leases[2]), tell(leases[2]), start(leases[5]))
        cursor, numbers = 0, []
        while len(page := access.storage.changes(access.id, cursor, 3).trials) == 3:
            numbers += [t.number for t in page]
            cursor = page[-1].seq
        numbers += [t.number for t in page]
        assert numbers == [0, 1, 3, 4, 6, 2, 5]
        assert access.storage.changes(access.id, 0, 3).cursor == 4

    def test_reports_are_read_after_the_step_that_a_reader_has(self, curves: Access) -> None:
        read = curves.storage.reports
        new = read(curves.id, [0, 2, 1], after_step={0: 1, 2: 4})
        assert {n: [r.step for r in points] for n, points in new.items()} == {0: [2, 3], 1: [1]}
        rest = read(curves.id, after_step={0: 2, 1: 7})
        assert {n: [r.step for r in p] for n, p in rest.items()} == {0: [3], 2: [1, 2, 3, 4]}
        assert rest[0][0].metrics == {"loss": 1.0 / 3}

    def test_reports_are_read_in_pages_in_order_of_number_and_step(self, curves: Access) -> None:
        seen: list[tuple[int, int]] = []
        while True:
            last = dict(seen)  # trial -> last step
            first = max(last, default=0)
            page = curves.storage.reports(curves.id, range(first, 3), after_step=last, limit=3)
            points = [(n, r.step) for n, reports in page.items() for r in reports]
            seen += points
            if len(points) < 3:
                break
        assert seen == [(0, 1), (0, 2), (0, 3), (1, 1), (2, 1), (2, 2), (2, 3), (2, 4)]

    def test_a_repeated_creation_returns_the_study_that_it_made(self, storage: Storage) -> None:
        key = new_key()
        made = storage.create_study(spec("a", seed=1), key=key)
        assert storage.create_study(spec("a", seed=1), key=key) == made
        for other in (new_key(), None):
            with pytest.raises(StudyExists):
                storage.create_study(spec("a", seed=1), key=other)

    def test_a_repeated_enqueue_appends_nothing(self, access: Access) -> None:
        key = new_key()

        def enqueue(key: str | None) -> list[int]:
            return access.storage.enqueue(access.id, [{"x": 1}, {"x": 2}], user_attrs={}, key=key)

        assert enqueue(key) == enqueue(key) == [0, 1]
        assert enqueue(new_key()) == [2, 3]
        assert enqueue(None) == [4, 5]
        access.claim(6)
        assert enqueue(key) == [0, 1]
        record = access.storage.get_study("study")
        assert (record.n_trials, record.seq) == (6, 12)
        assert [e.seq for e in access.storage.events(access.id)] == list(range(1, 13))

    def test_a_repeated_addition_appends_nothing(self, access: Access) -> None:
        key = new_key()
        trial = TrialRecord(7, TrialState.COMPLETE, params=Params({"x": 1}), metrics={"loss": 2.0})

        def add(key: str | None) -> list[int]:
            curve = {7: [Report(1, {"loss": 3.0})]}
            return access.storage.add_trials(
                access.id, [trial, replace(trial, number=8)], curve, key=key
            )

        assert add(key) == add(key) == [0, 1]
        assert add(None) == [2, 3]
        assert add(key) == [0, 1]
        record = access.storage.get_study("study")
        assert (record.n_trials, record.seq) == (4, 4)
        assert set(access.storage.reports(access.id)) == {0, 2}

    @pytest.mark.parametrize("key", ["", "a\nb", "k" * 201])
    def test_a_key_that_cannot_be_kept_is_refused(self, access: Access, key: str) -> None:
        with pytest.raises(InvalidArgument, match="request key"):
            access.storage.create_study(spec("other"), key=key)
        with pytest.raises(InvalidArgument, match="request key"):
            access.storage.enqueue(access.id, [{"x": 1}], user_attrs={}, key=key)

    def test_the_exchanges_of_many_workers_are_answered_apart(self, access: Access) -> None:
        a, b = access.take(worker="a"), access.take(worker="b")
        answers = access.storage.exchange_many(
            access.id,
            [
                ExchangeRequest("a", [tell(a)], Claim(1, new_key())),
                ExchangeRequest("b", [Renew(b.number, b.epoch + 1)]),
                ExchangeRequest("", [Renew(b.number, b.epoch)]),
                ExchangeRequest("c", claim=Claim(2, new_key())),
            ],
        )
        first, second, refused, fourth = answers
        assert isinstance(first, Exchange)
        assert (first.statuses, [x.number for x in first.leases]) == (("ok",), [2])
        assert isinstance(second, Exchange)
        assert second.statuses == ("lost",)
        assert isinstance(refused, InvalidArgument)
        assert "worker" in str(refused)
        assert isinstance(fourth, Exchange)
        assert [x.number for x in fourth.leases] == [3, 4]
        assert [access.trial(n).worker for n in range(5)] == ["a", "b", "a", "c", "c"]
        assert access.trial(0).state is TrialState.COMPLETE
        assert [e.seq for e in access.storage.events(access.id)] == list(range(1, 9))

    def test_exchanges_of_many_workers_may_be_repeated(self, access: Access) -> None:
        lease = access.take()
        requests = [
            ExchangeRequest("w", [tell(lease)], Claim(1, new_key())),
            ExchangeRequest("v", claim=Claim(1, new_key())),
        ]
        first = access.storage.exchange_many(access.id, requests)
        log = access.kinds()
        assert access.storage.exchange_many(access.id, requests) == first
        assert access.kinds() == log
