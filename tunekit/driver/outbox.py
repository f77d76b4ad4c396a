"""Writes a worker's operations in one exchange, or singly if the storage refuses the batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from tunekit.driver.run_settings import failed, sentence_of
from tunekit.driver.worker import Worker
from tunekit.errors import StorageUnreachable
from tunekit.identifiers import new_id
from tunekit.records import Outcome
from tunekit.storages.base import Exchange, Operation, Pause, Release, Status, Tell

log = logging.getLogger("tunekit")


@dataclass(frozen=True, slots=True)
class Written:
    """The result of writing a batch.

    Attributes:
        answer: answer of the exchange that claimed.
        operations: written operations; a FAILED end replaces a refused one.
        statuses: status of each operation.
        failed: lease -> required end of its trial after a refused operation.
    """

    answer: Exchange
    operations: tuple[Operation, ...]
    statuses: tuple[Status, ...]
    failed: dict[tuple[int, int], Outcome]


def write(
    worker: Worker,
    operations: Sequence[Operation],
    *,
    claim: int = 0,
    max_trials: int | None = None,
    lease_s: float,
) -> Written:
    """Write operations and claim trials in one transaction, as `Worker.exchange` does.

    If the storage refuses the batch, each operation is written on its own: an operation that
    cannot be stored fails its own trial, and the results of others are kept.

    Raises:
        StorageUnreachable: the storage did not answer; nothing or a part was written, and all
            of it may be written again.
        Exception: the storage refuses even a plain end of a trial, so that the fault is its own.
    """
    try:
        answer = worker.exchange(operations, claim=claim, max_trials=max_trials, lease_s=lease_s)
        return Written(answer, tuple(operations), answer.statuses, {})
    except StorageUnreachable:
        raise
    except Exception:
        if not operations:
            raise
    parts = _OneByOne(worker, lease_s)
    for op in operations:
        parts.add(op)
    answer = worker.exchange((), claim=claim, max_trials=max_trials, lease_s=lease_s)
    return Written(answer, tuple(parts.operations), tuple(parts.statuses), parts.failed)


def write_last(worker: Worker, operations: Sequence[Operation], *, lease_s: float) -> None:
    """Write operations at the end of a run that broke off; log what could not be written."""
    try:
        write(worker, operations, lease_s=lease_s)
    except Exception as error:
        log.warning("while the run broke off: %s", sentence_of(error))
        not_stored(operations)


def not_stored(operations: Sequence[Operation]) -> None:
    """Log which results are not stored."""
    if unsaved := [op.number for op in operations if isinstance(op, Tell)]:
        log.error("the results of trials %s were not stored; they run again", unsaved)


class _OneByOne:
    """Writes operations one by one, and ends the trials of refused ones."""

    def __init__(self, worker: Worker, lease_s: float) -> None:
        self.operations: list[Operation] = []
        self.statuses: list[Status] = []
        self.failed: dict[tuple[int, int], Outcome] = {}
        self._worker = worker
        self._lease_s = lease_s

    def add(self, op: Operation) -> None:
        lease = op.number, op.epoch
        is_end = isinstance(op, Tell | Pause | Release)
        if lease not in self.failed:
            try:
                self._write(op)
                return
            except StorageUnreachable:
                raise
            except Exception as error:
                self.failed[lease] = failed(error)
        if is_end:  # the end of a trial must be stored, or it would still appear to run
            self._write(Tell(*lease, self.failed[lease], new_id()))

    def _write(self, op: Operation) -> None:
        statuses = self._worker.exchange([op], lease_s=self._lease_s).statuses
        self.operations.append(op)
        self.statuses += statuses
