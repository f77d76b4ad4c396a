"""Stores submitted jobs and hands them to runners, each to one at a time.

The service reads a job's settings as data; only runners act on them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from tunekit.checks import above_zero, check_whole
from tunekit.errors import InvalidArgument, LeaseLost, RequestConflict, UnknownJob
from tunekit.service.access.quotas import owner_quotas
from tunekit.service.idempotency import KeyedRequest, answer_once
from tunekit.storages.codec import from_dict, to_dict
from tunekit.storages.http.job_messages import (
    Job,
    JobBeat,
    JobClaim,
    JobEnd,
    JobNew,
    JobPatch,
    JobState,
)
from tunekit.storages.sql.compiled import Cursor
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.job_tables import jobs
from tunekit.storages.sql.schema import clock

MAX_SETTINGS_BYTES = 100_000
MAX_PRIORITY = 1000
MAX_REASON = 2000
HELD = (JobState.CLAIMED.value, JobState.RUNNING.value)
OPEN = (JobState.QUEUED.value, *HELD)
_SHOWN = [c for c in jobs.c if c.name not in ("project", "claim_key", "lease_until")]


class Jobs:
    """The jobs of all projects; blocks."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def submit(
        self, project: str, owner: str, new: JobNew, keyed: KeyedRequest | None = None
    ) -> str:
        """Queue a job and return it as JSON; repeating the keyed request returns it again.

        Raises:
            InvalidArgument: weight, priority or settings are not such.
            RequestConflict: an unfinished job runs the same study.
        """
        check_share(new.weight, new.priority)
        name, text = checked_settings(new.settings)
        row = {"project": project, "owner": owner, "name": name, "settings": text, "epoch": 0}
        row |= {"state": "queued", "weight": float(new.weight), "priority": new.priority}
        made = insert(jobs).values(**row, reason="", runner="", created=clock())

        def work(c: Connection) -> str:
            job_id = c.execute(made.returning(jobs.c.id)).scalar_one()
            return json.dumps(to_dict(_job(c, project, job_id)))

        try:
            return answer_once(self.database, keyed, work)
        except IntegrityError:
            raise RequestConflict(
                f"study {name!r} is the work of an unfinished job already; cancel that one, wait "
                "for its end, or choose another name."
            ) from None

    def check_free(self, project: str, name: str) -> None:
        """Check that no unfinished job works on a study.

        Raises:
            RequestConflict: one does.
        """
        query = select(jobs.c.id).where(
            jobs.c.project == project, jobs.c.name == name, jobs.c.state.in_(OPEN)
        )
        found = self.database.read(lambda c: c.execute(query).scalar())
        if found is not None:
            raise RequestConflict(
                f"job {found} works on study {name!r} and knows it by this name; cancel the job, "
                "or wait for its end."
            )

    def page(self, project: str, after: int, limit: int) -> list[Job]:
        """Return jobs by id, after an id."""
        query = select(*_SHOWN).where(jobs.c.project == project, jobs.c.id > after)
        query = query.order_by(jobs.c.id).limit(limit)

        def work(c: Connection) -> list[Job]:
            owners = owner_quotas(Cursor(c), project)
            return [_read(row, owners) for row in c.execute(query).mappings()]

        return self.database.read(work)

    def get(self, project: str, job_id: int) -> Job:
        """Return a job, or raise `UnknownJob`."""
        return self.database.read(lambda c: _job(c, project, job_id))

    def change(self, project: str, job_id: int, patch: JobPatch) -> Job:
        """Change the share of a job and return it.

        Raises:
            InvalidArgument: weight or priority is not such.
            UnknownJob: the project has no such job.
        """
        check_share(patch.weight, patch.priority)
        given = {"weight": patch.weight, "priority": patch.priority}
        cells = {key: value for key, value in given.items() if value is not None}
        return self._update(project, job_id, cells) if cells else self.get(project, job_id)

    def cancel(self, project: str, job_id: int) -> Job:
        """End an unfinished job as cancelled, and return it; its runner gives it up."""
        cells: dict[str, Any] = {"state": "cancelled", "reason": "cancelled"}
        cells["finished"] = clock()
        cells |= {"epoch": jobs.c.epoch + 1, "lease_until": None}
        return self._update(project, job_id, cells, jobs.c.state.in_(OPEN))

    def claim(self, project: str, claim: JobClaim) -> Job | None:
        """Give the next job to a runner: one that is queued, or whose runner is silent.

        Raises:
            InvalidArgument: the claim is not such.
        """
        above_zero(claim.lease_s, "lease_s")
        check_names(claim.runner, claim.key)
        is_free = or_(
            jobs.c.state == "queued",
            and_(jobs.c.state.in_(HELD), jobs.c.lease_until < clock()),
        )
        if claim.above is not None:
            is_free = and_(is_free, jobs.c.priority > claim.above)
        here = jobs.c.project == project
        mine = and_(jobs.c.claim_key == claim.key, jobs.c.runner == claim.runner)
        free = select(jobs.c.id).where(here, is_free)
        free = free.order_by(jobs.c.priority.desc(), jobs.c.id).limit(1)
        cells = {"state": "claimed", "runner": claim.runner, "claim_key": claim.key}

        def work(c: Connection) -> Job | None:
            known = c.execute(select(jobs.c.id).where(here, mine, jobs.c.state.in_(HELD))).scalar()
            if known is not None:
                return _job(c, project, known)
            found = c.execute(free.with_for_update(skip_locked=True)).scalar()
            if found is None:
                return None
            until = clock() + claim.lease_s
            taken = update(jobs).where(jobs.c.id == found)
            c.execute(taken.values(**cells, epoch=jobs.c.epoch + 1, lease_until=until))
            return _job(c, project, found)

        return self.database.write(work)

    def renew(self, project: str, job_id: int, beat: JobBeat) -> Job:
        """Extend the lease of a job and return it, with its share as of now.

        Raises:
            LeaseLost: it was cancelled, or another runner has it.
        """
        above_zero(beat.lease_s, "lease_s")
        cells = {"state": "running", "lease_until": clock() + beat.lease_s}
        cells["started"] = func.coalesce(jobs.c.started, clock())
        held = and_(_lease(beat.runner, beat.epoch), jobs.c.state.in_(HELD))
        return self._held(project, job_id, cells, held)

    def end(self, project: str, job_id: int, end: JobEnd) -> Job:
        """End a job or give it back to the queue; repeating it is harmless.

        Raises:
            LeaseLost: it was cancelled, or another runner has it.
        """
        cells: dict[str, Any] = {"state": end.state, "reason": end.reason[:MAX_REASON]}
        cells |= {"lease_until": None, "finished": None if end.state == "queued" else clock()}
        held = and_(_lease(end.runner, end.epoch), jobs.c.state.in_((*HELD, end.state)))
        return self._held(project, job_id, cells, held)

    def _held(
        self, project: str, job_id: int, cells: Mapping[str, Any], held: ColumnElement[bool]
    ) -> Job:
        def work(c: Connection) -> Job:
            this = and_(jobs.c.id == job_id, jobs.c.project == project, held)
            n = c.execute(update(jobs).where(this).values(**cells)).rowcount
            job = _job(c, project, job_id)
            if not n:
                raise LeaseLost(f"job {job_id} is {job.state} and no longer this runner's.")
            return job

        return self.database.write(work)

    def _update(
        self, project: str, job_id: int, cells: Mapping[str, Any], *where: ColumnElement[bool]
    ) -> Job:
        def work(c: Connection) -> Job:
            this = and_(jobs.c.id == job_id, jobs.c.project == project, *where)
            c.execute(update(jobs).where(this).values(**cells))
            return _job(c, project, job_id)

        return self.database.write(work)


def check_share(weight: float | None, priority: int | None) -> None:
    """Check the share of a job; `None` is left as it is.

    Raises:
        InvalidArgument: the weight is not above 0, or the priority is out of range.
    """
    if weight is not None:
        above_zero(weight, "weight")
    check_whole(priority, "priority", low=-MAX_PRIORITY, high=MAX_PRIORITY, optional=True)


def check_names(*names: str) -> None:
    """Check names that a runner gives itself and its requests.

    Raises:
        InvalidArgument: one is empty, long, or not printable.
    """
    for name in names:
        if not name.isprintable() or not 1 <= len(name) <= 200:
            raise InvalidArgument(
                f"name {name[:40]!r}: expected 1 to 200 printable characters; shorten it."
            )


def checked_settings(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return the study's name and the JSON text of a job's settings.

    Raises:
        InvalidArgument: they name no study, or are too long.
    """
    name = settings.get("name")
    if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name) <= 1000:
        raise InvalidArgument(
            "settings: expected the name of the study under the key name; `tunekit submit` adds "
            "it."
        )
    text = json.dumps(settings, separators=(",", ":"))
    if len(text) > MAX_SETTINGS_BYTES or "\\u0000" in text:
        raise InvalidArgument(
            f"settings of {len(text)} bytes, expected at most {MAX_SETTINGS_BYTES} without null "
            "characters; shorten them."
        )
    return name, text


def _lease(runner: str, epoch: int) -> ColumnElement[bool]:
    check_whole(epoch, "epoch", low=0, high=2**31 - 1)
    check_names(runner)
    return and_(jobs.c.runner == runner, jobs.c.epoch == epoch)


def _job(connection: Connection, project: str, job_id: int) -> Job:
    this = select(*_SHOWN).where(jobs.c.id == job_id, jobs.c.project == project)
    row = connection.execute(this).mappings().first() if 0 < job_id < 2**31 else None
    if row is None:
        raise UnknownJob(f"there is no job {job_id} in this project; `tunekit jobs ls` lists all.")
    return _read(row, owner_quotas(Cursor(connection), project))


def _read(row: RowMapping, owners: Mapping[str, int]) -> Job:
    more = {"settings": json.loads(row["settings"]), "quota": owners.get(row["owner"])}
    return from_dict(Job, {**row, **more})
