"""The leases of one run: renewed on the heartbeat thread, inspected on the loop's thread."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from tunekit.driver.worker import Worker
from tunekit.executors.base import Task
from tunekit.storages.base import Renew


class HeldLeases:
    """The trials running here, and whether their leases are still held.

    Attributes:
        held: running trials by number; only the loop's thread changes it.
    """

    def __init__(self, worker: Worker, lease_s: float) -> None:
        self.held: dict[int, Task] = {}
        self._worker = worker
        self._lease_s = lease_s
        self._strays: deque[tuple[int, int]] = deque()
        self._last_renewal = time.time()  # the wall clock, which advances while a laptop sleeps

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
            worker = self._worker
            answer = worker.reader.storage.exchange(
                worker.reader.record.id, worker.name, renewals, lease_s=self._lease_s
            )
            pairs = zip(renewals, answer.statuses, strict=True)
            self._strays.extend((r.number, r.epoch) for r, status in pairs if status != "ok")
        self._last_renewal = time.time()

    def strays(self) -> Iterator[int]:
        """Yield the running trials whose leases the heartbeat found lost, each once."""
        while self._strays:
            number, epoch = self._strays.popleft()
            held = self.held.get(number)
            if held is not None and held.epoch == epoch:
                yield number

    def _renewals(self) -> list[Renew]:
        return [Renew(a.number, a.epoch) for a in list(self.held.values())]
