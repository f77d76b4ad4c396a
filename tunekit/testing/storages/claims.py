"""Tests claims and leases: which worker gets which trial, and for how long."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

import pytest

from tunekit.errors import InvalidArgument
from tunekit.records import StudyState, TrialState
from tunekit.storages.base import Claim, Lease, Release, Renew, Storage
from tunekit.testing.storages.access import Access, Rules, new_key, start, tell


class ClaimRules(Rules):
    """Rules: claim waiting trials first, then lost ones, then new ones; each by one worker."""

    def test_new_trials_count_from_zero_without_params(self, access: Access) -> None:
        assert access.claim(2) == [Lease(0, 1), Lease(1, 1)]
        assert access.claim() == [Lease(2, 1)]
        trial = access.trial(1)
        assert (trial.state, trial.epoch, trial.params) == (TrialState.RUNNING, 1, None)
        assert trial.worker == "w"
        assert trial.started is None
        assert trial.lease_until is not None
        assert trial.lease_until - trial.created == pytest.approx(60.0, abs=1.0)

    def test_a_started_trial_shows_its_params_and_who_proposed_them(self, access: Access) -> None:
        (lease,) = access.claim()
        access.send(start(lease, x=0.25, kind="a", n=3, on=True, none=None))
        trial = access.trial(0)
        assert trial.params == {"x": 0.25, "kind": "a", "n": 3, "on": True, "none": None}
        assert trial.sampler == "random"
        assert trial.started is not None

    def test_waiting_trials_come_first_by_number(self, access: Access) -> None:
        lost = access.take()
        access.expire(lost)
        access.enqueue({"x": 1.0}, {"x": 2.0})
        assert [lease.number for lease in access.claim(5)] == [1, 2, 0, 3, 4]

    def test_an_enqueued_point_is_partial_until_it_is_started(self, access: Access) -> None:
        assert access.enqueue({"x": 0.1}, tag="mine") == [0]
        assert access.trial(0).params == {"x": 0.1}
        assert access.trial(0).state is TrialState.WAITING
        (lease,) = access.claim()
        assert lease == Lease(0, 1, lease.params, partial=True)
        assert lease.params == {"x": 0.1}
        assert access.trial(0).params is None, "an incomplete point is nothing to learn from"
        access.send(start(lease, x=0.1, y=2))
        assert access.trial(0).params == {"x": 0.1, "y": 2}
        assert access.trial(0).user_attrs == {"tag": "mine"}

    def test_enqueueing_many_points_returns_their_numbers(self, access: Access) -> None:
        access.claim()
        assert access.enqueue(*({"x": i} for i in range(30))) == list(range(1, 31))
        assert access.enqueue() == []

    def test_a_point_that_is_no_json_leaves_nothing_behind(self, access: Access) -> None:
        with pytest.raises(InvalidArgument):
            access.enqueue({"x": 1}, {"x": object()})
        with pytest.raises(InvalidArgument):
            access.enqueue({"x": 1}, {"x": {"y": [1]}})
        assert access.trials() == {}
        assert access.kinds() == []

    @pytest.mark.parametrize("had_params", [True, False])
    def test_a_lease_that_ran_out_is_taken_over(self, access: Access, had_params: bool) -> None:
        old = access.take() if had_params else access.claim()[0]
        assert [lease.number for lease in access.claim()] == [1], "the lease is still good"
        access.expire(old)
        (new,) = access.claim(worker="other")
        assert (new.number, new.epoch, new.partial) == (0, 2, False)
        assert new.params == ({"x": 0.5} if had_params else None)
        assert access.trial(0).worker == "other"
        assert (access.trial(0).started is not None) == had_params

    def test_a_lease_runs_out_by_itself(self, access: Access) -> None:
        access.claim(lease_s=0.001)
        while not (leases := access.claim(max_trials=1)):
            pass  # wait until the storage's clock advances by a millisecond
        assert leases == [Lease(0, 2)]

    def test_renewing_and_expiring_act_on_the_named_lease_only(self, access: Access) -> None:
        a, b = access.take(), access.take()
        access.expire(Lease(a.number, a.epoch + 1), Lease(77, 1))
        assert access.claim(max_trials=2) == []
        access.expire(a, b)
        assert access.send(Renew(a.number, a.epoch)).statuses == ("ok",)
        assert [lease.number for lease in access.claim(2, max_trials=2)] == [b.number]

    def test_a_lease_that_ran_out_but_was_not_taken_is_still_good(self, access: Access) -> None:
        lease = access.take()
        access.expire(lease)
        assert access.send(tell(lease)).statuses == ("ok",)

    def test_a_claim_with_the_same_key_returns_the_same_leases(self, access: Access) -> None:
        key = new_key()
        first = access.claim(2, key=key)
        before = access.kinds()
        assert access.claim(2, key=key) == first
        assert access.kinds() == before
        access.storage.set_state(access.id, StudyState.STOPPED)
        assert access.claim(2, key=key) == first
        assert len(access.trials()) == 2

    def test_a_repeated_claim_leaves_out_what_another_worker_took(self, access: Access) -> None:
        key = new_key()
        a, b = access.claim(2, key=key)
        access.expire(a)
        access.claim(worker="other")
        assert access.claim(2, key=key) == [b]

    def test_a_repeated_claim_returns_a_lease_that_ran_out_once(self, access: Access) -> None:
        key = new_key()
        leases = access.claim(2, key=key)
        access.expire(*leases)
        assert access.claim(2, key=key) == leases

    def test_a_trial_whose_workers_vanish_too_often_is_lost(self, storage: Storage) -> None:
        access = Access(storage, max_retries=2)
        access.take()
        for epoch in (2, 3):
            access.expire(Lease(0, epoch - 1))
            assert [lease.epoch for lease in access.claim(max_trials=1)] == [epoch]
        access.expire(Lease(0, 3))
        assert access.claim(max_trials=1) == []
        trial = access.trial(0)
        assert trial.state is TrialState.LOST
        assert "vanished 3 times" in trial.end_reason
        assert trial.params == {"x": 0.5}
        assert trial.finished is not None
        assert access.kinds(0)[-1] == "lost"

    def test_a_lost_trial_takes_no_slot_of_the_claim(self, storage: Storage) -> None:
        access = Access(storage, max_retries=0)
        leases = access.claim(3)
        access.expire(*leases)
        assert [lease.number for lease in access.claim(2)] == [3, 4]
        states = [t.state for t in access.trials().values()]
        assert states.count(TrialState.LOST) == 3

    def test_a_released_trial_runs_again_and_is_not_counted_as_lost(
        self, storage: Storage
    ) -> None:
        access = Access(storage, max_retries=0)
        lease = access.take()
        for epoch in (2, 3, 4):
            assert access.send(Release(0, lease.epoch, "drained")).statuses == ("ok",)
            assert access.trial(0).state is TrialState.WAITING
            assert access.trial(0).lease_until is None
            (lease,) = access.claim(max_trials=1)
            assert (lease.epoch, lease.params, lease.partial) == (epoch, {"x": 0.5}, False)
        assert access.kinds(0).count("released") == 3

    def test_a_released_trial_without_params_needs_a_start(self, access: Access) -> None:
        (lease,) = access.claim()
        access.send(Release(0, lease.epoch, "drained"))
        assert access.claim() == [Lease(0, 2)]

    @pytest.mark.parametrize("limit", [0, 3])
    def test_max_trials_counts_all_trials(self, access: Access, limit: int) -> None:
        access.enqueue(*[{"x": 1}] * 2)
        got = access.claim(10, max_trials=limit)
        assert len(got) == max(2, limit)
        assert len(access.trials()) == max(2, limit)
        assert access.claim(10, max_trials=limit) == []
        assert access.storage.get_study("study").n_trials == max(2, limit)

    @pytest.mark.parametrize(
        "state", [StudyState.PAUSED, StudyState.STOPPED, StudyState.CANCELLED]
    )
    def test_only_an_active_study_hands_out_trials(
        self, access: Access, state: StudyState
    ) -> None:
        held = access.take()
        access.expire(access.take())
        access.enqueue({"x": 1})
        access.storage.set_state(access.id, state)
        assert access.claim(5) == []
        assert access.send(tell(held)).statuses == ("ok",), "running trials end as ever"
        access.storage.set_state(access.id, StudyState.ACTIVE)
        assert [lease.number for lease in access.claim(2)] == [2, 1]

    def test_an_exchange_that_makes_no_sense_is_refused(self, access: Access) -> None:
        exchange = access.storage.exchange
        with pytest.raises(InvalidArgument, match="lease_s"):
            exchange(access.id, "w", claim=Claim(1, "k"), lease_s=0.0)
        with pytest.raises(InvalidArgument, match="claim of -1"):
            exchange(access.id, "w", claim=Claim(-1, "k"))
        with pytest.raises(InvalidArgument, match="claim key"):
            exchange(access.id, "w", claim=Claim(1, ""))
        with pytest.raises(InvalidArgument, match="worker"):
            exchange(access.id, "a\0b", claim=Claim(1, "k"))
        assert access.trials() == {}
