"""Tests paused and resumed trials: checkpoints, pauses, promotions, branches."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

import pytest

from tunekit.errors import InvalidArgument, UnknownTrial
from tunekit.records import Branch, Checkpoint, Outcome, Proposal, Report, StudyState, TrialState
from tunekit.spaces import Params
from tunekit.storages.base import Lease, Operation, Pause, Release, Reports, Saved, Start, Storage
from tunekit.testing.storages.access import Access, Rules, tell


def pause(lease: Lease, reason: str = "rung 1", **fields: object) -> Pause:
    """Return the operation that pauses a leased trial."""
    outcome = Outcome(TrialState.PAUSED, {"loss": 0.5}, reason, **fields)  # type: ignore[arg-type]
    return Pause(lease.number, lease.epoch, outcome)


def saved(lease: Lease, *steps: int) -> Saved:
    """Return the operation that records a trial's checkpoints at these steps."""
    checkpoints = tuple(Checkpoint(s, lease.epoch, 1.0 / (s + 1)) for s in steps)
    return Saved(lease.number, lease.epoch, checkpoints)


def reports(lease: Lease, *steps: int) -> Reports:
    """Return reports at these steps."""
    return Reports(lease.number, lease.epoch, tuple(Report(s, {"loss": float(s)}) for s in steps))


class PauseRules(Rules):
    """Rules: a paused trial has no lease; a promoted one resumes from its last checkpoint."""

    def test_a_paused_trial_stands_still_and_says_why(self, access: Access) -> None:
        lease = access.take()
        operation = pause(lease, evidence={"rank": 3}, user_attrs={"a": 1})
        assert access.send(operation).statuses == ("ok",)
        t = access.trial(0)
        assert (t.state, t.end_reason, t.metrics) == (TrialState.PAUSED, "rung 1", {"loss": 0.5})
        assert (t.stop_evidence, t.user_attrs) == ({"rank": 3}, {"a": 1})
        assert (t.finished, t.lease_until, t.params) == (None, None, {"x": 0.5})
        assert [x.number for x in access.claim(2)] == [1, 2], "nobody claims it"
        assert access.kinds(0) == ["claimed", "started", "paused"]

    def test_a_promoted_trial_is_claimed_before_new_ones_with_its_params(
        self, access: Access
    ) -> None:
        access.send(pause(access.take()))
        assert access.storage.promote(access.id, {0: "best of 3"}) == [0]
        t = access.trial(0)
        assert (t.state, t.metrics, t.stop_evidence) == (TrialState.WAITING, {}, {})
        assert t.end_reason == "promoted: best of 3"
        assert t.is_promoted
        assert access.claim(2) == [Lease(0, 2, Params({"x": 0.5})), Lease(1, 1)]
        assert access.trial(0).is_promoted
        assert access.send(tell(Lease(0, 2))).statuses == ("ok",)
        assert (access.trial(0).end_reason, access.trial(0).is_promoted) == ("", False)
        kinds = ["claimed", "started", "paused", "promoted", "claimed", "told"]
        assert access.kinds(0) == kinds

    def test_a_preempted_trial_goes_on_before_new_ones_and_says_why(self, access: Access) -> None:
        access.take()
        b = access.take()
        access.send(saved(b, 4), Release(0, 1, "drained"))
        give_way = Release(b.number, b.epoch, "for study b", preempted=True)
        assert access.send(give_way).statuses == ("ok",)
        t = access.trial(1)
        assert (t.state, t.end_reason) == (TrialState.PREEMPTED, "pre-empted: for study b")
        assert (t.params, t.lease_until, t.finished) == ({"x": 0.5}, None, None)
        assert not t.state.is_finished and t.is_promoted
        before, log = access.trial(1), access.kinds()
        assert access.send(give_way).statuses == ("ok",), "its answer may have been lost"
        assert access.send(Release(1, 1, "late"), tell(b)).statuses == ("lost", "lost")
        assert (access.trial(1), access.kinds()) == (before, log)
        assert access.storage.promote(access.id, {1: "is not paused"}) == []
        assert [x.number for x in access.claim(3)] == [0, 1, 2]
        assert access.trial(1).checkpoints == (Checkpoint(4, 1, 0.2),)
        assert access.trial(1).is_promoted and not access.trial(0).is_promoted
        assert access.send(tell(Lease(1, 2))).statuses == ("ok",)
        assert (access.trial(1).end_reason, access.trial(1).is_promoted) == ("", False)
        kinds = ["claimed", "started", "checkpoint", "preempted", "claimed", "told"]
        assert access.kinds(1) == kinds

    def test_a_preempted_trial_can_be_cancelled(self, access: Access) -> None:
        lease = access.take()
        access.send(Release(lease.number, lease.epoch, "", preempted=True))
        assert access.storage.cancel_trial(access.id, 0, "by hand")
        assert [x.number for x in access.claim()] == [1]

    def test_only_paused_trials_are_promoted_and_each_once(self, access: Access) -> None:
        access.take()
        for _ in range(2):
            access.send(pause(access.take()))
        assert access.storage.promote(access.id, {0: "runs", 2: "good", 1: "good"}) == [2, 1]
        assert access.storage.promote(access.id, {1: "again", 2: "again"}) == []
        assert access.storage.promote(access.id, {}) == []
        assert access.trial(1).end_reason == "promoted: good"
        events = access.storage.events(access.id)
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        with pytest.raises(UnknownTrial, match="no trial 9"):
            access.storage.promote(access.id, {1: "fine", 9: "typo"})

    def test_pauses_and_checkpoints_are_fenced_and_may_be_repeated(self, access: Access) -> None:
        old = access.take()
        access.expire(old)
        (new,) = access.claim(worker="other")
        assert access.send(saved(old, 1), pause(old)).statuses == ("lost", "lost")
        batch: list[Operation] = [saved(new, 1, 2), pause(new)]
        assert access.send(*batch).statuses == ("ok", "ok")
        before, log = access.trial(0), access.kinds()
        assert access.send(*batch).statuses == ("ok", "ok")
        assert (access.trial(0), access.kinds()) == (before, log)
        access.storage.promote(access.id, {0: ""})
        assert access.send(pause(new)).statuses == ("ok",), "the answer to the first was lost"
        assert access.trial(0).state is TrialState.WAITING
        (again,) = access.claim()
        assert access.send(pause(new), saved(new, 9)).statuses == ("lost", "lost")
        assert access.send(tell(again)).statuses == ("ok",)

    def test_a_pause_is_no_tell_and_no_release(self, access: Access) -> None:
        lease = access.take()
        with pytest.raises(InvalidArgument, match='expected "paused"'):
            access.send(Pause(0, 1, Outcome(TrialState.COMPLETE, {"loss": 1.0})))
        with pytest.raises(InvalidArgument, match="checkpoint with step"):
            access.send(Saved(0, 1, (Checkpoint(True, 1),)))
        access.send(pause(lease))
        late = access.send(tell(lease), Release(0, 1, "late"), reports(lease, 1))
        assert late.statuses == ("lost",) * 3
        assert access.storage.reports(access.id) == {}

    def test_a_paused_trial_can_be_cancelled(self, access: Access) -> None:
        access.send(pause(access.take()))
        assert access.storage.cancel_trial(access.id, 0, "by hand")
        assert access.storage.promote(access.id, {0: "too late"}) == []
        assert access.trial(0).state is TrialState.CANCELLED

    def test_a_study_that_is_stopped_promotes_but_hands_nothing_out(self, access: Access) -> None:
        access.send(pause(access.take()))
        access.storage.set_state(access.id, StudyState.STOPPED)
        assert access.storage.promote(access.id, {0: "good"}) == [0]
        assert access.claim() == []
        access.storage.set_state(access.id, StudyState.ACTIVE)
        assert [x.number for x in access.claim()] == [0]

    def test_the_params_of_a_program_that_pauses_are_kept(self, access: Access) -> None:
        access.enqueue({"x": 0.5})
        (lease,) = access.claim()
        access.send(pause(lease, params={"x": 0.5, "deeper": 3}))
        access.storage.promote(access.id, {0: "good"})
        assert access.claim() == [Lease(0, 2, Params({"x": 0.5, "deeper": 3}))]

    def test_checkpoints_come_back_and_extend_the_lease(self, access: Access) -> None:
        lease = access.take()
        access.expire(lease)
        assert access.send(saved(lease, 3, 7)).statuses == ("ok",)
        kept = (Checkpoint(3, 1, 0.25), Checkpoint(7, 1, 0.125))
        assert access.trial(0).checkpoints == kept
        assert access.claim(max_trials=1) == []
        without = Saved(0, 1, (Checkpoint(9, 1),))
        assert access.send(without).statuses == ("ok",)
        assert access.trial(0).checkpoints == (Checkpoint(9, 1, None),)
        access.send(tell(lease))
        assert access.trial(0).checkpoints == (Checkpoint(9, 1, None),)
        data = [e.data for e in access.storage.events(access.id) if e.kind == "checkpoint"]
        assert data[-1] == {"checkpoints": [[9, 1, None]]}

    @pytest.mark.parametrize("how", ["expired", "released", "preempted", "promoted"])
    def test_a_trial_that_runs_again_keeps_its_reports_up_to_its_last_checkpoint(
        self, storage: Storage, how: str
    ) -> None:
        access = Access(storage)
        a, b = access.take(), access.take()
        for lease in (a, b):
            access.send(reports(lease, 0, 1, 2, 3))
        access.send(saved(a, 1, 2))
        if how == "expired":
            access.expire(a, b)
        elif how in ("released", "preempted"):
            gone = how == "preempted"
            access.send(Release(0, 1, "drained", gone), Release(1, 1, "drained", gone))
        else:
            access.send(pause(a), pause(b))
            access.storage.promote(access.id, {0: "good", 1: "good"})
        assert [len(r) for r in storage.reports(access.id).values()] == [4, 4]
        assert [(x.number, x.epoch) for x in access.claim(2)] == [(0, 2), (1, 2)]
        kept = {n: [r.step for r in found] for n, found in storage.reports(access.id).items()}
        assert kept == {0: [0, 1, 2]}
        assert access.trial(0).checkpoints[-1].step == 2

    def test_a_branch_is_kept_with_the_trial(self, access: Access) -> None:
        branch = Branch(3, 7)
        number = access.storage.enqueue(access.id, [{"x": 1.0}], user_attrs={}, branch=branch)[0]
        assert access.trial(number).branch == branch
        (lease,) = access.claim()
        assert lease == Lease(0, 1, Params({"x": 1.0}), partial=True, branch=branch)
        proposal = Proposal(Params({"x": 1.0}), "user", branch=lease.branch)
        access.send(Start(0, 1, proposal))
        assert access.trial(0).branch == branch
        access.send(tell(lease))
        assert access.trial(0).branch == branch
        (other,) = access.claim()
        access.send(Start(1, 1, Proposal(Params({"x": 1.0}), "pbt", branch=Branch(0, 5))))
        assert access.trial(1).branch == Branch(0, 5)
        access.expire(other)
        assert access.claim()[0].branch == Branch(0, 5)
