"""The leases of one run: started on the loop's thread, renewed on the heartbeat thread.

A start is written together with the result of a short trial, and by the heartbeat if the trial
takes longer than `START_S`. If the process is killed before, the trial runs again with params
that are proposed again, like a trial that was claimed and never started.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence

from tunekit.driver.worker import Worker
from tunekit.executors.base import Task
from tunekit.storages.base import Lease, Renew, Start

BEAT_S = 0.05
"""Seconds between two beats of the heartbeat."""

START_S = 0.05
"""Seconds that the record of a start may wait for the result of its trial."""


class HeldLeases:
    """The trials running here, and whether their leases are still held.

    Attributes:
        held: running trials by number; only the loop's thread changes it.
        claimed: leases of trials that are yet to start.
    """

    def __init__(self, worker: Worker, lease_s: float) -> None:
        self.held: dict[int, Task] = {}
        self.claimed: tuple[Lease, ...] = ()
        self._worker = worker
        self._lease_s = lease_s
        self._strays: deque[tuple[int, int]] = deque()
        self._last_renewal = time.time()  # the wall clock, which advances while a laptop sleeps
        self._starts: list[Start] = []
        self._starts_due = math.inf  # monotonic time
        self._starting = threading.Lock()  # held while the heartbeat writes starts

    def defer(self, starts: Sequence[Start]) -> None:
        """Keep starts until they are taken or due."""
        with self._starting:
            self._starts += starts
            self._starts_due = min(self._starts_due, time.monotonic() + START_S)

    def take_starts(self) -> list[Start]:
        """Return the starts to write before anything else of their trials."""
        with self._starting:
            starts, self._starts = self._starts, []
            self._starts_due = math.inf
        return starts

    def beat(self) -> None:
        """Write the starts that are due and renew the leases; runs on the heartbeat thread."""
        if time.monotonic() >= self._starts_due:
            self._write_starts()
        if time.time() - self._last_renewal >= self._lease_s / 3:
            self.renew()

    def overdue(self) -> list[Renew]:
        """Return renewals to write before a claim, if the heartbeat (and the machine) slept.

        Otherwise this process would claim its own trials.
        """
        if time.time() - self._last_renewal <= self._lease_s / 2:
            return []
        self._last_renewal = time.time()
        return self._renewals()

    def renew(self) -> None:
        """Renew all leases and record the lost ones; runs on the heartbeat thread."""
        renewals = self._renewals()
        if renewals:
            self._write(renewals)
        self._last_renewal = time.time()

    def strays(self) -> Iterator[int]:
        """Yield the running trials whose leases the heartbeat found lost, each once."""
        while self._strays:
            number, epoch = self._strays.popleft()
            held = self.held.get(number)
            if held is not None and held.epoch == epoch:
                yield number

    def _write_starts(self) -> None:
        with self._starting:
            self._starts_due = math.inf  # if this fails, the loop writes them
            self._write(self._starts)
            self._starts = []

    def _write(self, operations: Sequence[Start | Renew]) -> None:
        worker = self._worker
        answer = worker.reader.storage.exchange(
            worker.reader.record.id, worker.name, operations, lease_s=self._lease_s
        )
        pairs = zip(operations, answer.statuses, strict=True)
        self._strays.extend((op.number, op.epoch) for op, status in pairs if status != "ok")

    def _renewals(self) -> list[Renew]:
        running = [Renew(task.number, task.epoch) for task in list(self.held.values())]
        claimed = [x for x in self.claimed if x.number not in self.held]
        return running + [Renew(x.number, x.epoch) for x in claimed]
