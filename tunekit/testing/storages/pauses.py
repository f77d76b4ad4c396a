"""Tests paused and resumed trials: checkpoints, pauses, promotions, branches."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

import pytest

from tunekit.errors import InvalidArgument, UnknownTrial
from tunekit.records import Branch, Checkpoint, Outcome, Proposal, Report, StudyState, TrialState
from tunekit.spaces import Params
from tunekit.storages.base import Lease, Operation, Pause, Release, Reports, Saved, Start, Storage
from tunekit.testing.storages.desk import Desk, Rules, tell


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

    def test_a_paused_trial_stands_still_and_says_why(self, desk: Desk) -> None:
        lease = desk.take()
        operation = pause(lease, evidence={"rank": 3}, user_attrs={"a": 1})
        assert desk.send(operation).statuses == ("ok",)
        t = desk.trial(0)
        assert (t.state, t.end_reason, t.metrics) == (TrialState.PAUSED, "rung 1", {"loss": 0.5})
        assert (t.stop_evidence, t.user_attrs) == ({"rank": 3}, {"a": 1})
        assert (t.finished, t.lease_until, t.params) == (None, None, {"x": 0.5})
        assert [x.number for x in desk.claim(2)] == [1, 2], "nobody claims it"
        assert desk.kinds(0) == ["claimed", "started", "paused"]

    def test_a_promoted_trial_is_claimed_before_new_ones_with_its_params(self, desk: Desk) -> None:
        desk.send(pause(desk.take()))
        assert desk.storage.promote(desk.id, {0: "best of 3"}) == [0]
        t = desk.trial(0)
        assert (t.state, t.metrics, t.stop_evidence) == (TrialState.WAITING, {}, {})
        assert t.end_reason == "promoted: best of 3"
        assert t.is_promoted
        assert desk.claim(2) == [Lease(0, 2, Params({"x": 0.5})), Lease(1, 1)]
        assert desk.trial(0).is_promoted
        assert desk.send(tell(Lease(0, 2))).statuses == ("ok",)
        assert (desk.trial(0).end_reason, desk.trial(0).is_promoted) == ("", False)
        kinds = ["claimed", "started", "paused", "promoted", "claimed", "told"]
        assert desk.kinds(0) == kinds

    def test_a_preempted_trial_goes_on_before_new_ones_and_says_why(self, desk: Desk) -> None:
        desk.take()
        b = desk.take()
        desk.send(saved(b, 4), Release(0, 1, "drained"))
        give_way = Release(b.number, b.epoch, "for study b", preempted=True)
        assert desk.send(give_way).statuses == ("ok",)
        t = desk.trial(1)
        assert (t.state, t.end_reason) == (TrialState.PREEMPTED, "pre-empted: for study b")
        assert (t.params, t.lease_until, t.finished) == ({"x": 0.5}, None, None)
        assert not t.state.is_finished and t.is_promoted
        before, log = desk.trial(1), desk.kinds()
        assert desk.send(give_way).statuses == ("ok",), "its answer may have been lost"
        assert desk.send(Release(1, 1, "late"), tell(b)).statuses == ("lost", "lost")
        assert (desk.trial(1), desk.kinds()) == (before, log)
        assert desk.storage.promote(desk.id, {1: "is not paused"}) == []
        assert [x.number for x in desk.claim(3)] == [0, 1, 2]
        assert desk.trial(1).checkpoints == (Checkpoint(4, 1, 0.2),)
        assert desk.trial(1).is_promoted and not desk.trial(0).is_promoted
        assert desk.send(tell(Lease(1, 2))).statuses == ("ok",)
        assert (desk.trial(1).end_reason, desk.trial(1).is_promoted) == ("", False)
        kinds = ["claimed", "started", "checkpoint", "preempted", "claimed", "told"]
        assert desk.kinds(1) == kinds

    def test_a_preempted_trial_can_be_cancelled(self, desk: Desk) -> None:
        lease = desk.take()
        desk.send(Release(lease.number, lease.epoch, "", preempted=True))
        assert desk.storage.cancel_trial(desk.id, 0, "by hand")
        assert [x.number for x in desk.claim()] == [1]

    def test_only_paused_trials_are_promoted_and_each_once(self, desk: Desk) -> None:
        desk.take()
        for _ in range(2):
            desk.send(pause(desk.take()))
        assert desk.storage.promote(desk.id, {0: "runs", 2: "good", 1: "good"}) == [2, 1]
        assert desk.storage.promote(desk.id, {1: "again", 2: "again"}) == []
        assert desk.storage.promote(desk.id, {}) == []
        assert desk.trial(1).end_reason == "promoted: good"
        events = desk.storage.events(desk.id)
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        with pytest.raises(UnknownTrial, match="no trial 9"):
            desk.storage.promote(desk.id, {1: "fine", 9: "typo"})

    def test_pauses_and_checkpoints_are_fenced_and_may_be_repeated(self, desk: Desk) -> None:
        old = desk.take()
        desk.expire(old)
        (new,) = desk.claim(worker="other")
        assert desk.send(saved(old, 1), pause(old)).statuses == ("lost", "lost")
        batch: list[Operation] = [saved(new, 1, 2), pause(new)]
        assert desk.send(*batch).statuses == ("ok", "ok")
        before, log = desk.trial(0), desk.kinds()
        assert desk.send(*batch).statuses == ("ok", "ok")
        assert (desk.trial(0), desk.kinds()) == (before, log)
        desk.storage.promote(desk.id, {0: ""})
        assert desk.send(pause(new)).statuses == ("ok",), "the answer to the first was lost"
        assert desk.trial(0).state is TrialState.WAITING
        (again,) = desk.claim()
        assert desk.send(pause(new), saved(new, 9)).statuses == ("lost", "lost")
        assert desk.send(tell(again)).statuses == ("ok",)

    def test_a_pause_is_no_tell_and_no_release(self, desk: Desk) -> None:
        lease = desk.take()
        with pytest.raises(InvalidArgument, match='expected "paused"'):
            desk.send(Pause(0, 1, Outcome(TrialState.COMPLETE, {"loss": 1.0})))
        with pytest.raises(InvalidArgument, match="checkpoint with step"):
            desk.send(Saved(0, 1, (Checkpoint(True, 1),)))
        desk.send(pause(lease))
        late = desk.send(tell(lease), Release(0, 1, "late"), reports(lease, 1))
        assert late.statuses == ("lost",) * 3
        assert desk.storage.reports(desk.id) == {}

    def test_a_paused_trial_can_be_cancelled(self, desk: Desk) -> None:
        desk.send(pause(desk.take()))
        assert desk.storage.cancel_trial(desk.id, 0, "by hand")
        assert desk.storage.promote(desk.id, {0: "too late"}) == []
        assert desk.trial(0).state is TrialState.CANCELLED

    def test_a_study_that_is_stopped_promotes_but_hands_nothing_out(self, desk: Desk) -> None:
        desk.send(pause(desk.take()))
        desk.storage.set_state(desk.id, StudyState.STOPPED)
        assert desk.storage.promote(desk.id, {0: "good"}) == [0]
        assert desk.claim() == []
        desk.storage.set_state(desk.id, StudyState.ACTIVE)
        assert [x.number for x in desk.claim()] == [0]

    def test_the_params_of_a_program_that_pauses_are_kept(self, desk: Desk) -> None:
        desk.enqueue({"x": 0.5})
        (lease,) = desk.claim()
        desk.send(pause(lease, params={"x": 0.5, "deeper": 3}))
        desk.storage.promote(desk.id, {0: "good"})
        assert desk.claim() == [Lease(0, 2, Params({"x": 0.5, "deeper": 3}))]

    def test_checkpoints_come_back_and_extend_the_lease(self, desk: Desk) -> None:
        lease = desk.take()
        desk.expire(lease)
        assert desk.send(saved(lease, 3, 7)).statuses == ("ok",)
        kept = (Checkpoint(3, 1, 0.25), Checkpoint(7, 1, 0.125))
        assert desk.trial(0).checkpoints == kept
        assert desk.claim(max_trials=1) == []
        without = Saved(0, 1, (Checkpoint(9, 1),))
        assert desk.send(without).statuses == ("ok",)
        assert desk.trial(0).checkpoints == (Checkpoint(9, 1, None),)
        desk.send(tell(lease))
        assert desk.trial(0).checkpoints == (Checkpoint(9, 1, None),)
        data = [e.data for e in desk.storage.events(desk.id) if e.kind == "checkpoint"]
        assert data[-1] == {"checkpoints": [[9, 1, None]]}

    @pytest.mark.parametrize("how", ["expired", "released", "preempted", "promoted"])
    def test_a_trial_that_runs_again_keeps_its_reports_up_to_its_last_checkpoint(
        self, storage: Storage, how: str
    ) -> None:
        desk = Desk(storage)
        a, b = desk.take(), desk.take()
        for lease in (a, b):
            desk.send(reports(lease, 0, 1, 2, 3))
        desk.send(saved(a, 1, 2))
        if how == "expired":
            desk.expire(a, b)
        elif how in ("released", "preempted"):
            gone = how == "preempted"
            desk.send(Release(0, 1, "drained", gone), Release(1, 1, "drained", gone))
        else:
            desk.send(pause(a), pause(b))
            desk.storage.promote(desk.id, {0: "good", 1: "good"})
        assert [len(r) for r in storage.reports(desk.id).values()] == [4, 4]
        assert [(x.number, x.epoch) for x in desk.claim(2)] == [(0, 2), (1, 2)]
        kept = {n: [r.step for r in found] for n, found in storage.reports(desk.id).items()}
        assert kept == {0: [0, 1, 2]}
        assert desk.trial(0).checkpoints[-1].step == 2

    def test_a_branch_is_kept_with_the_trial(self, desk: Desk) -> None:
        branch = Branch(3, 7)
        number = desk.storage.enqueue(desk.id, [{"x": 1.0}], user_attrs={}, branch=branch)[0]
        assert desk.trial(number).branch == branch
        (lease,) = desk.claim()
        assert lease == Lease(0, 1, Params({"x": 1.0}), partial=True, branch=branch)
        proposal = Proposal(Params({"x": 1.0}), "user", branch=lease.branch)
        desk.send(Start(0, 1, proposal))
        assert desk.trial(0).branch == branch
        desk.send(tell(lease))
        assert desk.trial(0).branch == branch
        (other,) = desk.claim()
        desk.send(Start(1, 1, Proposal(Params({"x": 1.0}), "pbt", branch=Branch(0, 5))))
        assert desk.trial(1).branch == Branch(0, 5)
        desk.expire(other)
        assert desk.claim()[0].branch == Branch(0, 5)
