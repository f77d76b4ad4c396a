"""The row interface below the storage rules: one study inside one transaction.

`tunekit.storages.exchange` and `.edits` hold the rules and access rows only through this
protocol. Cells hold database values: JSON texts, numbers and NULL (`None`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from tunekit.storages.base import EventKind
from tunekit.storages.transitions import Transition

Row: TypeAlias = Mapping[str, Any]
Cells: TypeAlias = Sequence[Any]
"""The cells of a trial in the order of `TRIAL_COLUMNS`."""


@dataclass(frozen=True, slots=True)
class StudyTableRow:
    """The current counters and settings of a study.

    Attributes:
        now: seconds since 1970 on the storage's clock.
    """

    seq: int
    n_trials: int
    state: str
    space_version: int
    max_retries: int
    now: float


class TrialChange(NamedTuple):
    """A transition of one trial.

    Attributes:
        transition: row of the table of transitions.
        number: number of the trial.
        cells: values of `transition.sets` and `.offers`.
        seq: event number of this change.
        now: time of this transaction.
        epoch: epoch of the lease, if the transition is fenced.
    """

    transition: Transition
    number: int
    cells: Mapping[str, Any]
    seq: int
    now: float
    epoch: int | None = None


class StudyTable(Protocol):
    """One study during a transaction that the caller opens and commits."""

    def lock(self, n_events: int, n_new: int = 0) -> StudyTableRow:
        """Lock the study against other writers and reserve event and trial numbers.

        Returns:
            The row after the reservation.

        Raises:
            UnknownStudy: the study has been deleted.
        """
        ...

    def look(self) -> StudyTableRow:
        """Return the row without a lock.

        Raises:
            UnknownStudy: somebody deleted the study.
        """
        ...

    def set_study(self, **cells: Any) -> None:
        """Write cells of the study's row, such as its state, attrs or seq."""
        ...

    def study_attrs(self) -> str:
        """Return the text of the study's attributes."""
        ...

    def add_space(self, version: int, text: str) -> None:
        """Append a version of the space."""
        ...

    def change(self, change: TrialChange) -> bool:
        """Apply a transition if its conditions hold; return whether they did."""
        ...

    def renew(self, number: int, epoch: int, until: float) -> bool:
        """Extend the lease of a running trial; return whether it is held."""
        ...

    def expire(self, number: int, epoch: int) -> None:
        """End the lease of a running trial, if it is held."""
        ...

    def trial(self, number: int) -> Row | None:
        """Return state, epoch, started_epoch, tell_key, checkpoints and user_attrs."""
        ...

    def free(self, key: str, n: int, now: float) -> list[Row]:
        """Return the candidates of a claim.

        These are the trials already claimed with this key, the first `n` waiting and the first
        `n` pre-empted ones, and those with expired leases; duplicates are possible. Each row has
        number, seq, state, epoch, claim_key, params, is_partial, lapses, branch, checkpoints.
        """
        ...

    def changed(self, after: int, limit: int | None = None) -> list[Cells]:
        """Return the trials that changed after the cursor, by `seq`, at most `limit` of them."""
        ...

    def reports(
        self, numbers: Sequence[int] | None, after_step: Mapping[int, int], limit: int | None
    ) -> list[tuple[int, int, str]]:
        """Return number, step and metrics of reports, by number and step; see `Storage`."""
        ...

    def events(self, after: int, limit: int) -> list[Cells]:
        """Return seq, kind, number, at and data of events after the cursor."""
        ...

    def add_trials(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append trials."""
        ...

    def set_trial(self, number: int, **cells: Any) -> None:
        """Write seq or user_attrs of a trial."""
        ...

    def write_reports(self, number: int, texts: Mapping[int, str]) -> None:
        """Write the metrics of steps; a step that is there is replaced."""
        ...

    def add_reports(self, texts: Mapping[int, Mapping[int, str]]) -> None:
        """Write the metrics of steps of many trials, by number."""
        ...

    def drop_reports(self, number: int, after_step: int | None) -> None:
        """Delete the reports after a step, or all of them."""
        ...

    def add_events(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append events."""
        ...

    def request(self, key: str) -> str | None:
        """Return the recorded answer of a request, `None` if it is new."""
        ...

    def add_request(self, key: str, answer: str) -> None:
        """Record the answer of a request, so that a repetition gets the same."""
        ...


def trial_row(study_id: int, number: int, seq: int, now: float, **cells: Any) -> dict[str, Any]:
    """Return the row of a new trial, which is WAITING unless `cells` say otherwise."""
    return {
        "study_id": study_id,
        "number": number,
        "seq": seq,
        "state": "waiting",
        "epoch": 0,
        "started_epoch": 0,
        "lapses": 0,
        "worker": "",
        "is_partial": False,
        "lease_until": None,
        "created": now,
        "claim_key": None,
        "params": None,
        "user_attrs": None,
        "branch": None,
        **cells,
    }


def event_row(
    study_id: int, seq: int, kind: EventKind, number: int | None, now: float, data: str | None
) -> dict[str, Any]:
    """Return the row of an event."""
    return {
        "study_id": study_id,
        "seq": seq,
        "kind": kind,
        "number": number,
        "at": now,
        "data": data,
    }
