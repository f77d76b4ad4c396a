"""SQL statements, built once; SQLAlchemy caches their compiled form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Double,
    Text,
    Update,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal_column,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from tunekit.records import TrialState
from tunekit.storages.rows import TRIAL_COLUMNS
from tunekit.storages.sql.schema import (
    IS_PREEMPTED,
    IS_RUNNING,
    IS_WAITING,
    clock,
    events,
    reports,
    requests,
    spaces,
    studies,
    trials,
)
from tunekit.storages.transitions import TRANSITIONS, Transition

_t = trials.c
_THIS_STUDY = studies.c.id == bindparam("study")
_THIS_TRIAL = (_t.study_id == bindparam("study")) & (_t.number == bindparam("n"))


def _is_in(states: Sequence[TrialState]) -> ColumnElement[bool]:
    """Return whether a trial, known by its number, is in one of the states.

    These are parameters, because a prepared plan that began with a few trials would look for
    this one among all in a state, through the partial index of literal states.
    """
    given: list[BindParameter[str]] = [
        bindparam(f"from_{i}", str(state)) for i, state in enumerate(states)
    ]
    return _t.state == given[0] if len(given) == 1 else _t.state.in_(given)


_HELD = _THIS_TRIAL & (_t.epoch == bindparam("e")) & _is_in((TrialState.RUNNING,))
_STUDY_ROW = (
    studies.c.seq,
    studies.c.n_trials,
    studies.c.state,
    studies.c.space_version,
    studies.c.max_retries,
    clock(),
)
TAKE = (
    update(studies)
    .where(_THIS_STUDY)
    .values(
        seq=studies.c.seq + bindparam("n_events"), n_trials=studies.c.n_trials + bindparam("n_new")
    )
    .returning(*_STUDY_ROW)
)
LOOK = select(*_STUDY_ROW).where(_THIS_STUDY)
STUDY_ATTRS = select(studies.c.attrs).where(_THIS_STUDY)


def _update(transition: Transition) -> Update:
    """Return the UPDATE statement of a transition.

    Given cells are bound as `to_<column>`, the lease's epoch as `e`, the time as `now`. Casts
    give their types where a prepared statement could not infer them.
    """
    where: list[ColumnElement[bool]] = [_THIS_TRIAL, _is_in(transition.sources)]
    if transition.fenced:
        where.append(_t.epoch == bindparam("e"))
    if transition.expired:
        where.append(_t.lease_until <= bindparam("now"))
    if transition.changes:
        given = [_t[c].is_distinct_from(bindparam(f"to_{c}")) for c in transition.changes]
        where.append(or_(*given))
    cells: dict[str, Any] = {"seq": bindparam("to_seq")}
    if transition.target is not None:
        cells["state"] = literal_column(f"'{transition.target}'")
    cells |= {c: bindparam(f"to_{c}") for c in transition.sets}
    cells |= {c: func.coalesce(bindparam(f"to_{c}"), _t[c]) for c in transition.offers}
    if transition.offers:  # a given point is complete
        no_params = cast(bindparam("to_params"), Text).is_(None)
        cells["is_partial"] = case((no_params, _t.is_partial), else_=False)
    cells |= {c: null() for c in transition.clears}
    cells |= {c: bindparam("now") for c in transition.stamps}
    cells |= {c: _t[c] + 1 for c in transition.counts}
    if transition.restarts:
        is_whole = _t.params.is_not(None) & ~_t.is_partial
        cells["started"] = case((is_whole, cast(bindparam("now"), Double)), else_=null())
    return update(trials).where(*where).values(cells)


UPDATES = {transition: _update(transition) for transition in TRANSITIONS}
DROP_REPORTS = delete(reports).where(
    reports.c.study_id == bindparam("study"),
    reports.c.number == bindparam("n"),
    reports.c.step > bindparam("step"),
)
RENEW = update(trials).where(_HELD).values(lease_until=bindparam("until"))
TRIAL = select(
    _t.state, _t.epoch, _t.started_epoch, _t.tell_key, _t.checkpoints, _t.user_attrs
).where(_THIS_TRIAL)

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
    select(*(_t[name] for name in TRIAL_COLUMNS))
    .where(trials.c.study_id == bindparam("study"), trials.c.seq > bindparam("after"))
    .order_by(trials.c.seq)
)
TRIALS_FROM = (
    select(*(_t[name] for name in TRIAL_COLUMNS))
    .where(trials.c.study_id == bindparam("study"), trials.c.number >= bindparam("first"))
    .order_by(trials.c.number)
    .limit(bindparam("n"))
)
SOME_CHANGES = CHANGES.limit(bindparam("n"))
EVENTS = (
    select(events.c.seq, events.c.kind, events.c.number, events.c.at, events.c.data)
    .where(events.c.study_id == bindparam("study"), events.c.seq > bindparam("after"))
    .order_by(events.c.seq)
    .limit(bindparam("n"))
)
REQUEST = select(requests.c.answer).where(
    requests.c.study_id == bindparam("study"), requests.c.key == bindparam("key")
)
ADD_REQUEST = requests.insert()
STUDIES = (
    select(studies, spaces.c.space)
    .outerjoin(
        spaces,
        (spaces.c.study_id == studies.c.id) & (spaces.c.version == studies.c.space_version),
    )
    .order_by(studies.c.name)
)
STUDY = STUDIES.where(studies.c.name == bindparam("name"))
STUDY_OF_ID = STUDIES.where(_THIS_STUDY)
EXPIRE = update(trials).where(_HELD).values(lease_until=0.0)
