"""A worker's lease of a trial, and the operations that it may send under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tunekit.records import Branch, Checkpoint, Outcome, Proposal, Report
from tunekit.spaces import Params


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run one trial, until the lease expires or the trial is told.

    Attributes:
        params: set for an enqueued trial and for one that is run again; `None` if the holder has
            to propose params and `Start` it.
        partial: whether the params are an enqueued, incomplete point for the sampler to complete.
        branch: the checkpoint that an enqueued trial starts from.
    """

    number: int
    epoch: int
    params: Params | None = None
    partial: bool = False
    branch: Branch | None = None


@dataclass(frozen=True, slots=True)
class LeaseOperation:
    """What a worker sends under its lease.

    Attributes:
        number: number of the trial.
        epoch: epoch of the lease.
    """

    number: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Start(LeaseOperation):
    """Record the params of a claimed trial; until then readers do not see them."""

    proposal: Proposal
    seen: int = 0
    batch: tuple[int, ...] = ()
    space_version: int = 1


@dataclass(frozen=True, slots=True)
class Reports(LeaseOperation):
    """Append reports of a running trial and extend its lease; a repeated step is replaced."""

    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True)
class Renew(LeaseOperation):
    """Extend the lease of a running trial."""


@dataclass(frozen=True, slots=True)
class Saved(LeaseOperation):
    """Replace the list of complete checkpoints of a running trial."""

    checkpoints: tuple[Checkpoint, ...]


@dataclass(frozen=True, slots=True)
class Release(LeaseOperation):
    """Return a running trial to the queue: it becomes WAITING and runs again with its params.

    With `preempted` it becomes PREEMPTED and keeps the reason until it ends.
    """

    reason: str
    preempted: bool = False


@dataclass(frozen=True, slots=True)
class Pause(LeaseOperation):
    """End the lease of a running trial and pause it until it is promoted.

    `outcome` holds the state PAUSED, the reason and evidence, and the objective's attributes.
    """

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Tell(LeaseOperation):
    """End a trial. `key` is unique to this result and makes a repeated tell harmless."""

    outcome: Outcome
    key: str


Changing: TypeAlias = Start | Saved | Release | Pause | Tell
"""Operations that change a trial and therefore take an event number."""

Operation: TypeAlias = Start | Reports | Renew | Saved | Release | Pause | Tell
