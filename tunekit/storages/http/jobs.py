"""The submitted jobs of a project of a service, reached over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.identifiers import new_id
from tunekit.storages.codec import from_dict, to_dict
from tunekit.storages.http import job_messages as m
from tunekit.storages.http.connection import Connection, quoted
from tunekit.storages.http.storage import HTTPStorage
from tunekit.storages.http.urls import open_project


class HTTPJobs:
    """The jobs of one project; safe for threads.

    Args:
        connection: to the service.
        project: whose jobs.
    """

    def __init__(self, connection: Connection, project: str) -> None:
        self._http = connection
        self._path = f"/projects/{quoted(project)}/jobs"

    def submit(self, settings: Mapping[str, Any], *, weight: float, priority: int) -> m.Job:
        """Queue a study, and return its job."""
        body = to_dict(m.JobNew(settings, weight, priority))
        headers = {"Idempotency-Key": new_id()}
        answer = self._http.request("POST", self._path, body, headers=headers)
        return from_dict(m.Job, answer.doc)

    def list_jobs(self) -> list[m.Job]:
        """Return all jobs by id."""
        found: list[m.Job] = []
        page = m.JobPage((), more=True)
        while page.more:
            query = {"after": found[-1].id if found else 0}
            page = from_dict(m.JobPage, self._http.request("GET", self._path, query=query).doc)
            found += page.jobs
        return found

    def get(self, job_id: int) -> m.Job:
        """Return a job, or raise `UnknownJob`."""
        return from_dict(m.Job, self._http.request("GET", f"{self._path}/{job_id}").doc)

    def change(self, job_id: int, patch: m.JobPatch) -> m.Job:
        """Change the share of a job, and return it."""
        answer = self._http.request("PATCH", f"{self._path}/{job_id}", to_dict(patch))
        return from_dict(m.Job, answer.doc)

    def cancel(self, job_id: int) -> m.Job:
        """End an unfinished job as cancelled, and return it."""
        return from_dict(m.Job, self._http.request("POST", f"{self._path}/{job_id}:cancel").doc)

    def claim(self, runner: str, *, lease_s: float, above: int | None = None) -> m.Job | None:
        """Take the next job, `None` if none is queued."""
        body = to_dict(m.JobClaim(runner, new_id(), lease_s, above))
        answer = self._http.request("POST", f"{self._path}:claim", body)
        return from_dict(m.ClaimedJob, answer.doc).job

    def renew(self, job: m.Job, *, lease_s: float) -> m.Job:
        """Extend the lease of a job, and return it; raises `LeaseLost` if it is gone."""
        body = to_dict(m.JobBeat(job.runner, job.epoch, lease_s))
        path = f"{self._path}/{job.id}:heartbeat"
        return from_dict(m.Job, self._http.request("POST", path, body, outage_s=lease_s / 3).doc)

    def end(self, job: m.Job, end: m.JobEnd) -> None:
        """End a job, or give it back; raises `LeaseLost` if it is gone."""
        self._http.request("POST", f"{self._path}/{job.id}:end", to_dict(end))


def open_service(url: str) -> tuple[HTTPStorage, HTTPJobs]:
    """Return the studies and the jobs of the project at `http://host:port/project`.

    Raises:
        InvalidArgument: the URL is that of a database, or names no host.
        StorageUnreachable: the service does not answer.
        NotAuthenticated: it refuses the token.
    """
    connection, storage = open_project(url, "queues jobs; or use `tunekit run`")
    return storage, HTTPJobs(connection, storage.project)
