"""The SQL statements, built once; SQLAlchemy caches their compiled form."""

from __future__ import annotations

from sqlalchemy import bindparam, case, delete, func, null, or_, select, union_all, update
from sqlalchemy.dialects import postgresql, sqlite

from tunekit.storages.sql.schema import (
    IS_PREEMPTED,
    IS_RUNNING,
    IS_WAITING,
    TRIAL_COLUMNS,
    clock,
    events,
    reports,
    spaces,
    studies,
    trials,
)

_t = trials.c
_THIS_STUDY = studies.c.id == bindparam("study")
_THIS_TRIAL = (_t.study_id == bindparam("study")) & (_t.number == bindparam("n"))
_HELD = _THIS_TRIAL & (_t.epoch == bindparam("e")) & IS_RUNNING

TAKE = (
    update(studies)
    .where(_THIS_STUDY)
    .values(
        seq=studies.c.seq + bindparam("n_events"), n_trials=studies.c.n_trials + bindparam("n_new")
    )
    .returning(
        studies.c.seq,
        studies.c.n_trials,
        studies.c.state,
        studies.c.space_version,
        studies.c.max_retries,
        clock(),
    )
)
LOOK = select(studies.c.state, studies.c.space_version, clock()).where(_THIS_STUDY)
GIVE_BACK = (
    update(studies)
    .where(_THIS_STUDY)
    .values(seq=bindparam("to_seq"), n_trials=bindparam("to_n_trials"))
)
START = (
    update(trials)
    .where(_HELD, _t.started_epoch < bindparam("e"))
    .values(
        seq=bindparam("to_seq"),
        started_epoch=bindparam("e"),
        is_partial=False,
        started=bindparam("now"),
        params=bindparam("to_params"),
        proposal=bindparam("to_proposal"),
        branch=bindparam("to_branch"),
    )
)
TELL = (
    update(trials)
    .where(_HELD)
    .values(
        seq=bindparam("to_seq"),
        state=bindparam("to_state"),
        finished=bindparam("now"),
        lease_until=null(),
        tell_key=bindparam("key"),
        outcome=bindparam("to_outcome"),
        params=func.coalesce(bindparam("to_params"), _t.params),
        is_partial=case((bindparam("to_params").is_(None), _t.is_partial), else_=False),
    )
)
RELEASE = (
    update(trials)
    .where(_HELD)
    .values(seq=bindparam("to_seq"), state="waiting", lease_until=null(), claim_key=null())
)
PREEMPT = (
    update(trials)
    .where(_HELD)
    .values(
        seq=bindparam("to_seq"),
        state="preempted",
        lease_until=null(),
        claim_key=null(),
        outcome=bindparam("to_outcome"),
    )
)
SAVE = (
    update(trials)
    .where(_HELD, _t.checkpoints.is_distinct_from(bindparam("to_checkpoints")))
    .values(
        seq=bindparam("to_seq"),
        checkpoints=bindparam("to_checkpoints"),
        lease_until=bindparam("until"),
    )
)
PAUSE = (
    update(trials)
    .where(_HELD)
    .values(
        seq=bindparam("to_seq"),
        state="paused",
        lease_until=null(),
        claim_key=null(),
        outcome=bindparam("to_outcome"),
        params=func.coalesce(bindparam("to_params"), _t.params),
        is_partial=case((bindparam("to_params").is_(None), _t.is_partial), else_=False),
    )
)
PROMOTE = (
    update(trials)
    .where(_THIS_TRIAL, _t.state == "paused")
    .values(seq=bindparam("to_seq"), state="waiting", outcome=bindparam("to_outcome"))
)
DROP_REPORTS = delete(reports).where(
    reports.c.study_id == bindparam("study"),
    reports.c.number == bindparam("n"),
    reports.c.step > bindparam("step"),
)
LOSE = (
    update(trials)
    .where(_HELD, _t.lease_until <= bindparam("now"))
    .values(
        seq=bindparam("to_seq"),
        state="lost",
        finished=bindparam("now"),
        lease_until=null(),
        lapses=_t.lapses + 1,
        outcome=bindparam("to_outcome"),
    )
)
RENEW = update(trials).where(_HELD).values(lease_until=bindparam("until"))
AGAIN = (
    update(trials)
    .where(
        _THIS_TRIAL,
        _t.epoch == bindparam("e"),
        or_(IS_WAITING, IS_PREEMPTED, IS_RUNNING & (_t.lease_until <= bindparam("now"))),
    )
    .values(
        seq=bindparam("to_seq"),
        state="running",
        epoch=_t.epoch + 1,
        lapses=_t.lapses + case((IS_RUNNING, 1), else_=0),
        lease_until=bindparam("until"),
        worker=bindparam("to_worker"),
        claim_key=bindparam("key"),
        # A trial that runs again with its params has begun; another begins with its Start.
        started=case((_t.params.is_not(None) & ~_t.is_partial, bindparam("now")), else_=null()),
    )
)
REFUSED = select(_t.state, _t.epoch, _t.started_epoch, _t.tell_key, _t.checkpoints).where(
    _THIS_TRIAL
)
ATTRS = select(_t.user_attrs).where(_THIS_TRIAL)
SET_ATTRS = update(trials).where(_THIS_TRIAL).values(user_attrs=bindparam("to_attrs"))

_SEEN = (
    _t.number, _t.seq, _t.state, _t.epoch, _t.claim_key, _t.params, _t.is_partial, _t.lapses,
    _t.branch, _t.checkpoints,
)  # fmt: skip
_first, _first_preempted = (
    select(*_SEEN)
    .where(_t.study_id == bindparam("study"), state)
    .order_by(_t.number)
    .limit(bindparam("n_wanted"))
    .subquery()
    for state in (IS_WAITING, IS_PREEMPTED)
)
FREE = union_all(
    select(*_SEEN).where(_t.study_id == bindparam("study"), _t.claim_key == bindparam("key")),
    select(_first),
    select(_first_preempted),
    select(*_SEEN).where(
        _t.study_id == bindparam("study"), IS_RUNNING, _t.lease_until <= bindparam("now")
    ),
)

ADD_TRIAL = trials.insert()
ADD_EVENT = events.insert()
UPSERTS = {
    name: insert(reports).on_conflict_do_update(
        index_elements=["study_id", "number", "step"],
        set_={"metrics": insert(reports).excluded.metrics},
    )
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}

CHANGES = (
    select(*TRIAL_COLUMNS)
    .where(trials.c.study_id == bindparam("study"), trials.c.seq > bindparam("after"))
    .order_by(trials.c.seq)
)
EVENTS = (
    select(events.c.seq, events.c.kind, events.c.number, events.c.at, events.c.data)
    .where(events.c.study_id == bindparam("study"), events.c.seq > bindparam("after"))
    .order_by(events.c.seq)
    .limit(bindparam("n"))
)
REPORTS = (
    select(reports.c.number, reports.c.step, reports.c.metrics)
    .where(reports.c.study_id == bindparam("study"))
    .order_by(reports.c.number, reports.c.step)
)
SOME_REPORTS = REPORTS.where(reports.c.number.in_(bindparam("numbers", expanding=True)))
STUDIES = (
    select(studies, spaces.c.space)
    .outerjoin(
        spaces,
        (spaces.c.study_id == studies.c.id) & (spaces.c.version == studies.c.space_version),
    )
    .order_by(studies.c.name)
)
STUDY = STUDIES.where(studies.c.name == bindparam("name"))
EXPIRE = (
    update(trials)
    .where(
        trials.c.study_id == bindparam("study"),
        trials.c.number == bindparam("n"),
        trials.c.epoch == bindparam("e"),
        IS_RUNNING,
    )
    .values(lease_until=0.0)
)
