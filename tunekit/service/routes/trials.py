"""Routes that change trials from outside their workers: enqueue, add, promote, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import body_of, endpoint, reply
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
async def enqueue_trials(request: Request, storage: Storing, study_id: int, key: Key) -> Response:
    """Append waiting trials; a request repeated with the same key appends nothing."""
    given = await body_of(request, m.Enqueue)
    numbers = await run_in_threadpool(
        storage.enqueue, study_id, given.points,
        user_attrs=given.user_attrs, branch=given.branch, key=key,
    )  # fmt: skip
    note(request, first=numbers[0] if numbers else None, n=len(numbers))
    return reply(m.Numbers(tuple(numbers)))


@endpoint(
    router, "POST", "/trials:add", role=Role.EDITOR, body=m.AddTrials,
    example={"trials": []}, answer=m.Numbers,
    links=_LINKS,
)  # fmt: skip
async def add_trials(request: Request, storage: Storing, study_id: int, key: Key) -> Response:
    """Append trials that ran elsewhere, all or none; the same key appends nothing again."""
    given = await body_of(request, m.AddTrials)
    reports = m.by_number(given.reports)
    numbers = await run_in_threadpool(storage.add_trials, study_id, given.trials, reports, key=key)
    note(request, first=numbers[0] if numbers else None, n=len(numbers))
    return reply(m.Numbers(tuple(numbers)))


@endpoint(
    router, "POST", "/trials:promote", role=Role.WORKER, body=m.Promote, answer=m.Numbers
)  # fmt: skip
async def promote_trials(request: Request, storage: InProject, study_id: int) -> Response:
    """Queue paused trials again."""
    given = await body_of(request, m.Promote)
    reasons = {t.number: t.reason for t in given.trials}
    numbers = await run_in_threadpool(storage.promote, study_id, reasons)
    return reply(m.Numbers(tuple(numbers)))


@endpoint(
    router, "PATCH", "/trials/{number}", role=Role.WORKER, body=m.TrialAttrs,
    example={"attrs": {"commit": "9fceb02"}}, status=204
)  # fmt: skip
async def set_trial_attrs(
    request: Request, storage: InProject, study_id: int, number: int
) -> Response:
    """Merge user attributes into those of a trial."""
    given = await body_of(request, m.TrialAttrs)
    await run_in_threadpool(storage.set_trial_attrs, study_id, number, given.attrs)
    return Response(status_code=204)


@endpoint(
    router, "POST", "/trials/{number}:cancel", role=Role.EDITOR, body=m.Cancel,
    example={"reason": "wrong data"}, answer=m.Done
)  # fmt: skip
async def cancel_trial(
    request: Request, storage: InProject, study_id: int, number: int
) -> Response:
    """End an unfinished trial as cancelled."""
    given = await body_of(request, m.Cancel)
    changed = await run_in_threadpool(storage.cancel_trial, study_id, number, given.reason)
    return reply(m.Done(changed))


@endpoint(
    router, "POST", "/trials/{number}:retry", role=Role.EDITOR, body=m.Retry,
    example={"from_checkpoint": False}, answer=m.Numbers,
)  # fmt: skip
async def retry_trial(
    request: Request, storage: Storing, study_id: int, number: Number, key: Key
) -> Response:
    """Run the point of an ended trial again, as a new trial; the same key does it once."""
    given = await body_of(request, m.Retry)
    await run_in_threadpool(storage.check_study, study_id)
    every: SQLStorage = request.app.state.service.storage
    found = await run_in_threadpool(every.trials_from, study_id, number, 1)
    if not found or found[0].number != number:
        raise unknown_trial(number, (await run_in_threadpool(storage.record, study_id)).n_trials)
    wanted = retry_of(found[0], from_checkpoint=given.from_checkpoint)
    numbers = await run_in_threadpool(
        storage.enqueue, study_id, [wanted.params],
        user_attrs=wanted.user_attrs, branch=wanted.branch, key=key,
    )  # fmt: skip
    note(request, new=numbers[0])
    return reply(m.Numbers(tuple(numbers)))


@endpoint(router, "POST", "/trials:expire", role=Role.WORKER, body=m.Expire, status=204)
async def expire_leases(request: Request, storage: InProject, study_id: int) -> Response:
    """End leases of workers that are known to be dead."""
    given = await body_of(request, m.Expire)
    leases = [(lease.number, lease.epoch) for lease in given.leases]
    await run_in_threadpool(storage.expire, study_id, leases)
    return Response(status_code=204)
