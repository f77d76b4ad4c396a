"""Submitted jobs: queued once, held by one runner at a time, changed and cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update

from tunekit.errors import InvalidArgument, LeaseLost, RequestConflict, UnknownJob
from tunekit.service.app import Service
from tunekit.storages.http.connection import Connection
from tunekit.storages.http.job_messages import Job, JobEnd, JobPatch, JobState
from tunekit.storages.http.jobs import HTTPJobs, open_service
from tunekit.storages.sql.job_tables import jobs as table
from tunekit.storages.urls import open_storage
from tunekit.testing.service import running_service


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Service:
    if request.param == "postgres":
        return Service(open_storage(str(request.getfixturevalue("postgres_url"))))
    return Service(open_storage(tmp_path / "team.db"))


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    with running_service(service) as url:
        yield url


@pytest.fixture
def jobs(url: str) -> Iterator[HTTPJobs]:
    storage, found = open_service(f"{url}/vision")
    yield found
    storage.close()


def submitted(jobs: HTTPJobs, name: str, *, weight: float = 1.0, priority: int = 0) -> Job:
    return jobs.submit({"name": name, "trials": 3}, weight=weight, priority=priority)


def taken(jobs: HTTPJobs, runner: str = "r") -> Job:
    found = jobs.claim(runner, lease_s=600.0)
    assert found is not None
    return found


def test_jobs_are_claimed_by_priority_and_then_by_age(jobs: HTTPJobs) -> None:
    for name, priority in (("a", 0), ("b", 2), ("c", 0), ("d", 2)):
        submitted(jobs, name, priority=priority)
    above = jobs.claim("r", lease_s=60.0, above=2)
    assert above is None
    assert [taken(jobs).name for _ in range(4)] == ["b", "d", "a", "c"]
    assert jobs.claim("r", lease_s=60.0) is None


def test_many_runners_at_once_never_get_the_same_job(jobs: HTTPJobs) -> None:
    for n in range(12):
        submitted(jobs, f"s{n}")
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: jobs.claim(f"r{n}", lease_s=60.0), range(18)))
    assert sorted(j.id for j in found if j is not None) == list(range(1, 13))


def test_a_claim_that_is_repeated_with_its_key_gives_the_same_job(url: str) -> None:
    connection = Connection(url)
    path = "/projects/vision/jobs"
    settings = {"settings": {"name": "a"}}
    keyed = {"Idempotency-Key": "once"}
    first = connection.request("POST", path, settings, headers=keyed).doc
    assert connection.request("POST", path, settings, headers=keyed).doc == first
    body = {"runner": "r", "key": "k"}
    claims = [connection.request("POST", f"{path}:claim", body).doc["job"] for _ in range(2)]
    assert claims[0] == claims[1]
    assert claims[0]["epoch"] == 1
    connection.close()


def test_the_job_of_a_silent_runner_goes_to_another_and_the_first_has_no_say(
    jobs: HTTPJobs, service: Service
) -> None:
    submitted(jobs, "a")
    first = taken(jobs, "first")
    assert jobs.renew(first, lease_s=600.0).state is JobState.RUNNING
    assert jobs.claim("second", lease_s=60.0) is None
    silent = update(table).values(lease_until=0.0)
    service.storage.database.write(lambda c: c.execute(silent))
    second = taken(jobs, "second")
    assert (second.id, second.epoch) == (first.id, 2)
    with pytest.raises(LeaseLost):
        jobs.renew(first, lease_s=60.0)
    with pytest.raises(LeaseLost):
        jobs.end(first, JobEnd("first", first.epoch, "failed", "mine"))
    for _ in range(2):  # repeated, as after a lost answer
        jobs.end(second, JobEnd("second", second.epoch, "done", "done"))
    ended = jobs.get(first.id)
    assert (ended.state, ended.reason) == (JobState.DONE, "done")
    assert ended.finished is not None


def test_a_job_that_is_given_back_is_queued_again(jobs: HTTPJobs) -> None:
    submitted(jobs, "a")
    job = taken(jobs)
    jobs.end(job, JobEnd("r", job.epoch, "queued", "its runner was told to stop"))
    assert jobs.get(job.id).state is JobState.QUEUED
    assert taken(jobs, "other").epoch == 2


def test_a_cancelled_job_is_lost_to_its_runner_and_stays_cancelled(jobs: HTTPJobs) -> None:
    submitted(jobs, "a")
    job = taken(jobs)
    assert jobs.cancel(job.id).state is JobState.CANCELLED
    with pytest.raises(LeaseLost, match="is cancelled"):
        jobs.renew(job, lease_s=60.0)
    assert jobs.cancel(job.id).state is JobState.CANCELLED
    assert jobs.claim("r", lease_s=60.0) is None
    submitted(jobs, "a")  # the study may be submitted again


def test_the_share_of_a_job_changes_and_its_runner_sees_it(jobs: HTTPJobs) -> None:
    job = submitted(jobs, "a")
    assert jobs.change(job.id, JobPatch(weight=2.5, priority=-3)).weight == 2.5
    held = taken(jobs)
    jobs.change(job.id, JobPatch(priority=7))
    latest = jobs.renew(held, lease_s=60.0)
    assert (latest.weight, latest.priority) == (2.5, 7)
    with pytest.raises(InvalidArgument, match="weight"):
        jobs.change(job.id, JobPatch(weight=0.0))
    with pytest.raises(InvalidArgument, match="priority"):
        jobs.change(job.id, JobPatch(priority=1001))


def test_a_study_is_the_work_of_one_unfinished_job(jobs: HTTPJobs, url: str) -> None:
    job = submitted(jobs, "a")
    with pytest.raises(RequestConflict, match="an unfinished job"):
        submitted(jobs, "a")
    storage, other = open_service(f"{url}/speech")
    assert submitted(other, "a").id > job.id, "another project has studies of its own"
    assert [j.id for j in jobs.list_jobs()] == [job.id]
    for call in (other.get, other.cancel):
        with pytest.raises(UnknownJob):
            call(job.id)
    storage.close()


def test_of_many_that_submit_one_study_at_once_one_gets_a_job(jobs: HTTPJobs) -> None:
    def attempt(n: int) -> bool:
        try:
            submitted(jobs, "a")
        except RequestConflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(attempt, range(6))) == 1
    assert len(jobs.list_jobs()) == 1


def test_settings_that_are_no_study_are_refused(jobs: HTTPJobs) -> None:
    with pytest.raises(InvalidArgument, match="name of the study"):
        jobs.submit({"trials": 3}, weight=1.0, priority=0)
    with pytest.raises(InvalidArgument, match="at most"):
        jobs.submit({"name": "a", "space": "x" * 200_000}, weight=1.0, priority=0)
