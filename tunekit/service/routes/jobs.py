"""Routes for submitted jobs: of those who submit, and of runners."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from tunekit.service.access.audited_changes import note
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint
from tunekit.service.jobs import Jobs
from tunekit.service.links import Links
from tunekit.service.routes.parts import MAX_ITEMS, After, Keyed, Limit, Storing, listed
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
def submit_job(
    request: Request, storage: Storing, jobs: AllJobs, project: str, keyed: Keyed, given: m.JobNew
) -> Response:
    """Queue a study for a runner; a request repeated with the same key queues nothing more."""
    owner = request.state.principal.name
    text = jobs.submit(project, owner, given, keyed)
    doc = json.loads(text)
    note(request, job=doc["id"], name=doc["name"])
    return Response(text, 201, media_type="application/json")


@endpoint(router, "GET", "", role=Role.VIEWER, answer=m.JobPage)
def list_jobs(jobs: AllJobs, project: str, after: After = 0, limit: Limit = MAX_ITEMS) -> Response:
    """List the jobs of a project by id."""
    return listed("jobs", jobs.page(project, after, limit + 1), limit)


@endpoint(router, "GET", "/{job_id}", role=Role.VIEWER, answer=m.Job)
def get_job(jobs: AllJobs, project: str, job_id: JobId) -> m.Job:
    """Return a job."""
    return jobs.get(project, job_id)


@endpoint(
    router,
    "PATCH",
    "/{job_id}",
    role=Role.EDITOR,
    body=m.JobPatch,
    example={"weight": 2.0},
    answer=m.Job,
)
def change_job(
    request: Request, jobs: AllJobs, project: str, job_id: JobId, given: m.JobPatch
) -> m.Job:
    """Change the weight or priority of a job; its runner follows within seconds."""
    note(request, **to_dict(given))
    return jobs.change(project, job_id, given)


@endpoint(router, "POST", "/{job_id}:cancel", role=Role.EDITOR, answer=m.Job)
def cancel_job(jobs: AllJobs, project: str, job_id: JobId) -> m.Job:
    """Cancel a job; its runner gives back the trials that run, and the study stays."""
    return jobs.cancel(project, job_id)


@endpoint(
    router, "POST", ":claim", role=Role.WORKER, body=m.JobClaim,
    example={"runner": "cluster-1", "key": "k1"}, answer=m.ClaimedJob,
    links=_CLAIMED,
)  # fmt: skip
def claim_job(jobs: AllJobs, project: str, given: m.JobClaim) -> m.ClaimedJob:
    """Give the next job to a runner."""
    return m.ClaimedJob(jobs.claim(project, given))


@endpoint(
    router, "POST", "/{job_id}:heartbeat", role=Role.WORKER, body=m.JobBeat, answer=m.Job
)  # fmt: skip
def renew_job(jobs: AllJobs, project: str, job_id: JobId, given: m.JobBeat) -> m.Job:
    """Extend the lease of a job, and return its share as of now."""
    return jobs.renew(project, job_id, given)


@endpoint(router, "POST", "/{job_id}:end", role=Role.WORKER, body=m.JobEnd, answer=m.Job)
def end_job(jobs: AllJobs, project: str, job_id: JobId, given: m.JobEnd) -> m.Job:
    """End a job, or give it back to the queue."""
    return jobs.end(project, job_id, given)
