"""Defines what the service and its suggesting processes send each other.

A job names a study and numbers, never its trials: each process reads the study itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tunekit.records import Checkpoint, Decision, Report
from tunekit.service.helper_process import Refused
from tunekit.storages.base import Lease, Operation
from tunekit.storages.http.work_messages import AskedTrial


@dataclass(frozen=True, slots=True)
class StudyRef:
    """A stored study by its id and its full name, with the project."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class FindRoom:
    """Asks how many trials may be claimed.

    Attributes:
        want: number of trials that workers wait for.
        most: number of trials in the study beyond which no new one is given out.
    """

    study: StudyRef
    want: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Room:
    """What may be claimed.

    Attributes:
        is_fixed: whether there is always room up to `most`, so that nobody need ask again.
        most: number of trials in the study after the claim.
        exhausted: what the sampler says if it has no further point, else empty.
        promotions: paused trials to queue again before, with reasons.
        n_open: number of trials that run or wait: one may be given back, or resume others.
    """

    is_fixed: bool
    most: int | None
    exhausted: str = ""
    promotions: Mapping[int, str] = field(default_factory=dict)
    n_open: int = 0


@dataclass(frozen=True, slots=True)
class Propose:
    """Asks for params of claimed trials, in one call of the sampler.

    Attributes:
        fallback: why Sobol points are to be used instead; empty for the study's sampler.
    """

    study: StudyRef
    leases: tuple[Lease, ...]
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Proposed:
    """The answer to `Propose`.

    Attributes:
        trials: trials to run.
        operations: to write: a start for each trial that has not begun, and the ends and
            releases of those that cannot.
        error: code and sentence of what prevented it.
    """

    trials: tuple[AskedTrial, ...]
    operations: tuple[Operation, ...]
    error: Refused | None = None


@dataclass(frozen=True, slots=True)
class NewReports:
    """Reports of a trial that have just been stored."""

    number: int
    epoch: int
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True)
class Decide:
    """Asks the study's stopper about trials; the answer is a list of decisions in order."""

    study: StudyRef
    batches: tuple[NewReports, ...]


@dataclass(frozen=True, slots=True)
class KeepCheckpoints:
    """Asks for the checkpoints of a trial to keep, with those of its new reports."""

    study: StudyRef
    batch: NewReports


@dataclass(frozen=True, slots=True)
class Crashed:
    """An unexpected error: its class, and the traceback for the log."""

    kind: str
    traceback: str


READY = "ready"
"""Sent once the study is read: the time of the sampler or stopper counts from here."""

Job: TypeAlias = FindRoom | Propose | Decide | KeepCheckpoints
Answer: TypeAlias = Room | Proposed | list[Decision] | tuple[Checkpoint, ...]
