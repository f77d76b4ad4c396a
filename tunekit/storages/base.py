"""The storage contract: exactly-once trials over leases, and incremental reads.

All of a worker's writes go through `exchange`, which applies a batch of operations and claims
new trials in *one* transaction. A trial costs two: {tell the last one, claim the next}, then
{start it with its params}, because a sampler must not run inside a transaction.

Rules that every implementation keeps, and `tunekit.testing.storages` checks:

- A lease is `(number, epoch)`. Claiming a trial adds 1 to its epoch. Every write of a worker
  names its lease; a write with a stale epoch, or to a trial that is not RUNNING (or does not
  exist), changes nothing and comes back as "lost", never as an exception, and the rest of the
  batch is applied. A lease that has run out but that nobody took over is still good.
- `Pause` ends the lease of a running trial, which is PAUSED then: nobody claims it until
  `promote` makes it WAITING again, with its params and checkpoints. The next lease of a trial
  that has run before begins at its last checkpoint, so the claim drops the reports after it
  (all of them, where there is none).
- A tell is final. The same tell again (same key) answers "ok" and changes nothing; a tell of
  the same lease with another key answers "conflict".
- An exchange may be sent again when its answer was lost: a repeated `Start`, `Reports`, `Renew`,
  `Saved`, `Release`, `Pause` or `Tell` of a lease answers "ok" and changes nothing more, unless
  another worker has taken the trial meanwhile.
- `claim` hands out trials only while the study is ACTIVE, in this order: WAITING and PREEMPTED
  trials by number; RUNNING trials whose lease has run out, by number (one whose leases have run
  out more than `max_retries` times becomes LOST instead; a `Release` does not count); new numbers,
  as long as fewer than `max_trials` trials exist. Two workers never get the same trial. A claim
  repeated with the same key returns the same leases, whatever the study's state.
- Each change of a trial takes the next number of the study's event sequence, appends an event,
  and sets the trial's `seq`, all in the same transaction. The sequence counts from 1 and has no
  gaps: a reader that has read up to n has missed nothing below n. `Reports` and `Renew` are no
  changes: they appear in `reports` only.
- Time for leases is the storage's own clock (the database's, for a server).
- Implementations are safe to use from several threads; SQL ones also from several processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from tunekit.errors import InvalidArgument
from tunekit.records import (
    Branch,
    Checkpoint,
    Outcome,
    Proposal,
    Report,
    StudyRecord,
    StudySpec,
    StudyState,
    TrialRecord,
)
from tunekit.spaces import Params, Space
from tunekit.storages.events import Event as Event
from tunekit.storages.events import EventKind as EventKind


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run one trial, until it runs out or the trial is told.

    Attributes:
        params: set for an enqueued trial and for one that is run again; `None` where the
            holder has to propose and `Start` it.
        partial: the params are an enqueued, incomplete point: the sampler fills the rest.
        branch: the checkpoint that an enqueued trial begins from.
    """

    number: int
    epoch: int
    params: Params | None = None
    partial: bool = False
    branch: Branch | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Note the params with which a claimed trial runs. Needed before anybody sees them."""

    number: int
    epoch: int
    proposal: Proposal
    seen: int = 0
    batch: tuple[int, ...] = ()
    space_version: int = 1


@dataclass(frozen=True, slots=True)
class Reports:
    """Append reports of a running trial and extend its lease; the same step again replaces."""

    number: int
    epoch: int
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True)
class Renew:
    """Extend the lease of a running trial."""

    number: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Saved:
    """Note which complete checkpoints a running trial has now; replaces what was noted."""

    number: int
    epoch: int
    checkpoints: tuple[Checkpoint, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """Give a running trial back: it becomes WAITING with its params and runs again later.

    Where it is `preempted`, it becomes PREEMPTED and keeps the reason until it ends.
    """

    number: int
    epoch: int
    reason: str
    preempted: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """End the lease of a running trial, which stands still until it is promoted.

    `outcome` has the state PAUSED, the reason and evidence, and what the objective has noted.
    """

    number: int
    epoch: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Tell:
    """End a trial. `key` makes a repeated tell harmless; it is unique to this result."""

    number: int
    epoch: int
    outcome: Outcome
    key: str


Operation: TypeAlias = Start | Reports | Renew | Saved | Release | Pause | Tell
Status: TypeAlias = Literal["ok", "lost", "conflict"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Ask for up to `n` trials to run.

    Attributes:
        key: unique to this request; repeating it returns the same leases.
        max_trials: no new number is handed out once the study has this many trials.
    """

    n: int
    key: str
    max_trials: int | None = None


@dataclass(frozen=True, slots=True)
class ExchangeRequest:
    """What one worker asks of `exchange`: operations to apply in order, then a claim."""

    worker: str
    operations: Sequence[Operation] = ()
    claim: Claim | None = None
    lease_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """The answer of `exchange`: one status an operation, the leases, where the study stands."""

    statuses: tuple[Status, ...]
    leases: tuple[Lease, ...]
    study_state: StudyState
    space_version: int


@dataclass(frozen=True, slots=True)
class Changes:
    """All trials that changed after a cursor, each once in its latest form, by `seq`.

    `cursor` is the `seq` of the last of them, or what was asked for if there are none.
    """

    trials: tuple[TrialRecord, ...]
    cursor: int


class Storage(Protocol):
    """Where studies live. See the module for the rules."""

    url: str
    """The URL that opens it again, with any password replaced by `***`."""

    def create_study(self, spec: StudySpec, *, key: str | None = None) -> StudyRecord:
        """Create a study.

        Args:
            spec: what it is made with.
            key: unique to this request; repeating it returns the study that it made.

        Raises:
            StudyExists: the name is taken.
        """
        ...

    def get_study(self, name: str) -> StudyRecord:
        """Return the study as it stands now.

        Raises:
            UnknownStudy: no such name; the message has the closest one.
        """
        ...

    def list_studies(self) -> list[StudyRecord]:
        """Return all studies by name."""
        ...

    def delete_study(self, name: str) -> None:
        """Delete a study with its trials.

        Raises:
            UnknownStudy: no such name.
        """
        ...

    def set_state(self, study_id: int, state: StudyState) -> None:
        """Ask the workers of the study to go on, pause, stop or cancel."""
        ...

    def set_attrs(self, study_id: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into the study's attributes."""
        ...

    def set_goal(self, study_id: int, spec: StudySpec) -> None:
        """Take over the objectives and constraints of a spec, which is the study's in all else."""
        ...

    def set_space(self, study_id: int, space: Space, *, expected_version: int) -> int:
        """Store the next version of the space; return its number. 0 is expected before the first.

        Raises:
            TrialConflict: another process made a new version meanwhile.
        """
        ...

    def spaces(self, study_id: int) -> dict[int, Space]:
        """Return all versions of the space, numbered from 1; empty before one is known."""
        ...

    def enqueue(
        self,
        study_id: int,
        points: Sequence[Mapping[str, Any]],
        *,
        user_attrs: Mapping[str, Any],
        branch: Branch | None = None,
        key: str | None = None,
    ) -> list[int]:
        """Append WAITING trials with the given (maybe partial) params; return their numbers.

        A request repeated with the same key appends nothing and returns the same numbers.
        Until a trial is claimed and started, it shows these params while it waits and `None`
        while it runs, because an incomplete point is nothing to learn from.
        """
        ...

    def add_trials(
        self,
        study_id: int,
        trials: Sequence[TrialRecord],
        reports: Mapping[int, Sequence[Report]],
    ) -> list[int]:
        """Append trials that were run elsewhere, as they are; return their numbers here.

        They keep their state, params, results, times and notes; their numbers and event numbers
        are those of this study. What they had seen, their checkpoints and branches are dropped.
        An added WAITING trial is claimed like any other: without a `sampler` its params are an
        enqueued, maybe incomplete point, else a whole one. All are added, or none.

        Args:
            study_id: of the study.
            trials: ended or waiting ones.
            reports: by the number that a trial has in `trials`.

        Raises:
            InvalidArgument: a trial in another state, or one that cannot be stored.
        """
        ...

    def promote(self, study_id: int, reasons: Mapping[int, str]) -> list[int]:
        """Let paused trials wait for a worker again, each for a reason; return their numbers.

        Those that are not paused (any more) are left as they are and left out.

        Raises:
            UnknownTrial: no such number.
        """
        ...

    def set_trial_attrs(self, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into a trial's user attributes, in any state.

        Raises:
            UnknownTrial: no such number.
        """
        ...

    def cancel_trial(self, study_id: int, number: int, reason: str) -> bool:
        """End an unfinished trial as CANCELLED; its worker learns it with its next write.

        Returns:
            Whether it was unfinished.

        Raises:
            UnknownTrial: no such number.
        """
        ...

    def exchange(
        self,
        study_id: int,
        worker: str,
        operations: Sequence[Operation] = (),
        *,
        claim: Claim | None = None,
        lease_s: float = 60.0,
    ) -> Exchange:
        """Apply operations in order, then claim, all in one transaction.

        Raises:
            StorageUnreachable: the database did not answer, also after retries.
        """
        ...

    def exchange_many(
        self, study_id: int, requests: Sequence[ExchangeRequest]
    ) -> list[Exchange | InvalidArgument]:
        """Answer the exchanges of several workers in order, in one transaction.

        Each has statuses of its own. One that `exchange` would refuse is answered with the error
        in its place and changes nothing; the others are applied.

        Raises:
            StorageUnreachable: the database did not answer, also after retries.
        """
        ...

    def expire(self, study_id: int, leases: Sequence[tuple[int, int]]) -> None:
        """End the leases `(number, epoch)` now; for workers that are known to be dead."""
        ...

    def changes(self, study_id: int, after: int = 0, limit: int | None = None) -> Changes:
        """Return the trials that changed after the cursor. Cost: what changed, not history.

        With a limit they are the first so many of them by `seq`, and the cursor of the answer
        reads on; fewer than the limit means that nothing is left.
        """
        ...

    def reports(
        self,
        study_id: int,
        numbers: Sequence[int] | None = None,
        *,
        after_step: Mapping[int, int] | None = None,
        limit: int | None = None,
    ) -> dict[int, tuple[Report, ...]]:
        """Return reports by trial number, in order of step; of all trials if none are named.

        A trial without reports has no entry.

        Args:
            study_id: of the study.
            numbers: trials to read.
            after_step: by trial number, the last step that the caller has: only later ones are
                read. A report that replaced an earlier step is not seen this way.
            limit: at most so many reports, the first ones in order of number and step.
        """
        ...

    def events(self, study_id: int, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return the study's log after the cursor, in order, at most `limit` entries."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
