"""Routes of thin workers: ask, report, tell and hold trials, with the sampler in the service."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool

from tunekit.records import StudyRecord
from tunekit.service.access.roles import Role
from tunekit.service.asking.asking import Asking
from tunekit.service.asking.leases import check_held, end_of, request_of
from tunekit.service.asking.reporting import Reporting
from tunekit.service.endpoints import endpoint
from tunekit.service.links import Links
from tunekit.service.routes.parts import InProject
from tunekit.storages.base import Operation, Release, Renew
from tunekit.storages.http import work_messages as m
from tunekit.storages.project import ProjectStorage

router = APIRouter(prefix="/projects/{project}/studies/{study_id}", tags=["workers"])

_LEASE = {"worker": "$request.body#/worker", "epoch": "$response.body#/trials/0/epoch"}
_NUMBER = "$response.body#/trials/0/number"
_LINKS = Links(
    {"number": _NUMBER},
    sends={
        "tell_trial": {**_LEASE, "key": "$request.body#/key", "state": "failed"},
        "report_trial": {**_LEASE, "reports": [{"step": 1, "metrics": {"loss": 1.0}}]},
        "renew_trial": _LEASE,
        "release_trial": _LEASE,
        "expire_leases": {"leases": [{"number": _NUMBER, "epoch": _LEASE["epoch"]}]},
        "promote_trials": {"trials": [{"number": _NUMBER}]},
        "read_reports": {"trials": [{"number": _NUMBER}]},
    },
    parameters={"put_artifact": {"name": "weights.bin"}},
)


async def known_study(request: Request, storage: InProject, study_id: int) -> StudyRecord:
    """Return the study in the path as it was half a second ago at most."""
    found: StudyRecord = await request.app.state.service.records.read(storage, study_id)
    return found


Study = Annotated[StudyRecord, Depends(known_study)]


@endpoint(
    router, "POST", "/trials:ask", role=Role.WORKER, body=m.Ask,
    example={"worker": "gpu-1", "key": "k1"}, answer=m.Asked, links=_LINKS
)  # fmt: skip
async def ask_trials(request: Request, storage: InProject, study: Study, given: m.Ask) -> m.Asked:
    """Give out trials to run; a request repeated with the same key gives the same ones."""
    asking: Asking = request.app.state.service.asking
    return await asking.ask(storage, study, given)


@endpoint(
    router, "POST", "/trials/{number}:report", role=Role.WORKER, body=m.ReportBatch,
    answer=m.Reported,
)  # fmt: skip
async def report_trial(
    request: Request, storage: InProject, study: Study, number: int, given: m.ReportBatch
) -> m.Reported:
    """Store reports of a running trial, extend its lease, and decide whether it goes on."""
    reporting: Reporting = request.app.state.service.reporting
    return await reporting.report(storage, study, number, given)


@endpoint(
    router, "POST", "/trials/{number}:tell", role=Role.WORKER, body=m.TellResult, answer=m.Told,
    links=Links(sends={"retry_trial": {"from_checkpoint": False}}),
)  # fmt: skip
async def tell_trial(
    request: Request, storage: InProject, study: Study, number: int, given: m.TellResult
) -> m.Told:
    """End a trial; a result repeated with the same key changes nothing."""
    decision = request.app.state.service.reporting.last_decision(study.id, number, given.epoch)
    told = partial(end_of, storage, study, number, told=given, decision=decision)
    reads = given.metrics is None and given.value is None  # its last report may be the result
    end = await run_in_threadpool(told) if reads else told()
    await _write(request, storage, study, given.worker, end)
    return m.Told("ok", end.outcome.state)


@endpoint(
    router, "POST", "/trials/{number}:heartbeat", role=Role.WORKER, body=m.Beat,
    answer=m.LeaseStatus,
)  # fmt: skip
async def renew_trial(
    request: Request, storage: InProject, study: Study, number: int, given: m.Beat
) -> m.LeaseStatus:
    """Extend the lease of a running trial."""
    renewal = Renew(number, given.epoch)
    return await _write(request, storage, study, given.worker, renewal, given.lease_s)


@endpoint(
    router, "POST", "/trials/{number}:release", role=Role.WORKER, body=m.GiveBack,
    answer=m.LeaseStatus,
)  # fmt: skip
async def release_trial(
    request: Request, storage: InProject, study: Study, number: int, given: m.GiveBack
) -> m.LeaseStatus:
    """Give a trial back unfinished, so that another worker runs it."""
    release = Release(number, given.epoch, given.reason)
    return await _write(request, storage, study, given.worker, release)


async def _write(
    request: Request,
    storage: ProjectStorage,
    record: StudyRecord,
    worker: str,
    operation: Operation,
    lease_s: float = 60.0,
) -> m.LeaseStatus:
    commits = request.app.state.service.commits
    asked = request_of(worker, operation, lease_s)
    answer = await commits.exchange(storage, record.id, asked)
    await check_held(storage, record, operation.number, answer.statuses)
    return m.LeaseStatus("ok")
