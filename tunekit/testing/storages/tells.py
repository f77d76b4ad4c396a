"""Tests a worker's writes: fencing, exactly-once tells, idempotent repeats."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

import math

import pytest

from tunekit.errors import InvalidArgument, UnknownTrial
from tunekit.records import Outcome, Proposal, Report, TrialState
from tunekit.spaces import Params
from tunekit.storages.base import Operation, Release, Renew, Reports, Start, Storage, Tell
from tunekit.testing.storages.access import Access, Rules, new_key, start, tell

NASTY = "NUL \0, half a surrogate \ud800, 日本語 🎛, \"quotes\" 'and' \\ %s :name\n"


class TellRules(Rules):
    """Rules: a write takes effect once, and only from the worker that holds the lease."""

    def test_everything_of_a_trial_comes_back(self, access: Access) -> None:
        (lease,) = access.claim()
        proposal = Proposal(Params({"x": 0.1, "k": "ü"}), "tpe", "best of 24", {"score": [1, 2]})
        access.send(Start(0, 1, proposal, seen=17, batch=(0, 1), space_version=3))
        outcome = Outcome(
            TrialState.STOPPED,
            {"loss": 0.5, "acc": 1},
            "hopeless",
            NASTY,
            user_attrs={"note": NASTY},
            evidence={"p": 0.01},
            domains={"x": {"kind": "float"}},
        )
        assert access.send(Tell(0, lease.epoch, outcome, new_key())).statuses == ("ok",)
        t = access.trial(0)
        assert (t.state, t.epoch, t.params) == (TrialState.STOPPED, 1, {"x": 0.1, "k": "ü"})
        assert (t.sampler, t.reason, t.evidence) == ("tpe", "best of 24", {"score": [1, 2]})
        assert (t.seen, t.batch, t.space_version) == (17, (0, 1), 3)
        assert (t.metrics, t.end_reason, t.error) == ({"loss": 0.5, "acc": 1.0}, "hopeless", NASTY)
        assert (t.user_attrs, t.stop_evidence) == ({"note": NASTY}, {"p": 0.01})
        assert t.domains == {"x": {"kind": "float"}}
        assert t.started is not None
        assert t.finished is not None
        assert t.created <= t.started <= t.finished
        assert t.lease_until is None

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e308])
    def test_metrics_come_back_exactly(self, access: Access, value: float) -> None:
        lease = access.take()
        access.send(Reports(0, 1, (Report(1, {"loss": value}),)))
        access.send(Tell(0, lease.epoch, Outcome(TrialState.DIVERGED, {"loss": value}), "k"))
        stored = (
            access.trial(0).metrics["loss"],
            access.storage.reports(access.id)[0][0].metrics["loss"],
        )
        assert [repr(v) for v in stored] == [repr(value)] * 2

    def test_the_same_tell_again_is_ok_and_changes_nothing(self, access: Access) -> None:
        lease = access.take()
        access.send(tell(lease, 1.0, "k"))
        before = access.trial(0)
        assert access.send(tell(lease, 2.0, "k")).statuses == ("ok",)
        assert access.trial(0) == before
        assert access.kinds(0) == ["claimed", "started", "told"]

    def test_a_tell_with_another_key_is_a_conflict(self, access: Access) -> None:
        lease = access.take()
        access.send(tell(lease, 1.0))
        assert access.send(tell(lease, 2.0)).statuses == ("conflict",)
        assert access.trial(0).metrics == {"loss": 1.0}

    def test_a_stale_lease_changes_nothing(self, access: Access) -> None:
        old = access.take()
        access.expire(old)
        (new,) = access.claim(worker="other")
        before, log = access.trial(0), access.kinds()
        stale: list[Operation] = [
            start(old, x=9.0),
            Reports(0, old.epoch, (Report(1, {"loss": 9.0}),)),
            Renew(0, old.epoch),
            Release(0, old.epoch, "late"),
            tell(old, 9.0),
        ]
        assert access.send(*stale).statuses == ("lost",) * 5
        assert (access.trial(0), access.kinds(), access.storage.reports(access.id)) == (
            before,
            log,
            {},
        )
        assert access.send(tell(new, 1.0)).statuses == ("ok",)
        assert access.send(tell(old, 9.0)).statuses == ("lost",)

    def test_a_trial_that_does_not_exist_or_never_ran_is_lost(self, access: Access) -> None:
        access.enqueue({"x": 1})
        for number in (0, 5, -1):
            ops = (Renew(number, 1), Tell(number, 1, Outcome(TrialState.FAILED), "k"))
            assert access.send(*ops).statuses == ("lost", "lost")

    def test_what_is_lost_does_not_keep_the_rest_of_the_batch_back(self, access: Access) -> None:
        a, b = access.take(), access.take()
        answer = access.send(tell(a), Renew(99, 1), tell(a), tell(b))
        assert answer.statuses == ("ok", "lost", "conflict", "ok")
        assert [e.seq for e in access.storage.events(access.id)] == list(range(1, 7))

    def test_an_exchange_that_is_sent_again_does_nothing_twice(self, access: Access) -> None:
        a, b, c = access.take(), access.claim()[0], access.take()
        operations = (
            tell(a, key="k"),
            start(b),
            Reports(b.number, b.epoch, (Report(1, {"loss": 0.5}),)),
            Renew(b.number, b.epoch),
            Release(c.number, c.epoch, "drained"),
        )
        access.send(*operations)
        before, log = access.trials(), access.kinds()
        assert access.send(*operations).statuses == ("ok",) * 5
        assert access.kinds() == log
        assert [t.seq for t in access.trials().values()] == [t.seq for t in before.values()]
        assert len(access.storage.reports(access.id)[b.number]) == 1

    def test_a_trial_that_runs_again_may_be_started_with_other_params(
        self, access: Access
    ) -> None:
        access.expire(access.take())
        (lease,) = access.claim()
        assert access.send(start(lease, x=0.75)).statuses == ("ok",)
        assert access.trial(0).params == {"x": 0.75}

    def test_the_params_that_a_program_chose_itself_count(self, access: Access) -> None:
        lease = access.take()
        access.send(tell(lease, params={"x": 0.5, "deeper": 3}))
        assert access.trial(0).params == {"x": 0.5, "deeper": 3}

    def test_a_tell_that_is_no_end_or_no_number_is_refused(self, access: Access) -> None:
        lease = access.take()
        with pytest.raises(InvalidArgument, match="final state"):
            access.send(Tell(0, 1, Outcome(TrialState.RUNNING), "k"))
        with pytest.raises(InvalidArgument, match="metrics"):
            access.send(Tell(0, 1, Outcome(TrialState.COMPLETE, {"loss": "bad"}), "k"))  # type: ignore[dict-item]
        with pytest.raises(InvalidArgument, match="plain JSON"):
            access.send(tell(lease), tell(lease, user_attrs={"x": object()}))
        assert access.trial(0).state is TrialState.RUNNING, "all of the batch or nothing"

    def test_user_attributes_are_merged_in_any_state(self, access: Access) -> None:
        lease = access.take()
        access.storage.set_trial_attrs(access.id, 0, {"a": 1, "b": 1})
        access.send(tell(lease, user_attrs={"b": 2, "c": 2}))
        access.storage.set_trial_attrs(access.id, 0, {"c": 3})
        assert access.trial(0).user_attrs == {"a": 1, "b": 2, "c": 3}
        assert access.trial(0).state is TrialState.COMPLETE
        assert access.kinds(0) == ["claimed", "started", "attrs", "told", "attrs"]
        with pytest.raises(UnknownTrial, match="no trial 9"):
            access.storage.set_trial_attrs(access.id, 9, {})

    def test_a_cancelled_trial_ends_and_its_worker_learns_it(self, access: Access) -> None:
        lease = access.take()
        assert access.storage.cancel_trial(access.id, 0, "by hand")
        t = access.trial(0)
        assert (t.state, t.end_reason) == (TrialState.CANCELLED, "by hand")
        assert t.finished is not None
        assert access.send(Renew(0, 1), tell(lease)).statuses == ("lost", "lost")
        assert not access.storage.cancel_trial(access.id, 0, "again")
        assert access.trial(0) == t
        with pytest.raises(UnknownTrial, match="no trial 9"):
            access.storage.cancel_trial(access.id, 9, "typo")

    def test_a_cancelled_waiting_trial_is_not_handed_out(self, access: Access) -> None:
        access.enqueue({"x": 1}, {"x": 2})
        assert access.storage.cancel_trial(access.id, 0, "by hand")
        assert [lease.number for lease in access.claim()] == [1]

    def test_reports_of_a_step_replace_each_other(self, storage: Storage) -> None:
        access = Access(storage)
        lease = access.take()
        points = (Report(3, {"loss": 3.0}), Report(1, {"loss": 1.0}), Report(3, {"loss": 30.0}))
        access.send(Reports(0, lease.epoch, points))
        access.send(
            Reports(0, lease.epoch, (Report(1, {"loss": 10.0}), Report(-2, {"loss": 0.0})))
        )
        access.send(Reports(0, lease.epoch, ()))
        want = (Report(-2, {"loss": 0.0}), Report(1, {"loss": 10.0}), Report(3, {"loss": 30.0}))
        assert storage.reports(access.id) == {0: want}

    @pytest.mark.parametrize("step", [1.5, "1", True, 2**63])
    def test_a_step_that_is_no_whole_number_is_refused(self, access: Access, step: int) -> None:
        access.take()
        with pytest.raises(InvalidArgument, match="step"):
            access.send(Reports(0, 1, (Report(1, {"loss": 1.0}), Report(step, {"loss": 1.0}))))
        assert access.storage.reports(access.id) == {}
