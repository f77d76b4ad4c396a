"""The storage contract: exactly-once trials over leases, and incremental reads.

All of a worker's writes go through `exchange`, which applies a batch of operations and claims
new trials in *one* transaction. A short trial costs one: {start and tell the last one, claim the
next}; a sampler never runs inside a transaction.

Rules that every implementation keeps, and `tunekit.testing.storages` checks:

- A lease is `(number, epoch)`. Claiming a trial adds 1 to its epoch. Every write of a worker
  names its lease; a write with a stale epoch, or to a trial that is not RUNNING (or does not
  exist), changes nothing and returns "lost", never an exception, and the rest of the batch is
  applied. An expired lease remains valid until another worker takes the trial over.
- `Pause` ends the lease of a running trial and makes it PAUSED: nobody claims it until
  `promote` makes it WAITING again, with its params and checkpoints. The next lease of a trial
  that has run before starts from its last checkpoint, so the claim drops later reports (without
  a checkpoint, all reports).
- A tell is final. Repeating it with the same key returns "ok" and changes nothing; a tell of the
  same lease with another key returns "conflict".
- An exchange may be repeated if its answer was lost: a repeated `Start`, `Reports`, `Renew`,
  `Saved`, `Release`, `Pause` or `Tell` of a lease returns "ok" and changes nothing further, unless
  another worker has taken the trial in the meantime.
- `claim` hands out trials only while the study is ACTIVE, in this order: WAITING and PREEMPTED
  trials by number; RUNNING trials whose lease has run out, by number (one whose leases have run
  out more than `max_retries` times becomes LOST instead; a `Release` does not count); new numbers,
  as long as fewer than `max_trials` trials exist. Two workers never get the same trial. A claim
  repeated with the same key returns the same leases, whatever the study's state.
- Each change of a trial takes the next number of the study's event sequence, appends an event,
  and sets the trial's `seq`, all in the same transaction. The sequence counts from 1 and has no
  gaps: a reader that has read up to n has missed nothing below n. `Reports` and `Renew` do not
  count as changes: they appear only in `reports`.
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
    Report,
    StudyRecord,
    StudySpec,
    StudyState,
    TrialRecord,
)
from tunekit.spaces import Space
from tunekit.storages.events import Event as Event
from tunekit.storages.events import EventKind as EventKind
from tunekit.storages.operations import Lease as Lease
from tunekit.storages.operations import Operation as Operation
from tunekit.storages.operations import Pause as Pause
from tunekit.storages.operations import Release as Release
from tunekit.storages.operations import Renew as Renew
from tunekit.storages.operations import Reports as Reports
from tunekit.storages.operations import Saved as Saved
from tunekit.storages.operations import Start as Start
from tunekit.storages.operations import Tell as Tell

Status: TypeAlias = Literal["ok", "lost", "conflict"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Ask for up to `n` trials to run.

    Attributes:
        key: unique to this request; repeating it returns the same leases.
        max_trials: number of trials in the study from which no new number is assigned.
    """

    n: int
    key: str
    max_trials: int | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """All trials that changed after a cursor, each once in its latest form, by `seq`.

    `cursor` is the `seq` of the last one, or the requested cursor if nothing changed.
    """

    trials: tuple[TrialRecord, ...]
    cursor: int


@dataclass(frozen=True, slots=True)
class ExchangeRequest:
    """A worker's request to `exchange`: operations to apply in order, then a claim.

    Attributes:
        after: cursor from which the answer reports changes; `None` if it needs none.
    """

    worker: str
    operations: Sequence[Operation] = ()
    claim: Claim | None = None
    lease_s: float = 60.0
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """The answer of `exchange`: one status per operation, the leases, and the study's state.

    Attributes:
        changes: all changes after the requested cursor, including those of this exchange.
        held_back: why a quota let the claim have fewer trials, a sentence; empty if none did.
    """

    statuses: tuple[Status, ...]
    leases: tuple[Lease, ...]
    study_state: StudyState
    space_version: int
    changes: Changes | None = None
    held_back: str = ""


class Storage(Protocol):
    """Persists studies by the rules of this module."""

    url: str
    """The URL that opens it again, with any password replaced by `***`."""

    def create_study(self, spec: StudySpec, *, key: str | None = None) -> StudyRecord:
        """Create a study.

        Args:
            spec: settings of the study.
            key: unique to this request; repeating it returns the study it created.

        Raises:
            StudyExists: the name is taken.
        """
        ...

    def get_study(self, name: str) -> StudyRecord:
        """Return the current state of a study.

        Raises:
            UnknownStudy: no study has this name; the message suggests the closest one.
        """
        ...

    def record(self, study_id: int) -> StudyRecord:
        """Return the current state of the study with an id.

        Raises:
            UnknownStudy: no study has this id, or not any more.
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

    def rename_study(self, study_id: int, name: str) -> None:
        """Give a study another name; its id, trials and workers stay.

        Raises:
            StudyExists: another study has the name.
            InvalidArgument: it cannot be a name.
        """
        ...

    def set_state(self, study_id: int, state: StudyState) -> None:
        """Ask the workers of the study to continue, pause, stop or cancel."""
        ...

    def set_attrs(self, study_id: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into the study's attributes."""
        ...

    def set_goal(self, study_id: int, spec: StudySpec, *, expected_seq: int) -> None:
        """Replace objectives and constraints; `TrialConflict` after an event > `expected_seq`."""
        ...

    def set_space(self, study_id: int, space: Space, *, expected_version: int) -> int:
        """Store the next version of the space; return its number. 0 is expected before the first.

        Raises:
            TrialConflict: another process has stored a new version in the meantime.
        """
        ...

    def spaces(self, study_id: int) -> dict[int, Space]:
        """Return all versions of the space, numbered from 1; empty before the first one."""
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
        Before a trial is started, it shows these params while it waits and `None` while it is
        claimed, because samplers must not learn from an incomplete point.
        """
        ...

    def add_trials(
        self,
        study_id: int,
        trials: Sequence[TrialRecord],
        reports: Mapping[int, Sequence[Report]],
        *,
        key: str | None = None,
    ) -> list[int]:
        """Append trials that ran elsewhere, unchanged; return their numbers here.

        They keep their states, params, results, times and attributes, but get numbers and event
        numbers of this study. Their `seen` cursors, checkpoints and branches are dropped. An
        added WAITING trial is claimed like any other: without a `sampler` its params count as an
        enqueued and possibly incomplete point, otherwise as a complete one. Either all trials
        are added or none.

        Args:
            study_id: id of the study.
            trials: ended or waiting trials.
            reports: number of a trial in `trials` -> its reports.
            key: unique to this request; repeating it returns the same numbers.

        Raises:
            InvalidArgument: a trial is in another state, or cannot be stored.
        """
        ...

    def promote(self, study_id: int, reasons: Mapping[int, str]) -> list[int]:
        """Queue paused trials for a worker again, each with a reason; return their numbers.

        Trials that are not paused (any more) are skipped.

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
        """End an unfinished trial as CANCELLED; its worker learns of it at its next write.

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
        after: int | None = None,
    ) -> Exchange:
        """Apply operations in order, then claim, all in one transaction.

        With a cursor `after`, the same transaction reads what `changes(after)` returns.

        Raises:
            StorageUnreachable: the database did not answer, also after retries.
        """
        ...

    def exchange_many(
        self, study_id: int, requests: Sequence[ExchangeRequest]
    ) -> list[Exchange | InvalidArgument]:
        """Answer the exchanges of several workers in order, in one transaction.

        Each has its own statuses. A request that `exchange` would refuse gets the error as its
        answer and changes nothing; the others are applied.

        Raises:
            StorageUnreachable: the database did not answer, also after retries.
        """
        ...

    def expire(self, study_id: int, leases: Sequence[tuple[int, int]]) -> None:
        """Expire the leases `(number, epoch)` now, for workers known to be dead."""
        ...

    def changes(self, study_id: int, after: int = 0, limit: int | None = None) -> Changes:
        """Return the trials that changed after the cursor, at a cost proportional to the changes.

        With a limit these are the first ones by `seq`, and the answer's cursor continues the
        reading; fewer trials than the limit mean that nothing is left.
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
        """Return reports by trial number, in order of step; of all trials if `numbers` is `None`.

        A trial without reports has no entry.

        Args:
            study_id: of the study.
            numbers: trials to read.
            after_step: trial number -> last step that the caller has; only later ones are read.
                This misses reports that replaced an earlier step.
            limit: maximum number of reports, the first ones in order of number and step.
        """
        ...

    def events(self, study_id: int, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return the study's log after the cursor, in order, at most `limit` entries."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...
