"""Runs submitted jobs of a project under fair shares, and follows what their owners change."""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tunekit.cli.allowed import AllowedFolders
from tunekit.cli.runner import opened_study, study_name
from tunekit.cli.settings import RunSettings, checked
from tunekit.cli.shell import make_program
from tunekit.driver.interrupts import Interrupts
from tunekit.errors import InvalidArgument, LeaseLost, TunekitError
from tunekit.executors.base import Executor
from tunekit.heartbeat import Heartbeat
from tunekit.identifiers import new_id
from tunekit.sharing.shared_run import SharedEnding, SharedRun
from tunekit.spaces import Space
from tunekit.spaces.serialize import FORMAT, space_from_dict
from tunekit.storages.base import Storage
from tunekit.storages.http.job_messages import Job, JobEnd
from tunekit.storages.http.jobs import HTTPJobs
from tunekit.studies.reopen import edited_since

LEASE_S = 30.0
FOLLOW_S = 3.0
"""Seconds after which a runner sees what an owner has changed; it renews its leases with that."""
RUNNERS_OWN = (
    "storage", "executor", "ray_address", "resources", "devices", "trial_timeout", "memory",
)  # fmt: skip
"""Settings of a study file that the owner of the machine decides, not the job."""


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that this runner holds; `latest` is it as of the last heartbeat."""

    job: Job
    latest: Job


class JobRunner:
    """Claims jobs and runs them in one pool of slots.

    Args:
        storage: the project's studies.
        jobs: the project's jobs.
        executor: the slots.
        allowed: whose programs and functions may run.
        quotas: slots that the jobs of an owner hold at most, by owner.
        grace_s: seconds that running trials get to finish after the first SIGTERM.
        say: shows a line.
    """

    def __init__(
        self,
        storage: Storage,
        jobs: HTTPJobs,
        executor: Executor,
        allowed: AllowedFolders,
        *,
        quotas: Mapping[str, int],
        grace_s: float = math.inf,
        say: Callable[[str], None],
    ) -> None:
        self.name = f"{socket.gethostname()[:60]}/{os.getpid()}/{new_id(4)}"
        self._storage = storage
        self._jobs = jobs
        self._executor = executor
        self._allowed = allowed
        self._quotas = quotas
        self._say = say
        interrupts = Interrupts(say, sigterm_drains=True, grace_s=grace_s)
        self._shared = SharedRun(executor, interrupts=interrupts)
        self._held: dict[str, HeldJob] = {}  # by the name of its study
        self._lost: set[str] = set()
        self._lock = threading.Lock()  # of both

    def run(self) -> None:
        """Run jobs until a signal; jobs that have not ended go back to the queue.

        Raises:
            StorageUnreachable: the service stayed away.
            ExecutorFailed: no trial can run.
        """
        try:
            with Heartbeat(self._renew, FOLLOW_S):
                self._shared.run(attend=self._attend)
        except KeyboardInterrupt:
            self._say("told to stop; nothing runs here any more")
        finally:
            for name, held in list(self._held.items()):
                self._end(name, held.job, self._shared.endings.get(name, "interrupted"))

    def _attend(self) -> bool:
        """Follow changes of the jobs, end those whose studies have ended, and take new ones."""
        with self._lock:
            held, lost = dict(self._held), set(self._lost)
        for name, job in held.items():
            if name in self._shared.endings:
                self._end(name, job.job, self._shared.endings[name])
            elif name in lost:
                self._shared.leave(name, "its job was cancelled or went to another runner")
            elif job.latest != job.job:
                self._follow(name, job)
        self._take_one()
        return True

    def _follow(self, name: str, held: HeldJob) -> None:
        now = held.latest
        if now.quota != held.job.quota:
            self._shared.set_quota(now.owner, self._quota_of(now))
            slots = "has no quota" if now.quota is None else f"has a quota of {now.quota} slots"
            self._say(f"{now.owner or 'nobody in particular'} {slots} now")
        if (now.weight, now.priority) != (held.job.weight, held.job.priority):
            self._shared.change(name, weight=now.weight, priority=now.priority)
            self._say(f"job {now.id} has weight {now.weight:g} and priority {now.priority} now")
        with self._lock:
            self._held[name] = HeldJob(now, now)

    def _take_one(self) -> None:
        """Claim a job; beyond one a slot only such as are more urgent than one that is held."""
        slots = max(self._executor.slots, 1)
        is_full = len(self._held) >= slots
        above = min(h.job.priority for h in self._held.values()) if is_full else None
        job = self._jobs.claim(self.name, lease_s=LEASE_S, above=above)
        if job is None:
            return
        with self._lock:
            self._held[job.name] = HeldJob(job, job)
            self._lost.discard(job.name)
        try:
            self._start(job)
        except Exception as error:  # whatever is wrong with it, other jobs go on
            said = error.message if isinstance(error, TunekitError) else str(error)
            self._finish(job, "failed", said or type(error).__name__)

    def _start(self, job: Job) -> None:
        settings = job_settings(job)
        space = job_space(settings)
        if space is not None:
            space = edited_since(self._storage, study_name(settings), space)
        objective = self._objective(settings, space)
        study = opened_study(settings, space, self._storage)
        if settings.enqueue_default and space is not None and not len(study.refresh()):
            study.enqueue_trial(space.default())
        self._shared.set_quota(job.owner, self._quota_of(job))
        self._shared.add(
            study,
            objective,
            total_trials=settings.trials,
            timeout=settings.timeout,
            owner=job.owner,
            weight=job.weight,
            priority=job.priority,
            most=settings.workers,
            catch=(Exception, SystemExit),
            max_failed_trials=settings.max_failed_trials,
        )
        self._say(f"job {job.id} runs: {job.name}, of {job.owner or 'nobody in particular'}")

    def _quota_of(self, job: Job) -> int | None:
        """Return the slots of a job's owner: the lower of what the runner and the service say."""
        given = [q for q in (self._quotas.get(job.owner), job.quota) if q is not None]
        return min(given, default=None)

    def _objective(self, settings: RunSettings, space: Space | None) -> Callable[..., Any]:
        if settings.objective is not None:
            return self._allowed.function(settings.objective)
        assert settings.command is not None
        if space is None:
            raise InvalidArgument("a program needs a declared space; give one in the study file.")
        words, folder = self._allowed.program(settings.command)
        return make_program(words, space, folder)

    def _end(self, name: str, job: Job, ending: SharedEnding) -> None:
        error = self._shared.errors.get(name)
        if ending == "failed" and error is not None:
            said = error.message if isinstance(error, TunekitError) else str(error)
            self._finish(job, "failed", said)
        elif ending in ("interrupted", "left"):
            self._finish(job, "queued", "its runner was told to stop")
        else:
            self._finish(job, "done", ending)

    def _finish(self, job: Job, state: Any, reason: str) -> None:
        with self._lock:
            self._held.pop(job.name, None)
            is_lost = job.name in self._lost
            self._lost.discard(job.name)
        if not is_lost:
            try:
                self._jobs.end(job, JobEnd(self.name, job.epoch, state, reason))
            except LeaseLost:
                is_lost = True
        self._say(f"job {job.id} is {'given up' if is_lost else state}: {reason}")

    def _renew(self) -> None:
        """Extend the leases and note what has changed; runs on the heartbeat thread."""
        with self._lock:
            held = dict(self._held)
        for name, job in held.items():
            try:
                latest = self._jobs.renew(job.job, lease_s=LEASE_S)
            except LeaseLost:
                with self._lock:
                    self._lost.add(name)
                continue
            with self._lock:
                if name in self._held:
                    self._held[name] = replace(self._held[name], latest=latest)


def job_settings(job: Job) -> RunSettings:
    """Return the settings of a job.

    Raises:
        InvalidArgument: they are no study file, or hold what a runner decides.
    """
    refuse_runners_own(job.settings)
    return checked(job.settings, source=f"job {job.id}")


def refuse_runners_own(settings: Mapping[str, Any]) -> None:
    """Refuse settings that belong to the runner.

    Raises:
        InvalidArgument: there is one.
    """
    for key in RUNNERS_OWN:
        if key in settings:
            raise InvalidArgument(
                f'"{key}" is decided by the runner, not by the job; remove it from the study file '
                "and set it where `tunekit runner` starts."
            )


def job_space(settings: RunSettings) -> Space | None:
    """Return the space of a job, which has to be in it as a whole.

    Raises:
        InvalidArgument: it names a file.
        InvalidSpace: it is not a space.
    """
    if isinstance(settings.space, str):
        raise InvalidArgument(
            f'space "{settings.space}" is a name, expected the space itself; `tunekit submit` '
            "puts it in."
        )
    if settings.space is None:
        return None
    return space_from_dict({"format": FORMAT, **settings.space})
