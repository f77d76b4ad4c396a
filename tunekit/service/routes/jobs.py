"""Routes for submitted jobs: of those who submit, and of runners."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import body_of, endpoint, reply
from tunekit.service.idempotency import keyed_request
from tunekit.service.jobs import Jobs
from tunekit.service.links import Links
from tunekit.service.routes.parts import MAX_ITEMS, After, Limit, Storing, listed
from tunekit.storages.codec import to_dict
from tunekit.storages.http import job_messages as m

router = APIRouter(prefix="/projects/{project}/jobs", tags=["jobs"])

JobId = Annotated[int, Path(ge=1, le=2**31 - 1)]

_CLAIM = {"runner": "$request.body#/runner", "epoch": "$response.body#/job/epoch"}
_SUBMITTED = Links(
    {"job_id": "$response.body#/id"}, sends={"claim_job": {"runner": "cluster-1", "key": "k1"}}
)
_CLAIMED = Links(
    {"job_id": "$response.body#/job/id"},
    sends={"renew_job": _CLAIM, "end_job": {**_CLAIM, "state": "done"}},
)


def all_jobs(request: Request) -> Jobs:
    """Return the jobs of all projects."""
    jobs: Jobs = request.app.state.service.jobs
    return jobs


AllJobs = Annotated[Jobs, Depends(all_jobs)]


@endpoint(
    router, "POST", "", role=Role.EDITOR, body=m.JobNew,
    example={"settings": {"name": "digits"}}, answer=m.Job, status=201,
    links=_SUBMITTED,
)  # fmt: skip
async def submit_job(request: Request, storage: Storing, jobs: AllJobs, project: str) -> Response:
    """Queue a study for a runner; a request repeated with the same key queues nothing more."""
    new = await body_of(request, m.JobNew)
    keyed = await keyed_request(request)
    owner = request.state.principal.name
    text = await run_in_threadpool(jobs.submit, project, owner, new, keyed)
    doc = json.loads(text)
    note(request, job=doc["id"], name=doc["name"])
    return Response(text, 201, media_type="application/json")


@endpoint(router, "GET", "", role=Role.VIEWER, answer=m.JobPage)
async def list_jobs(
    jobs: AllJobs, project: str, after: After = 0, limit: Limit = MAX_ITEMS
) -> Response:
    """List the jobs of a project by id."""
    return await listed("jobs", jobs.page, project, after=after, limit=limit)


@endpoint(router, "GET", "/{job_id}", role=Role.VIEWER, answer=m.Job)
async def get_job(jobs: AllJobs, project: str, job_id: JobId) -> Response:
    """Return a job."""
    return reply(await run_in_threadpool(jobs.get, project, job_id))


@endpoint(
    router,
    "PATCH",
    "/{job_id}",
    role=Role.EDITOR,
    body=m.JobPatch,
    example={"weight": 2.0},
    answer=m.Job,
)
async def change_job(request: Request, jobs: AllJobs, project: str, job_id: JobId) -> Response:
    """Change the weight or priority of a job; its runner follows within seconds."""
    patch = await body_of(request, m.JobPatch)
    note(request, **to_dict(patch))
    return reply(await run_in_threadpool(jobs.change, project, job_id, patch))


@endpoint(router, "POST", "/{job_id}:cancel", role=Role.EDITOR, answer=m.Job)
async def cancel_job(jobs: AllJobs, project: str, job_id: JobId) -> Response:
    """Cancel a job; its runner gives back the trials that run, and the study stays."""
    return reply(await run_in_threadpool(jobs.cancel, project, job_id))


@endpoint(
    router, "POST", ":claim", role=Role.WORKER, body=m.JobClaim,
    example={"runner": "cluster-1", "key": "k1"}, answer=m.ClaimedJob,
    links=_CLAIMED,
)  # fmt: skip
async def claim_job(request: Request, jobs: AllJobs, project: str) -> Response:
    """Give the next job to a runner."""
    claim = await body_of(request, m.JobClaim)
    return reply(m.ClaimedJob(await run_in_threadpool(jobs.claim, project, claim)))


@endpoint(
    router, "POST", "/{job_id}:heartbeat", role=Role.WORKER, body=m.JobBeat, answer=m.Job
)  # fmt: skip
async def renew_job(request: Request, jobs: AllJobs, project: str, job_id: JobId) -> Response:
    """Extend the lease of a job, and return its share as of now."""
    beat = await body_of(request, m.JobBeat)
    return reply(await run_in_threadpool(jobs.renew, project, job_id, beat))


@endpoint(router, "POST", "/{job_id}:end", role=Role.WORKER, body=m.JobEnd, answer=m.Job)
async def end_job(request: Request, jobs: AllJobs, project: str, job_id: JobId) -> Response:
    """End a job, or give it back to the queue."""
    end = await body_of(request, m.JobEnd)
    return reply(await run_in_threadpool(jobs.end, project, job_id, end))
