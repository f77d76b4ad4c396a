"""One exchange on a database connection: a worker's operations and its claim.

An exchange that changes trials begins with an UPDATE of the study's row. That row is the lock of
the study: it orders its writers, which is what makes the event sequence free of gaps. (Skipping
locked rows would buy nothing on top of it.) The UPDATE takes event numbers and trial numbers for
the case that all goes as asked; where it did not, a second UPDATE gives the rest back, before
anybody could see them. Reports and renewals take no event number and so no lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from tunekit.records import StudyState, TrialState
from tunekit.spaces import Params
from tunekit.storages.base import (
    Claim,
    EventKind,
    Exchange,
    Lease,
    Operation,
    Pause,
    Release,
    Reports,
    Saved,
    Start,
    Status,
    Tell,
)
from tunekit.storages.checks import deleted_study, lost_reason
from tunekit.storages.codec import branch_of, checkpoints_of, decode, encode
from tunekit.storages.refusals import refusal
from tunekit.storages.sql.statements import (
    ADD_EVENT,
    ADD_TRIAL,
    AGAIN,
    ATTRS,
    DROP_REPORTS,
    FREE,
    GIVE_BACK,
    LOOK,
    LOSE,
    PAUSE,
    PREEMPT,
    REFUSED,
    RELEASE,
    RENEW,
    SAVE,
    SET_ATTRS,
    START,
    TAKE,
    TELL,
    UPSERTS,
)

BEFORE_ALL_STEPS = -(2**63)
CHANGING = Start | Saved | Release | Pause | Tell
"""The operations that change a trial, so that each takes an event number."""


class ExchangeRun:
    """One exchange inside one transaction that the caller opened for writing."""

    def __init__(self, connection: Connection, study_id: int, worker: str, lease_s: float) -> None:
        self.connection = connection
        self.study_id = study_id
        self.worker = worker
        self.lease_s = lease_s
        self.seq = 0
        self.n_trials = 0
        self.now = 0.0
        self.events: list[dict[str, Any]] = []

    def run(
        self,
        operations: Sequence[Operation],
        texts: Sequence[dict[str, Any]],
        claim: Claim | None,
    ) -> Exchange:
        """Apply the operations, whose written form is `texts`, then claim."""
        n_events = sum(isinstance(op, CHANGING) for op in operations)
        n_new = claim.n if claim is not None else 0
        if n_events or n_new:
            state, version, max_retries = self._take(n_events + n_new, n_new)
        else:
            state, version, max_retries = self._look()
        taken = self.seq + n_events + n_new, self.n_trials + n_new
        statuses = tuple([self._one(op, t) for op, t in zip(operations, texts, strict=True)])
        leases: list[Lease] = []
        if claim is not None and claim.n:
            leases = self._claim(claim, state is StudyState.ACTIVE, max_retries)
        if (self.seq, self.n_trials) != taken:
            back = {"to_seq": self.seq, "to_n_trials": self.n_trials}
            self.connection.execute(GIVE_BACK, {"study": self.study_id, **back})
        if self.events:
            self._insert(ADD_EVENT, self.events)
        return Exchange(statuses, tuple(leases), state, version)

    def _take(self, n_events: int, n_new: int) -> tuple[StudyState, int, int]:
        bound = {"study": self.study_id, "n_events": n_events, "n_new": n_new}
        row = self.connection.execute(TAKE, bound).first()
        if row is None:
            raise deleted_study(self.study_id)
        seq, n_trials, state, version, max_retries, self.now = row
        self.seq, self.n_trials = seq - n_events, n_trials - n_new
        return StudyState(state), version, max_retries

    def _look(self) -> tuple[StudyState, int, int]:
        row = self.connection.execute(LOOK, {"study": self.study_id}).first()
        if row is None:
            raise deleted_study(self.study_id)
        state, version, self.now = row
        return StudyState(state), version, 0

    def _one(self, op: Operation, text: dict[str, Any]) -> Status:
        bound = {"study": self.study_id, "n": op.number, "e": op.epoch}
        if isinstance(op, Tell):
            ok = self._tell(op, text, bound)
        elif isinstance(op, Start):
            fields = {f"to_{name}": text[name] for name in ("params", "proposal", "branch")}
            ok = self._change(START, "started", None, bound | fields)
        elif isinstance(op, Pause):
            ok = self._pause(op, text, bound)
        elif isinstance(op, Saved):
            ok = self._save(text["checkpoints"], bound)
        elif isinstance(op, Release) and op.preempted:
            fields = {"to_outcome": text["outcome"]}
            ok = self._change(PREEMPT, "preempted", text["data"], bound | fields)
        elif isinstance(op, Release):
            ok = self._change(RELEASE, "released", text["data"], bound)
        else:
            until = self.now + self.lease_s
            ok = self.connection.execute(RENEW, bound | {"until": until}).rowcount == 1
            if ok and isinstance(op, Reports) and text["reports"]:
                self._report(op.number, text["reports"])
        return "ok" if ok else self._refusal(op, text, bound)

    def _tell(self, op: Tell, text: dict[str, Any], bound: dict[str, Any]) -> bool:
        state = str(op.outcome.state)
        fields = {
            "to_state": state,
            "key": op.key,
            "to_outcome": text["outcome"],
            "to_params": text["params"],
        }
        if not self._change(TELL, "told", f'{{"state":"{state}"}}', bound | fields):
            return False
        if text["user_attrs"] is not None:
            merge_attrs(self.connection, self.study_id, op.number, decode(text["user_attrs"]))
        return True

    def _pause(self, op: Pause, text: dict[str, Any], bound: dict[str, Any]) -> bool:
        fields = {"to_outcome": text["outcome"], "to_params": text["params"]}
        data = encode({"reason": op.outcome.reason})
        if not self._change(PAUSE, "paused", data, bound | fields):
            return False
        if text["user_attrs"] is not None:
            merge_attrs(self.connection, self.study_id, op.number, decode(text["user_attrs"]))
        return True

    def _save(self, checkpoints: str | None, bound: dict[str, Any]) -> bool:
        fields = {"to_checkpoints": checkpoints, "until": self.now + self.lease_s}
        data = f'{{"checkpoints":{checkpoints or "[]"}}}'
        return self._change(SAVE, "checkpoint", data, bound | fields)

    def _report(self, number: int, texts: dict[int, str]) -> None:
        rows = [
            {"study_id": self.study_id, "number": number, "step": step, "metrics": metrics}
            for step, metrics in texts.items()
        ]
        self._insert(UPSERTS[self.connection.dialect.name], rows)

    def _refusal(self, op: Operation, text: dict[str, Any], bound: dict[str, Any]) -> Status:
        """Return why a fenced UPDATE found nothing: a repetition, a conflict or a lost lease."""
        row = self.connection.execute(REFUSED, bound).first()
        if row is None:
            return "lost"
        state, epoch, started_epoch, tell_key, checkpoints = row
        return refusal(
            op,
            state=state,
            epoch=epoch,
            started_epoch=started_epoch,
            tell_key=tell_key,
            has_checkpoints=checkpoints == text.get("checkpoints"),
        )

    def _claim(self, claim: Claim, is_active: bool, max_retries: int) -> list[Lease]:
        asked = {"study": self.study_id, "key": claim.key, "n_wanted": claim.n, "now": self.now}
        rows = self.connection.execute(FREE, asked).all()
        rows = sorted(rows, key=lambda r: (r.state == TrialState.RUNNING, r.number))
        # By number, because a trial of this key whose lease has run out is found twice.
        again = {r.number: r for r in rows if r.claim_key == claim.key}
        if again:
            same = sorted(again.values(), key=lambda r: r.seq)  # in the order of the first time
            return [_lease(r, r.epoch) for r in same]
        if not is_active:
            return []
        leases: list[Lease] = []
        for row in rows:
            if len(leases) == claim.n:
                break
            if row.state == TrialState.RUNNING and row.lapses >= max_retries:
                self._lose(row)
            elif self._take_over(row, claim.key):
                leases.append(_lease(row, row.epoch + 1))
        return leases + self._new_trials(claim, claim.n - len(leases))

    def _lose(self, row: Row[Any]) -> None:
        outcome = encode({"reason": lost_reason(row.lapses + 1)})
        bound = {"study": self.study_id, "n": row.number, "e": row.epoch, "to_outcome": outcome}
        self._change(LOSE, "lost", '{"state":"lost"}', bound)

    def _take_over(self, row: Row[Any], key: str) -> bool:
        bound = {
            "study": self.study_id,
            "n": row.number,
            "e": row.epoch,
            "until": self.now + self.lease_s,
            "to_worker": self.worker,
            "key": key,
        }
        if not self._change(AGAIN, "claimed", encode({"worker": self.worker}), bound):
            return False
        if row.epoch:  # it has run before, and goes on after its last checkpoint
            kept = checkpoints_of(decode(row.checkpoints)) if row.checkpoints else ()
            step = kept[-1].step if kept else BEFORE_ALL_STEPS
            this = {"study": self.study_id, "n": row.number, "step": step}
            self.connection.execute(DROP_REPORTS, this)
        return True

    def _new_trials(self, claim: Claim, n: int) -> list[Lease]:
        if claim.max_trials is not None:
            n = min(n, claim.max_trials - self.n_trials)
        if n <= 0:
            return []
        data = encode({"worker": self.worker})
        leases, rows = [], []
        for _ in range(n):
            number = self.n_trials
            self._note("claimed", number, data)
            fields = {"worker": self.worker, "claim_key": claim.key, "state": "running"}
            lease_until = self.now + self.lease_s
            rows.append(
                new_trial(self.study_id, number, self.seq, self.now)
                | fields
                | {"epoch": 1, "lease_until": lease_until}
            )
            leases.append(Lease(number, 1))
            self.n_trials += 1
        self._insert(ADD_TRIAL, rows)
        return leases

    def _change(
        self, statement: Any, kind: EventKind, data: str | None, bound: dict[str, Any]
    ) -> bool:
        bound |= {"to_seq": self.seq + 1, "now": self.now}
        if self.connection.execute(statement, bound).rowcount != 1:
            return False
        self._note(kind, bound["n"], data)
        return True

    def _note(self, kind: EventKind, number: int, data: str | None) -> None:
        self.seq += 1
        self.events.append(new_event(self.study_id, self.seq, kind, number, self.now, data))

    def _insert(self, statement: Any, rows: list[dict[str, Any]]) -> None:
        # One row goes as plain parameters: that path of SQLAlchemy is the shorter one.
        self.connection.execute(statement, rows[0] if len(rows) == 1 else rows)


def new_trial(study_id: int, number: int, seq: int, now: float) -> dict[str, Any]:
    """Return the row of a WAITING trial."""
    return {
        "study_id": study_id,
        "number": number,
        "seq": seq,
        "state": "waiting",
        "epoch": 0,
        "started_epoch": 0,
        "lapses": 0,
        "worker": "",
        "is_partial": False,
        "lease_until": None,
        "created": now,
        "claim_key": None,
        "params": None,
        "user_attrs": None,
        "branch": None,
    }


def new_event(
    study_id: int, seq: int, kind: EventKind, number: int | None, now: float, data: str | None
) -> dict[str, Any]:
    """Return the row of an event."""
    return {
        "study_id": study_id,
        "seq": seq,
        "kind": kind,
        "number": number,
        "at": now,
        "data": data,
    }


def merge_attrs(connection: Connection, study_id: int, number: int, attrs: dict[str, Any]) -> None:
    """Merge user attributes into those of a trial, inside a transaction that locks its study."""
    this = {"study": study_id, "n": number}
    before = connection.execute(ATTRS, this).scalar()
    merged = {**(decode(before) if before else {}), **attrs}
    connection.execute(SET_ATTRS, this | {"to_attrs": encode(merged)})


def _lease(row: Row[Any], epoch: int) -> Lease:
    params = None if row.params is None else Params(decode(row.params))
    branch = None if row.branch is None else branch_of(decode(row.branch))
    return Lease(row.number, epoch, params, row.is_partial, branch)
