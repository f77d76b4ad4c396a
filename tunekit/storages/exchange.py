"""Applies one exchange, a worker's operations and then its claim, inside one transaction.

An exchange that changes trials first locks the study's row, which serialises its writers and thus
keeps the event sequence free of gaps. (Skipping locked rows would gain nothing on top.) The lock
reserves event and trial numbers for the case that every operation applies; unused numbers are
returned before anybody can see them. Reports and renewals need no event number and so no lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tunekit.errors import InvalidArgument
from tunekit.records import StudyState, TrialState
from tunekit.spaces import Params
from tunekit.storages.base import Claim, EventKind, Exchange, ExchangeRequest, Status
from tunekit.storages.checks import lost_reason
from tunekit.storages.operations import (
    Changing,
    Lease,
    Operation,
    Pause,
    Reports,
    Saved,
    Start,
    Tell,
)
from tunekit.storages.refusals import refusal
from tunekit.storages.rows import branch_of, checkpoints_of, decode, decoded_mapping, encode
from tunekit.storages.stored_shapes import check_trial, shaped_as_written
from tunekit.storages.table import Row, StudyTable, TrialChange, event_row, trial_row
from tunekit.storages.transitions import (
    CLAIM,
    LOSE,
    PAUSE,
    PREEMPT,
    RELEASE,
    SAVE,
    START,
    TAKE_OVER,
    TELL,
    Transition,
)


class ExchangeGuard(Protocol):
    """Takes part in the transaction of exchanges with one study."""

    def allowed(self, table: StudyTable, n: int) -> tuple[int, str]:
        """Return how many of `n` trials a claim may take now, and why not all of them.

        It is asked after the operations of the same request were applied. A claim that is
        repeated with its key gets the same leases without it.
        """
        ...

    def note(
        self,
        table: StudyTable,
        requests: Sequence[ExchangeRequest],
        answers: Sequence[Exchange | InvalidArgument],
    ) -> None:
        """Learn what was done, before it is committed."""
        ...


class ExchangeRun:
    """Applies one exchange of one worker with one study."""

    def __init__(
        self,
        table: StudyTable,
        study_id: int,
        request: ExchangeRequest,
        guard: ExchangeGuard | None = None,
    ) -> None:
        self._guard = guard
        self._held_back = ""
        self._table = table
        self._study_id = study_id
        self._request = request
        self._worker = request.worker
        self._lease_s = request.lease_s
        self._seq = 0
        self._n_trials = 0
        self._now = 0.0
        self._events: list[dict[str, Any]] = []

    def run(self, texts: Sequence[dict[str, Any]]) -> Exchange:
        """Apply the operations of the request, encoded in `texts`, then claim."""
        operations, claim = self._request.operations, self._request.claim
        n_events = sum(isinstance(op, Changing) for op in operations)
        n_new = claim.n if claim is not None else 0
        locks = bool(n_events or n_new)
        study = self._table.lock(n_events + n_new, n_new) if locks else self._table.look()
        self._now = study.now
        self._seq, self._n_trials = study.seq, study.n_trials
        if locks:
            self._seq, self._n_trials = study.seq - n_events - n_new, study.n_trials - n_new
        statuses = tuple([self._apply(op, t) for op, t in zip(operations, texts, strict=True)])
        state = StudyState(study.state)
        leases: list[Lease] = []
        if claim is not None and claim.n:
            leases = self._claim(claim, state is StudyState.ACTIVE, study.max_retries)
        if (self._seq, self._n_trials) != (study.seq, study.n_trials):
            self._table.set_study(seq=self._seq, n_trials=self._n_trials)
        if self._events:
            self._table.add_events(self._events)
        return Exchange(
            statuses, tuple(leases), state, study.space_version, held_back=self._held_back
        )

    def _apply(self, op: Operation, text: dict[str, Any]) -> Status:
        if isinstance(op, Changing):
            transition, cells, data = self._transition(op, text)
            ok = self._change(transition, op.number, op.epoch, cells, data)
            if ok and text.get("user_attrs") is not None:
                merge_attrs(self._table, op.number, decode(text["user_attrs"]))
        else:
            ok = self._table.renew(op.number, op.epoch, self._now + self._lease_s)
            if ok and isinstance(op, Reports) and text["reports"]:
                self._table.write_reports(op.number, text["reports"])
        return "ok" if ok else self._refusal(op, text)

    def _transition(
        self, op: Changing, text: dict[str, Any]
    ) -> tuple[Transition, dict[str, Any], str | None]:
        """Return the transition of an operation, its cells, and the data of its event."""
        cells: dict[str, Any]
        if isinstance(op, Tell):
            state = str(op.outcome.state)
            cells = {"state": state, "tell_key": op.key}
            cells |= {"outcome": text["outcome"], "params": text["params"]}
            return TELL, cells, f'{{"state":"{state}"}}'
        if isinstance(op, Start):
            point = {name: text[name] for name in ("params", "proposal", "branch")}
            return START, {"started_epoch": op.epoch, "is_partial": False, **point}, None
        if isinstance(op, Pause):
            cells = {"outcome": text["outcome"], "params": text["params"]}
            return PAUSE, cells, encode({"reason": op.outcome.reason})
        if isinstance(op, Saved):
            checkpoints = text["checkpoints"]
            until = self._now + self._lease_s
            cells = {"checkpoints": checkpoints, "lease_until": until}
            return SAVE, cells, f'{{"checkpoints":{checkpoints or "[]"}}}'
        if op.preempted:
            return PREEMPT, {"outcome": text["outcome"]}, text["data"]
        return RELEASE, {}, text["data"]

    def _refusal(self, op: Operation, text: dict[str, Any]) -> Status:
        """Return why a transition did not apply: a repetition, a conflict or a lost lease."""
        row = self._table.trial(op.number)
        if row is None:
            return "lost"
        return refusal(
            op,
            state=row["state"],
            epoch=row["epoch"],
            started_epoch=row["started_epoch"],
            tell_key=row["tell_key"],
            has_checkpoints=row["checkpoints"] == text.get("checkpoints"),
        )

    def _claim(self, claim: Claim, is_active: bool, max_retries: int) -> list[Lease]:
        rows = self._table.free(claim.key, claim.n, self._now)
        rows = sorted(rows, key=lambda r: (r["state"] == TrialState.RUNNING, r["number"]))
        # By number, because an expired trial of this key is found twice.
        again = {r["number"]: r for r in rows if r["claim_key"] == claim.key}
        if again:
            same = sorted(again.values(), key=lambda r: r["seq"])  # in the original order
            return [_lease(r, r["epoch"]) for r in same]
        if not is_active:
            return []
        most = claim.n
        if self._guard is not None:
            most, self._held_back = self._guard.allowed(self._table, most)
        leases: list[Lease] = []
        for row in rows:
            if len(leases) == most:
                break
            if row["state"] == TrialState.RUNNING and row["lapses"] >= max_retries:
                self._lose(row)
            elif self._take_over(row, claim.key):
                leases.append(_lease(row, row["epoch"] + 1))
        return leases + self._new_trials(claim, most - len(leases))

    def _lose(self, row: Row) -> None:
        outcome = encode({"reason": lost_reason(row["lapses"] + 1)})
        cells = {"outcome": outcome}
        self._change(LOSE, row["number"], row["epoch"], cells, '{"state":"lost"}')

    def _take_over(self, row: Row, key: str) -> bool:
        transition = TAKE_OVER if row["state"] == TrialState.RUNNING else CLAIM
        until = self._now + self._lease_s
        cells = {"worker": self._worker, "claim_key": key, "lease_until": until}
        data = encode({"worker": self._worker})
        if not self._change(transition, row["number"], row["epoch"], cells, data):
            return False
        if row["epoch"]:  # it has run before and resumes from its last checkpoint
            kept = checkpoints_of(decode(row["checkpoints"])) if row["checkpoints"] else ()
            self._table.drop_reports(row["number"], kept[-1].step if kept else None)
        return True

    def _new_trials(self, claim: Claim, n: int) -> list[Lease]:
        if claim.max_trials is not None:
            n = min(n, claim.max_trials - self._n_trials)
        if n <= 0:
            return []
        data = encode({"worker": self._worker})
        held: dict[str, Any] = {"worker": self._worker, "claim_key": claim.key}
        held |= {"state": "running", "epoch": 1, "lease_until": self._now + self._lease_s}
        leases, rows = [], []
        for _ in range(n):
            number = self._n_trials
            self._note("claimed", number, data)
            rows.append(trial_row(self._study_id, number, self._seq, self._now, **held))
            leases.append(Lease(number, 1))
            self._n_trials += 1
        self._table.add_trials(rows)
        return leases

    def _change(
        self,
        transition: Transition,
        number: int,
        epoch: int,
        cells: Mapping[str, Any],
        data: str | None,
    ) -> bool:
        change = TrialChange(transition, number, cells, self._seq + 1, self._now, epoch)
        if not self._table.change(change):
            return False
        self._note(transition.event, number, data)
        return True

    def _note(self, kind: EventKind, number: int, data: str | None) -> None:
        self._seq += 1
        self._events.append(event_row(self._study_id, self._seq, kind, number, self._now, data))


def merge_attrs(table: StudyTable, number: int, attrs: Mapping[str, Any]) -> None:
    """Merge user attributes into a trial's, inside a transaction that locks its study."""
    row = table.trial(number)
    before = row["user_attrs"] if row is not None else None
    merged = {**(decoded_mapping(before) if before else {}), **attrs}
    table.set_trial(number, user_attrs=encode(merged))


def _lease(row: Row, epoch: int) -> Lease:
    params = None
    if row["params"] is not None:
        found = decode(row["params"])
        with shaped_as_written(f"trial {row['number']}"):
            check_trial(found, None, None, None)
            params = Params(found)
    branch = None if row["branch"] is None else branch_of(decode(row["branch"]))
    return Lease(row["number"], epoch, params, bool(row["is_partial"]), branch)
