"""The rows of one study inside one transaction: what the rules of a storage stand on.

`tunekit.storages.exchange` and `.edits` hold the rules and reach rows through this protocol
only. Cells are what a database keeps: JSON texts, numbers and NULL (`None`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from tunekit.storages.base import EventKind
from tunekit.storages.transitions import Transition

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StudyRow:
    """Where a study stands.

    Attributes:
        now: seconds since 1970 on the storage's clock.
    """

    seq: int
    n_trials: int
    state: str
    space_version: int
    max_retries: int
    now: float


class StudyTable(Protocol):
    """One study, for the length of a transaction that its caller opens and commits."""

    def lock(self, n_events: int, n_new: int = 0) -> StudyRow:
        """Lock the study against other writers and take event and trial numbers.

        Returns:
            The row after the numbers were taken.

        Raises:
            UnknownStudy: somebody deleted the study.
        """
        ...

    def look(self) -> StudyRow:
        """Return the row without a lock.

        Raises:
            UnknownStudy: somebody deleted the study.
        """
        ...

    def set_study(self, **cells: Any) -> None:
        """Write cells of the study's row: state, spec, attrs, space_version, seq, n_trials."""
        ...

    def study_attrs(self) -> str:
        """Return the text of the study's attributes."""
        ...

    def add_space(self, version: int, text: str) -> None:
        """Append a version of the space."""
        ...

    def change(
        self,
        transition: Transition,
        number: int,
        cells: Mapping[str, Any],
        *,
        seq: int,
        now: float,
        epoch: int | None = None,
    ) -> bool:
        """Apply a transition if it applies; return whether it did.

        Args:
            transition: a row of the table of transitions.
            number: of the trial.
            cells: the values of `transition.sets` and `.offers`.
            seq: the event number of this change.
            now: the time of this transaction.
            epoch: of the lease, where the transition is fenced.
        """
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
        """Return candidates of a claim.

        These are the trials that this key has claimed, the first `n` waiting and the first `n`
        pre-empted ones, and those whose lease has run out; one may be there twice. Each has
        number, seq, state, epoch, claim_key, params, is_partial, lapses, branch, checkpoints.
        """
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
        """Return the answer that was noted for a request, if it was answered before."""
        ...

    def add_request(self, key: str, answer: str) -> None:
        """Note the answer of a request, so that its repetition gets the same."""
        ...


def trial_row(study_id: int, number: int, seq: int, now: float, **cells: Any) -> dict[str, Any]:
    """Return the row of a new trial, which waits unless `cells` say otherwise."""
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
