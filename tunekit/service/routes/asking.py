"""Routes of thin workers: ask, report, tell and hold trials, with the sampler in the service."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.records import StudyRecord
from tunekit.service.access.roles import Role
from tunekit.service.asking.leases import check_held, end_of, request_of
from tunekit.service.endpoints import body_of, endpoint, reply
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


@endpoint(
    router, "POST", "/trials:ask", role=Role.WORKER, body=m.Ask,
    example={"worker": "gpu-1", "key": "k1"}, answer=m.Asked, links=_LINKS
)  # fmt: skip
async def ask_trials(request: Request, storage: InProject, study_id: int) -> Response:
    """Give out trials to run; a request repeated with the same key gives the same ones."""
    ask = await body_of(request, m.Ask)
    record = await _record(request, storage, study_id)
    return reply(await request.app.state.service.asking.ask(storage, record, ask))


@endpoint(
    router, "POST", "/trials/{number}:report", role=Role.WORKER, body=m.ReportBatch,
    answer=m.Reported,
)  # fmt: skip
async def report_trial(
    request: Request, storage: InProject, study_id: int, number: int
) -> Response:
    """Store reports of a running trial, extend its lease, and decide whether it goes on."""
    batch = await body_of(request, m.ReportBatch)
    record = await _record(request, storage, study_id)
    reporting = request.app.state.service.reporting
    return reply(await reporting.report(storage, record, number, batch))


@endpoint(
    router, "POST", "/trials/{number}:tell", role=Role.WORKER, body=m.TellResult, answer=m.Told,
    links=Links(sends={"retry_trial": {"from_checkpoint": False}}),
)  # fmt: skip
async def tell_trial(request: Request, storage: InProject, study_id: int, number: int) -> Response:
    """End a trial; a result repeated with the same key changes nothing."""
    told = await body_of(request, m.TellResult)
    record = await _record(request, storage, study_id)
    decision = request.app.state.service.reporting.last_decision(study_id, number, told.epoch)
    given = {"told": told, "decision": decision}
    if told.metrics is None and told.value is None:  # its last report may be read
        end = await run_in_threadpool(end_of, storage, record, number, **given)
    else:
        end = end_of(storage, record, number, told=told, decision=decision)
    await _write(request, storage, record, told.worker, end)
    return reply(m.Told("ok", end.outcome.state))


@endpoint(
    router, "POST", "/trials/{number}:heartbeat", role=Role.WORKER, body=m.Beat,
    answer=m.LeaseStatus,
)  # fmt: skip
async def renew_trial(
    request: Request, storage: InProject, study_id: int, number: int
) -> Response:
    """Extend the lease of a running trial."""
    beat = await body_of(request, m.Beat)
    record = await _record(request, storage, study_id)
    renewal = Renew(number, beat.epoch)
    await _write(request, storage, record, beat.worker, renewal, beat.lease_s)
    return reply(m.LeaseStatus("ok"))


@endpoint(
    router, "POST", "/trials/{number}:release", role=Role.WORKER, body=m.GiveBack,
    answer=m.LeaseStatus,
)  # fmt: skip
async def release_trial(
    request: Request, storage: InProject, study_id: int, number: int
) -> Response:
    """Give a trial back unfinished, so that another worker runs it."""
    given = await body_of(request, m.GiveBack)
    record = await _record(request, storage, study_id)
    release = Release(number, given.epoch, given.reason)
    await _write(request, storage, record, given.worker, release)
    return reply(m.LeaseStatus("ok"))


async def _record(request: Request, storage: ProjectStorage, study_id: int) -> StudyRecord:
    found: StudyRecord = await request.app.state.service.records.read(storage, study_id)
    return found


async def _write(
    request: Request,
    storage: ProjectStorage,
    record: StudyRecord,
    worker: str,
    operation: Operation,
    lease_s: float = 60.0,
) -> None:
    commits = request.app.state.service.commits
    asked = request_of(worker, operation, lease_s)
    answer = await commits.exchange(storage, record.id, asked)
    await check_held(storage, record, operation.number, answer.statuses)
