"""Defines the bodies of requests about submitted jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal


class JobState(StrEnum):
    """Where a job stands; the last three are its ends."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class JobNew:
    """A study to run.

    Attributes:
        settings: a study file as JSON, with the name and the whole space; data only.
        weight: its share of a runner's slots is proportional to it; above 0.
        priority: jobs of a higher one are served in full before; -1000 to 1000.
    """

    settings: Mapping[str, Any]
    weight: float = 1.0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A submitted job.

    Attributes:
        owner: who submitted it; empty where the service runs without accounts.
        name: of its study.
        reason: why it ended, or went back to the queue.
        runner: that holds or held it.
        epoch: number of times that a runner has claimed it; names the lease.
        created, started, finished: seconds since 1970 on the clock of the storage.
        quota: slots that all jobs of the owner hold at most on a runner, as the project has it.
    """

    id: int
    owner: str
    name: str
    settings: Mapping[str, Any]
    state: JobState
    weight: float
    priority: int
    reason: str
    runner: str
    epoch: int
    created: float
    started: float | None = None
    finished: float | None = None
    quota: int | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs by id; `more` says whether there are later ones."""

    jobs: tuple[Job, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class JobPatch:
    """A change of a job's share, also while it runs."""

    weight: float | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class JobClaim:
    """Asks for the next job, by priority and age.

    Attributes:
        runner: name under which the job is held.
        key: unique to this request; repeating it returns the same job.
        lease_s: seconds until another runner may take the job over.
        above: claim only jobs of a higher priority than this.
    """

    runner: str
    key: str
    lease_s: float = 60.0
    above: int | None = None


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """The claimed job, `None` if none is queued."""

    job: Job | None


@dataclass(frozen=True, slots=True)
class JobBeat:
    """Extends the lease of a job, which is running from the first one on."""

    runner: str
    epoch: int
    lease_s: float = 60.0


@dataclass(frozen=True, slots=True)
class JobEnd:
    """Ends a job, or gives it back to the queue."""

    runner: str
    epoch: int
    state: Literal["done", "failed", "queued"]
    reason: str = ""
