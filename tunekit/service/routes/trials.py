"""Routes that change trials from outside their workers: enqueue, add, promote, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint
from tunekit.service.links import Links
from tunekit.service.routes.parts import InProject, Key, Storing
from tunekit.storages.checks import unknown_trial
from tunekit.storages.http import messages as m
from tunekit.storages.sql.storage import SQLStorage
from tunekit.studies.retry import retry_of

router = APIRouter(prefix="/projects/{project}/studies/{study_id}", tags=["trials"])

Number = Annotated[int, Path(ge=0, le=2**63 - 1)]

_LINKS = Links({"number": "$response.body#/numbers/0"})


@endpoint(
    router, "POST", "/trials:enqueue", role=Role.EDITOR, body=m.Enqueue,
    example={"points": [{"lr": 0.01}]}, answer=m.Numbers,
    links=_LINKS,
)  # fmt: skip
def enqueue_trials(
    request: Request, storage: Storing, study_id: int, key: Key, given: m.Enqueue
) -> m.Numbers:
    """Append waiting trials; a request repeated with the same key appends nothing."""
    numbers = storage.enqueue(
        study_id, given.points, user_attrs=given.user_attrs, branch=given.branch, key=key
    )
    note(request, first=numbers[0] if numbers else None, n=len(numbers))
    return m.Numbers(tuple(numbers))


@endpoint(
    router, "POST", "/trials:add", role=Role.EDITOR, body=m.AddTrials,
    example={"trials": []}, answer=m.Numbers,
    links=_LINKS,
)  # fmt: skip
def add_trials(
    request: Request, storage: Storing, study_id: int, key: Key, given: m.AddTrials
) -> m.Numbers:
    """Append trials that ran elsewhere, all or none; the same key appends nothing again."""
    reports = m.by_number(given.reports)
    numbers = storage.add_trials(study_id, given.trials, reports, key=key)
    note(request, first=numbers[0] if numbers else None, n=len(numbers))
    return m.Numbers(tuple(numbers))


@endpoint(
    router, "POST", "/trials:promote", role=Role.WORKER, body=m.Promote, answer=m.Numbers
)  # fmt: skip
def promote_trials(storage: InProject, study_id: int, given: m.Promote) -> m.Numbers:
    """Queue paused trials again."""
    reasons = {t.number: t.reason for t in given.trials}
    return m.Numbers(tuple(storage.promote(study_id, reasons)))


@endpoint(
    router, "PATCH", "/trials/{number}", role=Role.WORKER, body=m.TrialAttrs,
    example={"attrs": {"commit": "9fceb02"}}, status=204
)  # fmt: skip
def set_trial_attrs(storage: InProject, study_id: int, number: int, given: m.TrialAttrs) -> None:
    """Merge user attributes into those of a trial."""
    storage.set_trial_attrs(study_id, number, given.attrs)


@endpoint(
    router, "POST", "/trials/{number}:cancel", role=Role.EDITOR, body=m.Cancel,
    example={"reason": "wrong data"}, answer=m.Changed
)  # fmt: skip
def cancel_trial(storage: InProject, study_id: int, number: int, given: m.Cancel) -> m.Changed:
    """End an unfinished trial as cancelled."""
    return m.Changed(storage.cancel_trial(study_id, number, given.reason))


@endpoint(
    router, "POST", "/trials/{number}:retry", role=Role.EDITOR, body=m.RetryTrial,
    example={"from_checkpoint": False}, answer=m.Numbers,
)  # fmt: skip
def retry_trial(
    request: Request,
    storage: Storing,
    study_id: int,
    number: Number,
    key: Key,
    given: m.RetryTrial,
) -> m.Numbers:
    """Run the point of an ended trial again, as a new trial; the same key does it once."""
    storage.check_study(study_id)
    every: SQLStorage = request.app.state.service.storage
    found = every.trials_from(study_id, number, 1)
    if not found or found[0].number != number:
        raise unknown_trial(number, storage.record(study_id).n_trials)
    wanted = retry_of(found[0], from_checkpoint=given.from_checkpoint)
    numbers = storage.enqueue(
        study_id, [wanted.params], user_attrs=wanted.user_attrs, branch=wanted.branch, key=key
    )
    note(request, new=numbers[0])
    return m.Numbers(tuple(numbers))


@endpoint(router, "POST", "/trials:expire", role=Role.WORKER, body=m.Expire, status=204)
def expire_leases(storage: InProject, study_id: int, given: m.Expire) -> None:
    """End leases of workers that are known to be dead."""
    leases = [(lease.number, lease.epoch) for lease in given.leases]
    storage.expire(study_id, leases)
