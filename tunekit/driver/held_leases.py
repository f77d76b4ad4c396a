"""The leases that one run holds: renewed on the heart's thread, looked at on the loop's."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from tunekit.driver.worker import Worker
from tunekit.executors.base import Task
from tunekit.storages.base import Renew


class HeldLeases:
    """What runs here, and whether it is still ours.

    Attributes:
        held: the running trials by number; only the loop's thread changes it.
    """

    def __init__(self, worker: Worker, lease_s: float) -> None:
        self.held: dict[int, Task] = {}
        self._worker = worker
        self._lease_s = lease_s
        self._strays: deque[tuple[int, int]] = deque()
        self._last_renewal = time.time()  # the wall clock: it goes on while a laptop sleeps

    def overdue(self) -> list[Renew]:
        """Return renewals to write before a claim, if the heart has slept (so did the machine).

        Without them we would claim our own trials from ourselves.
        """
        if time.time() - self._last_renewal <= self._lease_s / 2:
            return []
        self._last_renewal = time.time()
        return self._renewals()

    def renew(self) -> None:
        """Renew all leases and note the lost ones; runs on the heart's thread."""
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
        """Yield the running trials whose lease the heart found to be lost, each once."""
        while self._strays:
            number, epoch = self._strays.popleft()
            held = self.held.get(number)
            if held is not None and held.epoch == epoch:
                yield number

    def _renewals(self) -> list[Renew]:
        return [Renew(a.number, a.epoch) for a in list(self.held.values())]
